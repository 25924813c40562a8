"""The Debian package on a bare Debian: installed, used, installed again, purged.

A root directory made by debootstrap with Python and nothing of ours. No manager runs in it, so the
units are read by `systemd-analyze` elsewhere and the daemon is started as the unit starts it. The
steps are timed; `make nightly` prints them.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.packages import require
from tools import deb

SUITE = "bookworm"
SERVE = "CREDENTIALS_DIRECTORY=/etc/wicket/credentials exec wicketd serve"
SOCKET = "/var/lib/wicket/run/admin.sock"

pytestmark = pytest.mark.long


class Host:
    """The root directory, and how long each step in it took."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.took: list[str] = []

    def run(self, command: str, *, code: int = 0) -> str:
        """A shell command on the host; any other exit code is a failure."""
        began = time.monotonic()
        done = subprocess.run(
            ["chroot", str(self.root), "sh", "-c", command],
            capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        self.took.append(f"{time.monotonic() - began:6.2f} s  {command}")
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The daemon listens until the block ends; then it stops as a unit is stopped."""
        command = ["chroot", str(self.root), "sh", "-c", SERVE]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as daemon:
            assert daemon.stderr is not None
            assert any(b"MCP clients connect to" in line for line in daemon.stderr)
            yield
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=40)
        assert daemon.returncode == 0

    def ids(self) -> dict[str, int]:
        """Owner and inode of what must outlive the package."""
        kept = (
            "etc/wicket/credentials/server.keyring",
            "etc/wicket/credentials/audit.key",
            "var/lib/wicket/wicket.db",
        )
        return {name: (self.root / name).stat().st_ino for name in kept}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deb.build(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[Host]:
    debootstrap = require("debootstrap", "debian")
    root = tmp_path_factory.mktemp("debian") / "root"
    subprocess.run(
        [debootstrap, "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(root)],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    shutil.copy(package, root / "tmp" / "wicket.deb")
    made = Host(root)
    yield made
    print("\n" + "\n".join(made.took))


def test_it_installs_serves_upgrades_and_leaves_what_cannot_be_made_again(host: Host) -> None:
    said = host.run("dpkg -i /tmp/wicket.deb")
    assert "Keep a copy of them off this host" in said
    assert host.run("dpkg -V wicket") == ""
    assert host.run("stat -c '%a %U' /var/lib/wicket /etc/wicket/credentials").split() == [
        "700", "wicket", "700", "root",
    ]  # fmt: skip
    assert "fail" not in host.run("wicketd doctor")

    with host.serving():
        ids = host.ids()
        host.run(f"wicket --socket {SOCKET} agent create home --name Home")
        before = host.run(f"wicket --socket {SOCKET} agent list --json")

    assert "new keys" not in host.run("dpkg -i /tmp/wicket.deb")
    with host.serving():
        assert host.run(f"wicket --socket {SOCKET} agent list --json") == before

    assert "are kept" in host.run("dpkg --purge wicket < /dev/null")
    assert host.ids() == ids
    assert not (host.root / "usr/lib/wicket").exists()
    assert not (host.root / "etc/wicket/wicketd.toml").exists()
    host.run("command -v wicket", code=127)

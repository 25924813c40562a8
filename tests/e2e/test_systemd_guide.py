"""docs/systemd.md, followed word for word beneath a directory that stands for the root.

systemd's own programs only note that they were called: no manager runs here. What they would read
must lie where the units say.
"""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.systemd import UNITS, directives
from wicketd.vault import keyring

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ABSOLUTE = re.compile(r"(?<=[ =])/(?=(?:usr/lib|etc|root|var|run)/)")
FOREIGN = ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "usermod", "wicket")


class Host:
    """A directory that stands for a host's root; `run` follows one section of the guide."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        for name in (
            "usr/lib/sysusers.d",
            "usr/lib/tmpfiles.d",
            "etc/systemd/system",
            "root",
            "bin",
        ):
            (root / name).mkdir(parents=True)
        for line in (UNITS / "wicket.tmpfiles").read_text().splitlines():
            if line.startswith("d "):
                _, path, mode, *_ = line.split()
                (root / path.lstrip("/")).mkdir(int(mode, 8), parents=True)
        for name in FOREIGN:
            self._command(name, f'echo "{name} $*" >> {root}/called')
        self._command("wicketd", f'exec {sys.executable} -m wicketd "$@"')

    def _command(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def run(self, section: str) -> None:
        """The commands of a section."""
        blocks = BLOCK.findall(GUIDE.split(f"## {section}\n")[1].split("\n## ")[0])
        done = subprocess.run(
            ["sh", "-euc", ABSOLUTE.sub(f"{self.root}/", "".join(blocks))],
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def path(self, absolute: str) -> Path:
        """Where a path of the guide lies."""
        return self.root / absolute.lstrip("/")

    def files(self) -> set[str]:
        """Every file but the commands."""
        found = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in found if path.parts[0] not in {"bin", "called", "root"}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_guide_puts_keys_and_units_where_the_units_look(host: Host) -> None:
    host.run("Install")

    for value in directives("wicketd.service")["LoadCredential"]:
        source = host.path(value.split(":")[1])
        assert stat.S_IMODE(source.stat().st_mode) == 0o400
    keyring.load(host.path("/etc/wicket/credentials/server.keyring"), {})
    keyring.load_audit_key(host.path("/etc/wicket/credentials/audit.key"), {})
    for unit in UNITS.glob("wicketd*"):
        installed = host.path(f"/etc/systemd/system/{unit.name}")
        assert installed.read_bytes() == unit.read_bytes()


def test_the_guide_starts_what_it_installed_and_lets_an_administrator_in(host: Host) -> None:
    host.run("Install")

    called = (host.root / "called").read_text().splitlines()

    assert called[:2] == ["systemd-sysusers wicket.conf", "systemd-tmpfiles --create wicket.conf"]
    started = next(line for line in called if line.startswith("systemctl enable --now "))
    assert set(started.split()[3:]) == {unit.name for unit in UNITS.glob("wicketd*")}
    group = directives("wicketd-admin.socket")["SocketGroup"][0]
    assert f"usermod -aG {group} alice" in called


def test_undo_leaves_keys_and_settings_alone(host: Host) -> None:
    before = host.files()
    host.run("Install")

    host.run("Undo")

    kept = {"etc/wicket/credentials/server.keyring", "etc/wicket/credentials/audit.key"}
    assert host.files() - before == kept

"""The Debian package's scripts, in a directory that stands for the host's: what they tell systemd.

No manager is needed: what they call is recorded. tests/e2e/test_debian_package.py runs them on a
bare Debian, where no manager runs.
"""

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "contrib" / "debian"
PLACES = ("/etc/wicket", "/var/lib/wicket", "/run/systemd/system")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with systemd; every program that changes more than files writes down its words."""
    for place in ("run/systemd/system", "var/lib/wicket", "bin"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("systemctl", "getent", "groupadd", "useradd"):
        program(tmp_path, name, f'echo {name} "$@" >> {tmp_path}/called')
    program(tmp_path, "wicketd", 'date +%N > "$3/server.keyring"; date +%N > "$3/audit.key"')
    return tmp_path


def program(host: Path, name: str, text: str) -> None:
    path = host / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(host: Path, script: str, *words: str) -> list[str]:
    """Runs a script as dpkg would; gives what it told systemctl."""
    text = (SCRIPTS / script).read_text()
    for place in PLACES:
        text = text.replace(place, f"{host}{place}")
    (host / "called").write_text("")
    subprocess.run(
        ["/bin/sh", "-c", text, script, *words],
        env={"PATH": f"{host}/bin:/usr/bin:/bin"}, check=True, capture_output=True,
    )  # fmt: skip
    called = (host / "called").read_text().splitlines()
    return [line.removeprefix("systemctl ") for line in called if line.startswith("systemctl")]


def keys(host: Path) -> list[tuple[str, bytes, int]]:
    held = sorted((host / "etc/wicket/credentials").iterdir())
    return [(one.name, one.read_bytes(), one.stat().st_mode & 0o777) for one in held]


def test_an_upgrade_restarts_the_daemon_and_keeps_the_keys(host: Path) -> None:
    first = run(host, "postinst", "configure", "")
    made = keys(host)
    assert first[0] == "daemon-reload"
    assert first[1].startswith("enable --now")
    assert len(first) == 2
    assert [(name, mode) for name, _, mode in made] == [
        ("audit.key", 0o400), ("server.keyring", 0o400),
    ]  # fmt: skip

    again = run(host, "postinst", "configure", "0.0.9")
    assert again[-1] == "restart wicketd.service"
    assert keys(host) == made


def test_only_a_removal_stops_the_units(host: Path) -> None:
    assert run(host, "prerm", "upgrade", "0.2.0") == []
    (stopped,) = run(host, "prerm", "remove")
    assert stopped.startswith("disable --now wicketd.service")


def test_a_purge_removes_neither_database_nor_keys(host: Path) -> None:
    run(host, "postinst", "configure", "")
    made = keys(host)
    assert run(host, "postrm", "purge") == ["daemon-reload"]
    assert keys(host) == made
    assert (host / "var/lib/wicket").is_dir()

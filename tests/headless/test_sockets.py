"""Which socket is meant when none is given."""

import socket
from pathlib import Path

import pytest

from wicket_tui import sockets
from wicket_tui.sockets import default_socket


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "run" / "wicket-admin"
    monkeypatch.setattr(sockets, "SYSTEM", directory / "admin.sock")
    monkeypatch.setattr(sockets, "SYSTEM_READ_ONLY", directory / "admin-ro.sock")
    return directory


def bound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def test_the_users_own_daemon_comes_first(tmp_path: Path, system: Path) -> None:
    bound(system / "admin.sock")
    own = bound(tmp_path / "wicket" / "admin.sock")

    assert default_socket({"XDG_RUNTIME_DIR": str(tmp_path)}) == own


def test_else_the_hosts_daemon_over_what_may_be_opened(tmp_path: Path, system: Path) -> None:
    read_only = bound(system / "admin-ro.sock")
    assert default_socket({"XDG_RUNTIME_DIR": str(tmp_path)}) == read_only

    full = bound(system / "admin.sock")
    assert default_socket({}) == full


def test_without_any_daemon_the_likely_path_is_named(tmp_path: Path, system: Path) -> None:
    own = tmp_path / "wicket" / "admin.sock"

    assert default_socket({"XDG_RUNTIME_DIR": str(tmp_path)}) == own
    assert default_socket({}) == system / "admin.sock"

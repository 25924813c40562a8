"""What the app takes from the machine: the clipboard file, NO_COLOR, the user's own keys."""

import stat
from pathlib import Path

import pytest

from tests.support.terminal import StillHost, terminal
from wicket_tui.host import Host


def test_the_clipboard_file_is_its_owners_alone_and_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "wicket").mkdir()
    (tmp_path / "wicket" / "clipboard").symlink_to(victim)
    path = Host(environ={"XDG_RUNTIME_DIR": str(tmp_path)}).keep_clipboard("secret")
    assert path is not None
    assert path.read_text() == "secret"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert victim.read_text() == "kept"


def test_without_a_private_directory_no_file_is_written() -> None:
    assert Host(environ={}).keep_clipboard("secret") is None


@pytest.mark.parametrize(("set_to", "theme"), [("1", "ansi"), ("", "wicket-dark")])
async def test_no_color_is_heard(tmp_path: Path, set_to: str, theme: str) -> None:
    host = StillHost(environ={"NO_COLOR": set_to})
    async with terminal(tmp_path / "none.sock", host=host, screen=2) as person:
        assert person.app.theme == theme
        await person.until("✗ lost")


async def test_own_keys_work_and_wrong_ones_are_said(tmp_path: Path) -> None:
    (tmp_path / "wicket").mkdir()
    (tmp_path / "wicket" / "keys.toml").write_text('"log.open" = "f7"\n"no.such" = "x"\n')
    host = StillHost(environ={"XDG_CONFIG_HOME": str(tmp_path)})
    async with terminal(tmp_path / "none.sock", host=host) as person:
        await person.until("no.such is no action")
        await person.press("f7")
        await person.until("Command log")

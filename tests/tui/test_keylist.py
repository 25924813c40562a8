"""The key map is listed whole, with the user's own keys, by a command that needs no daemon."""

import itertools
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from wicket_tui.cli import app
from wicket_tui.keylist import ALL_SCREENS, listed
from wicket_tui.keymap import ACTIONS


def test_every_action_is_listed_on_each_screen_that_has_it() -> None:
    rows = listed()
    expected = {(screen, one.id) for one in ACTIONS for screen in one.where or (ALL_SCREENS,)}
    assert {(row.screen, row.id) for row in rows} == expected
    assert rows[0].screen == ALL_SCREENS
    screens = [row.screen for row in rows]
    assert len(set(screens)) == 1 + sum(a != b for a, b in itertools.pairwise(screens))


def test_own_keys_stand_in_place_of_ours() -> None:
    (row,) = [one for one in listed({"log.open": ("f12",)}) if one.id == "log.open"]
    assert row.keys == "F12"


def test_the_command_prints_them_without_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "wicket").mkdir()
    file = tmp_path / "wicket" / "keys.toml"
    file.write_text('"log.open" = "f12"\n"no.such" = "x"\n')
    ran = CliRunner().invoke(app, ["keys", "--json", "--socket", str(tmp_path / "none")])
    assert ran.exit_code == 0, ran.output
    rows = msgspec.json.decode(ran.stdout.partition("\n}")[0] + "\n}")["result"]
    assert [one["keys"] for one in rows if one["id"] == "log.open"] == ["F12"]
    assert "no.such" in ran.stderr
    file.write_text("no TOML")
    ran = CliRunner().invoke(app, ["keys", "--socket", str(tmp_path / "none")])
    assert ran.exit_code == 0
    assert "is not used" in ran.stderr
    assert "member.approve" in ran.stdout

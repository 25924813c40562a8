"""The shipped command on a real terminal: it starts, shows a screen, rests, and quits."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.line import WAIT_S, wicket
from tests.support.terminal import daemon_process


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with daemon_process(tmp_path_factory.mktemp("tui")) as running:
        running.run("wicket_tui", "agent", "create", "deploy", "--name", "Deploy bot")
        yield running


def test_it_starts_shows_a_screen_and_quits(daemon: RunningDaemon, tmp_path: Path) -> None:
    with wicket(daemon, tmp_path, "--screen", "2") as line:
        line.until("Deploy bot")
        os.write(line.end, b"q")
        line.until("\x1b[?1049l")  # the terminal's own screen is back
        assert line.process.wait(WAIT_S) == 0


def test_over_a_slow_line_nothing_moves_by_itself(daemon: RunningDaemon, tmp_path: Path) -> None:
    with wicket(daemon, tmp_path, "--low-bandwidth", "--screen", "2") as line:
        line.until("Deploy bot")
        os.write(line.end, b"n")
        line.until("New agent")
        assert line.rests(1.2)


def test_a_draft_goes_to_the_users_editor_and_back(
    daemon: RunningDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "// by hand\\n" > "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with wicket(daemon, tmp_path, "--screen", "4", "--agent", "deploy") as line:
        line.until("in 7 days")
        os.write(line.end, b"\r")
        line.until("no problems")
        os.write(line.end, b"\x05")
        line.until("// by hand")
        os.write(line.end, b"\x11")
        assert line.process.wait(WAIT_S) == 0
    assert len([*tmp_path.rglob("*.json")]) == 1

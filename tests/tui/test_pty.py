"""The shipped command on a real terminal: it starts, shows a screen, rests, and quits."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.terminal import daemon_process

WAIT_S = 30.0


@dataclass
class Line:
    """The far end of the terminal."""

    end: int
    process: subprocess.Popen[bytes]
    seen: bytearray = field(default_factory=bytearray)

    def read(self, wait_s: float) -> bytes:
        """What comes within a time; nothing when the line rests or is closed."""
        if not select.select([self.end], [], [], wait_s)[0]:
            return b""
        try:
            got = os.read(self.end, 65_536)
        except OSError:  # the app has closed its end
            return b""
        self.seen += got
        return got

    def until(self, text: str) -> None:
        """Waits until the terminal was sent a text."""
        deadline = time.monotonic() + WAIT_S
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, f"waited in vain for {text}: {self.seen[-2000:]!r}"
            self.read(0.1)

    def rests(self, for_s: float) -> bool:
        """Whether nothing comes for a time, once what is under way has come."""
        deadline = time.monotonic() + WAIT_S
        while self.read(for_s):
            if time.monotonic() > deadline:
                return False
        return True


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with daemon_process(tmp_path_factory.mktemp("tui")) as running:
        running.run("wicket_tui", "agent", "create", "deploy", "--name", "Deploy bot")
        yield running


@contextmanager
def wicket(daemon: RunningDaemon, home: Path, *options: str) -> Iterator[Line]:
    """`wicket` with its options on a terminal of 80 columns and 24 lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = daemon.environment() | {"TERM": "xterm-256color", "HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "wicket_tui", *options],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Line(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


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

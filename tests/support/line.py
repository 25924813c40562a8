"""`wicket` on a terminal of its own, a pseudo terminal whose far end a test or benchmark holds."""

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

from tests.support.daemon import RunningDaemon

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


@contextmanager
def wicket(
    daemon: RunningDaemon, home: Path, *options: str, size: tuple[int, int] = (80, 24)
) -> Iterator[Line]:
    """`wicket` with its options on a terminal of `size` columns and lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
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

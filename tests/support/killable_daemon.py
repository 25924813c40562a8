"""`wicketd serve` that ends itself, as by `kill -9`, behind the refresh step that a file names.

Run as a program. The file is read at each step, so that a test arms and disarms it at will.
"""

import os
import signal
import sys
from pathlib import Path

from wicketd import config, daemon, logs

FAILPOINT = "failpoint"
"""The file's name, in the directory of the configuration file."""


def main(file: Path) -> None:
    """Serves until it is told to stop, or the named step is done."""
    armed = file.parent / FAILPOINT

    def reached(step: str) -> None:
        if armed.exists() and armed.read_text() == step:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.begin()
    daemon.run(config.load(file, dict(os.environ)), file, dict(os.environ), reached)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

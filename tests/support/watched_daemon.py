"""`wicketd serve` that writes down every program it starts, one JSON list of arguments a line.

Run as a program. The interpreter's own audit events are heard, so that no way of starting one is
missed, whatever module would do it. The loop is the standard library's: uvloop starts programs
inside libuv, where no audit event is raised.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

STARTED: Final = "started"
"""The file's name, in the directory of the configuration file."""
EVENTS: Final = frozenset(
    {
        "subprocess.Popen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
    }
)


def words(event: str, about: Sequence[Any]) -> list[str]:
    """The arguments of what is started; the event's own name where it has none."""
    found = about[1] if len(about) > 1 else event
    parts = found if isinstance(found, list | tuple) else [found]
    return [os.fsdecode(part) if isinstance(part, str | bytes) else str(part) for part in parts]


def main(file: Path) -> None:
    """Serves until it is told to stop."""
    log = file.parent / STARTED
    log.touch()

    def hear(event: str, about: Sequence[Any]) -> None:
        if event in EVENTS:
            with log.open("a") as started:
                started.write(json.dumps(words(event, about)) + "\n")

    sys.addaudithook(hear)
    uvloop.new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]  # see above
    from wicketd import config, daemon, logs  # behind the hook

    logs.begin()
    daemon.run(config.load(file, dict(os.environ)), file, dict(os.environ))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

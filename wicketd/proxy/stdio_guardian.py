"""Starts the process that ends what a killed daemon leaves. Counterpart of `stdio_launch`.

The kernel ends a command with the daemon; what a command has forked is ended here, because it
shares the command's group. One guardian a daemon, started with the first command.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Final

from wicketd.proxy.stdio_process import LAUNCHER

_END_S: Final = 2.0


class Guardian:
    """Knows every group that runs; told over a pipe whose end it hears."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._starting = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether there is one."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process, if it was started."""
        return None if self._process is None else self._process.pid

    async def add(self, group: int) -> None:
        """From now on the group ends with the daemon.

        Raises:
            OSError: no guardian can be started.
        """
        self._groups.add(group)
        async with self._starting:
            if self.is_running:
                self._write(f"+{group}\n")
            else:
                await self._start()

    def remove(self, group: int) -> None:
        """The group is gone; its number may come back for somebody else's."""
        self._groups.discard(group)
        self._write(f"-{group}\n")

    async def close(self) -> None:
        """Lets it end."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(LAUNCHER),
            "--guard",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        for group in self._groups:
            self._write(f"+{group}\n")

    def _write(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(line.encode())

"""An admin app on a real Unix socket, served as the daemon serves it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wicketd.admin.app import MAX_BODY, AdminApp
from wicketd.admin.peer import Admission
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.endpoints import ENDPOINTS
from wicketd.api.types.listing import Nothing
from wicketd.proxy.door import Door
from wicketd.server import Listener, Notifier, bind_unix, serve

OWN = Admission(daemon_uid=os.getuid(), write_group=None, read_group=None)
NO_USE_CASES = cast("UseCases", None)
"""For tests of what comes before a use case: their handlers touch none."""


class TestClock:
    """Time that moves when a test says so."""

    __test__ = False

    def __init__(self) -> None:
        self._at_ms = 1_767_225_600_000

    def now_ms(self) -> int:
        return self._at_ms

    def monotonic_s(self) -> float:
        return self._at_ms / 1000

    def pass_s(self, seconds: float) -> None:
        """Moves on."""
        self._at_ms += int(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Answered:
    """One raw HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def nothing(_uses: UseCases, _ask: Ask[Any]) -> Any:
    """A handler that reaches no use case."""
    return Nothing()


def scripted(**handlers: Any) -> Handlers:
    """A handler for every row: those given (dots as `_`), else one that does nothing."""
    return {row.name: handlers.get(row.name.replace(".", "_"), nothing) for row in ENDPOINTS}


@asynccontextmanager
async def admin_socket(
    directory: Path,
    handlers: Handlers,
    *,
    uses: UseCases = NO_USE_CASES,
    admission: Admission = OWN,
    read_only: bool = False,
    clock: TestClock | None = None,
) -> AsyncIterator[Path]:
    """The path of a socket behind which an app with these handlers answers."""
    path = directory / ("ro.sock" if read_only else "admin.sock")
    app = AdminApp(
        uses,
        admission,
        handlers,
        clock=clock or TestClock(),
        version="9.9.9",
        read_only=read_only,
    )
    listening = bind_unix(path)
    stop = asyncio.Event()
    serving = asyncio.get_running_loop().create_task(
        serve(
            [Listener(app, [listening], Door(max_body=MAX_BODY + 1), is_admin=True)],
            probe=_good,
            drain=_drained,
            notifier=Notifier({}),
            stop=stop,
        )
    )
    await _until_it_listens(path)
    try:
        yield path
    finally:
        stop.set()
        await serving


async def _until_it_listens(path: Path) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(str(path))
            except ConnectionRefusedError:
                await asyncio.sleep(0)
            else:
                writer.close()
                return


async def _good() -> bool:
    return True


async def _drained() -> None:
    return None


async def raw(path: Path, request: bytes) -> Answered:
    """Sends bytes and reads one answer to its end."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
    finally:
        writer.close()
    return Answered(int(first.split()[1]), headers, body)


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of `wicket` left."""

    code: int
    out: str
    err: str


async def run_wicket(path: Path, *words: str, stdin: str = "") -> Ran:
    """Runs the command line as a process, on pipes, against the daemon behind a socket."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from wicket_tui.cli import main; main()",
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "WICKET_SOCKET": str(path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
    return Ran(process.returncode or 0, out.decode(), err.decode())


def get(target: str, *headers: str, method: str = "GET", host: str = "wicket-admin") -> bytes:
    """A request without body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(target: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """A request with a JSON body."""
    sized = (*headers, f"Content-Length: {len(body)}")
    if not any(header.lower().startswith("content-type") for header in headers):
        sized = (*sized, "Content-Type: application/json")
    return get(target, *sized, method=method) + body

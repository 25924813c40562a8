"""A server is killed under load and comes back: calls fail while it is down, and only then.

Nobody connects again: clients go on in the sessions that they had.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from tests.support import piped_server
from tests.support.daemon import ROOT, free_port
from tests.support.fronts import eventually, until_connectable
from tests.support.guarded import Housed, connector_file, housed
from tests.support.mcp_client import McpClient
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIENTS: Final = 6
AFTER: Final = 30
"""Calls that must succeed when the server is back."""
PIPED: Final = json.dumps([sys.executable, "-I", "-S", piped_server.__file__, "legacy"])


@dataclass(frozen=True, slots=True)
class Called:
    """One call: seconds of the monotonic clock, and whether it brought its own answer."""

    began_s: float
    ended_s: float
    succeeded: bool


class Load:
    """Clients of both eras that call until they are told to stop."""

    def __init__(self, clients: list[McpClient], tool: str) -> None:
        self.calls: list[Called] = []
        self._stopped = asyncio.Event()
        self._tool = tool
        self._tasks = [asyncio.ensure_future(self._call_on(client)) for client in clients]

    async def _call_on(self, client: McpClient) -> None:
        while not self._stopped.is_set():
            began_s, nonce = time.monotonic(), str(len(self.calls))
            answer = await client.call(self._tool, {"text": nonce})
            succeeded = "result" in answer.json and nonce in str(answer.result["content"])
            assert succeeded or answer.error["code"] == -32603, answer.json
            self.calls.append(Called(began_s, time.monotonic(), succeeded))

    def successes(self, since_s: float = 0) -> int:
        """Calls that began after a moment and succeeded."""
        return sum(one.succeeded and one.began_s >= since_s for one in self.calls)

    @property
    def failures(self) -> list[Called]:
        """Calls that brought the error of a server that is not there."""
        return [one for one in self.calls if not one.succeeded]

    async def stop(self) -> None:
        """Lets running calls end."""
        self._stopped.set()
        await asyncio.gather(*self._tasks)


@dataclass(frozen=True, slots=True)
class Server:
    """One that can be started as a process, on a port of its own."""

    command: tuple[str, ...]
    path: str
    port: int = field(default_factory=free_port)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process; it accepts connections."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self.command, str(self.port)),
            stdout=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        try:
            await until_connectable(self.port, 30)
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


CHAOS: Final = ("tests.support.chaos", "1")
SDK: Final = ("tests.support.sdk_upstream",)
SERVERS: Final = {
    "legacy": Server(CHAOS, "legacy"),
    "modern": Server(CHAOS, "modern"),
    "sdk-legacy": Server((*SDK, "legacy"), "mcp"),
    "sdk-modern": Server((*SDK, "modern"), "mcp"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[Housed]:
    connectors = {
        name: connector_file(name, f"http://127.0.0.1:{server.port}/{server.path}")
        for name, server in SERVERS.items()
    } | {
        "piped": 'key = "piped"\nname = "Piped"\ncredential = { kind = "none" }\n'
        f'transport = {{ kind = "stdio", command = {PIPED}, scope = "shared" }}\n'
    }
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with housed(Path(place), connectors, idle=tuple(SERVERS)) as running:
            yield running


async def clients(house: Housed) -> list[McpClient]:
    """Half of each era; the legacy ones have opened their session."""
    return [await house.client(0, list(Era)[number % 2]) for number in range(CLIENTS)]


async def fails_only_while_down(
    load: Load, kill: Callable[[], Awaitable[Any]], come_back: Callable[[], Awaitable[Any]]
) -> None:
    """The whole story, told by when each call was under way; `kill` ends when it was noticed."""
    await eventually(lambda: load.successes() >= CLIENTS, 20)
    killed_s = time.monotonic()
    await kill()
    await come_back()
    back_s = time.monotonic()
    await eventually(lambda: load.successes(back_s) >= AFTER, 30)
    await load.stop()
    assert all(one.ended_s > killed_s and one.began_s < back_s for one in load.failures)


@pytest.mark.parametrize(
    "service",
    [
        "legacy",
        "modern",
        pytest.param("sdk-legacy", marks=pytest.mark.long),
        pytest.param("sdk-modern", marks=pytest.mark.long),
    ],
)
async def test_a_server_over_http_is_killed_and_started_again_under_load(
    house: Housed, service: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(SERVERS[service].running())
        await house.enable(service)
        load = Load(await clients(house), f"{service}__echo")

        async def kill() -> None:
            first.kill()
            await eventually(lambda: bool(load.failures), 20)

        async def come_back() -> None:
            await first.wait()
            await stack.enter_async_context(SERVERS[service].running())

        await fails_only_while_down(load, kill, come_back)


async def test_a_server_over_pipes_is_killed_under_load_and_started_by_the_next_call(
    house: Housed,
) -> None:
    client = await house.client(0, Era.MODERN)
    load = Load(await clients(house), "piped__echo")

    async def pid() -> int:
        said = (await client.call("piped__facts")).result["content"][0]["text"]
        found: int = msgspec.json.decode(said)["pid"]
        return found

    async def kill() -> None:
        """While a call is under way for certain: it fails, and is not sent again."""
        waiting = asyncio.ensure_future(client.call("piped__wait"))
        done = load.successes()
        await eventually(lambda: load.successes() > done + CLIENTS, 20)
        os.kill(before, signal.SIGKILL)
        assert (await waiting).error["message"].startswith("Service 'piped' could not be reached")

    async def come_back() -> None:
        """The next call starts it, and waits its turn for that."""
        async with asyncio.timeout(20):
            while "error" in (await client.call("piped__facts")).json:
                pass

    before = await pid()
    await fails_only_while_down(load, kill, come_back)
    assert await pid() != before

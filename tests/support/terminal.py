"""The terminal app in Pilot, before a real daemon process that a module of tests shares."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from textual.pilot import Pilot
from typing_extensions import override

from tests.support.daemon import RunningDaemon, free_port
from tests.support.screen import grid
from wicket_tui.app import WicketApp
from wicket_tui.host import Host
from wicket_tui.options import Options
from wicketd.api.client import AdminClient
from wicketd.api.endpoint import Endpoint

WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class StillHost(Host):
    """A machine of a fixed name and time."""

    name: str = "prod-1"
    environ: dict[str, str] = field(default_factory=dict)

    @override
    def now(self, zone: str = "UTC") -> datetime:
        return datetime(2027, 3, 1, 14, 2, tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone))


@contextmanager
def daemon_process(
    directory: Path, *, settings: str = "", connectors: dict[str, str] | None = None
) -> Iterator[RunningDaemon]:
    """`wicketd serve` in a process of its own, for tests that each have their own event loop."""
    daemon = RunningDaemon(directory, free_port(), settings, connectors=connectors or {})
    daemon.prepare()
    asyncio.run(daemon.start())
    try:
        yield daemon
    finally:
        daemon.kill()


async def ask(socket: Path, endpoint: Endpoint[Any, Any], request: Any) -> Any:
    """Asks the daemon beside the app."""
    async with AdminClient(socket) as client:
        return await client.call(endpoint, request)


class Terminal:
    """A running app and the hands on its keys."""

    def __init__(self, app: WicketApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def shown(self) -> str:
        """What is on the screen."""
        return grid(self.app)

    async def press(self, *keys: str) -> None:
        """Presses keys, one after the other."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Types a text into what has the focus."""
        names = {" ": "space", "@": "at", ".": "full_stop", "-": "minus", "_": "underscore"}
        await self.pilot.press(*(names.get(letter, letter) for letter in text))

    async def until(self, *texts: str, gone: tuple[str, ...] = ()) -> str:
        """Waits until the texts are on the screen and others are not."""
        return await self.until_true(
            lambda shown: all(t in shown for t in texts) and not any(t in shown for t in gone),
            f"{texts} to be shown",
        )

    async def until_true(self, holds: Callable[[str], bool], what: str) -> str:
        """Waits until something holds of the screen."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WAIT_S
        while not holds(self.shown):
            assert loop.time() < end, f"waited in vain for {what}:\n{self.shown}"
            await self.pilot.pause(0.02)
        return self.shown


@asynccontextmanager
async def terminal(
    socket: Path, *, size: tuple[int, int] = (80, 24), host: Host | None = None, **options: Any
) -> AsyncIterator[Terminal]:
    """The app before the daemon behind `socket`."""
    app = WicketApp(Options(socket=socket, **options), host or StillHost())
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Terminal(app, pilot)

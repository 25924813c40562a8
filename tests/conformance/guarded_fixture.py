"""A running daemon in front of the fixture, its shim, and the shim's URL.

One agent, the fixture enabled as the service `c` (the longest of its tools has 42 characters), one
policy that permits everything, every kind of relaying switched on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.fixture import app
from tests.conformance.shim import SERVICE, shim
from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.guarded import admit
from tests.support.upstreams import serve_asgi

_SETTINGS: Final = "[rate]\nburst = 10000\nper_second = 10000.0\n"
_RELAY: Final = (
    '["elicitation.form", "elicitation.url", "logging", "progress", "roots", "sampling"]'
)


@dataclass(frozen=True, slots=True)
class GuardedFixture:
    """`direct`: the fixture's own URL. `url`: of the shim before the daemon."""

    direct: str
    url: str
    daemon: RunningDaemon
    key: str


def connector_file(url: str) -> str:
    """The fixture as a connector."""
    return (
        f'key = "{SERVICE}"\nname = "Fixture"\nrelay = {_RELAY}\n'
        f'transport = {{ kind = "streamable-http", url = "{url}",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
        'credential = { kind = "none" }\n'
    )


@asynccontextmanager
async def guarded_fixture(directory: Path, eras: str = "both") -> AsyncIterator[GuardedFixture]:
    """Serves all three until the block ends. `eras`: of the fixture."""
    async with serve_asgi(app(eras)) as direct:
        connectors = {SERVICE: connector_file(direct)}
        async with running_daemon(directory, settings=_SETTINGS, connectors=connectors) as daemon:
            key = await admit(daemon, SERVICE)
            async with shim(daemon.url, key) as url:
                yield GuardedFixture(direct, url, daemon, key)

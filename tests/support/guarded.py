"""A running daemon in front of the SDK's server, and a member's key: what every client test needs.

The upstream has a tool for each thing a call can do over time: answer, report, wait, fail.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.mcp_client import McpClient
from tests.support.upstreams import serve_asgi
from wicketd.api import endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types.agents import AgentCreate
from wicketd.api.types.audit import AuditEntry, AuditList
from wicketd.api.types.members import MemberAdd, MemberRef
from wicketd.api.types.services import Discover, ServicePut
from wicketd.domain.calls import Era


@dataclass(frozen=True)
class Waits:
    """What becomes of calls that take their time."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """The client's word to `count` that a report has arrived: waiting ones would be merged."""


@dataclass(frozen=True)
class Guarded:
    """A daemon whose agent `home` has the service `desk` and the local member `me`."""

    daemon: RunningDaemon
    key: str
    waits: Waits


def desk(waits: Waits) -> MCPServer[Any]:
    """The upstream: four tools."""
    server: MCPServer[Any] = MCPServer("desk", log_level="ERROR")

    @server.tool()
    async def echo(text: str) -> str:
        """Gives its argument back."""
        return text

    @server.tool()
    async def count(to: int, ctx: Context[Any, Any]) -> str:
        """Reports each step and goes on when it was heard."""
        for done in range(1, to + 1):
            await ctx.report_progress(done, to, f"step {done}")
            await waits.heard.acquire()
        return "counted"

    @server.tool()
    async def wait() -> str:
        """Answers never."""
        waits.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            waits.cancelled.set()
            raise
        return "over"

    @server.tool()
    async def fail() -> str:
        """Fails as a tool does."""
        message = "out of paper"
        raise ToolError(message)

    return server


@asynccontextmanager
async def guarded(
    directory: Path, *, settings: str = "", public_url: str = ""
) -> AsyncIterator[Guarded]:
    """Serves both and admits the member; its baseline policy permits every tier."""
    waits = Waits()
    async with serve_asgi(desk(waits).streamable_http_app()) as url:
        connectors = {"desk": connector_file("desk", url)}
        async with running_daemon(
            directory, settings=settings, connectors=connectors, public_url=public_url
        ) as daemon:
            key = await admit(daemon, "desk")
            yield Guarded(daemon, key, waits)


def connector_file(key: str, url: str, more: str = "") -> str:
    """A connector for an upstream on loopback that wants no credential; `more`: other fields."""
    return (
        f'key = "{key}"\nname = "{key.title()}"\n{more}'
        f'transport = {{ kind = "streamable-http", url = "{url}",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
        'credential = { kind = "none" }\n'
    )


async def admit(daemon: RunningDaemon, service: str) -> str:
    """An agent with every tool of `service` permitted, a local member, its key."""
    async with AdminClient(daemon.socket) as admin:
        await open_service(admin, service)
        await admin.call(endpoints.SERVICE_DISCOVER, Discover(agent="home", service=service))
        return await add_member(admin, "me")


@dataclass(frozen=True)
class Housed:
    """A daemon whose agent `home` has several services, every tier permitted, and members."""

    daemon: RunningDaemon
    admin: AdminClient
    keys: tuple[str, ...]

    async def client(self, member: int, era: Era) -> McpClient:
        """An opened client of a member."""
        return await McpClient(self.daemon.port, self.keys[member % len(self.keys)], era).open()

    async def enable(self, service: str) -> None:
        """Enables a service, which lists its tools if it can be reached."""
        ask = ServicePut(agent="home", service=service, enabled=True, allow="all")
        await self.admin.call(endpoints.SERVICE_PUT, ask)

    async def entry(self, ref: str) -> AuditEntry:
        """What the audit says of a refused call."""
        (entry,) = (await self.admin.call(endpoints.AUDIT_LIST, AuditList(ref=ref))).items
        return entry


UNLIMITED: Final = "[rate]\nburst = 1000000\nper_second = 1000000.0\n"


@asynccontextmanager
async def housed(
    directory: Path, connectors: dict[str, str], *, members: int = 1, idle: Sequence[str] = ()
) -> AsyncIterator[Housed]:
    """Serves with members `m0`, `m1` …; the services of `idle` wait for `Housed.enable`."""
    async with (
        running_daemon(directory, settings=UNLIMITED, connectors=connectors) as daemon,
        AdminClient(daemon.socket) as admin,
    ):
        await admin.call(endpoints.AGENT_CREATE, AgentCreate(key="home", name="Home"))
        keys = [await add_member(admin, f"m{number}") for number in range(members)]
        house = Housed(daemon, admin, tuple(keys))
        for service in connectors:
            if service not in idle:
                await house.enable(service)
        yield house


async def open_service(admin: AdminClient, service: str) -> None:
    """The agent `home` with a service whose baseline policy permits every tier."""
    await admin.call(endpoints.AGENT_CREATE, AgentCreate(key="home", name="Home"))
    enabled = ServicePut(agent="home", service=service, enabled=True, allow="all")
    await admin.call(endpoints.SERVICE_PUT, enabled)


async def add_member(admin: AdminClient, name: str) -> str:
    """A local member of `home`; gives its key."""
    await admin.call(endpoints.MEMBER_ADD, MemberAdd(agent="home", name=name))
    return (await admin.call(endpoints.KEY_ISSUE, MemberRef(agent="home", member=name))).text

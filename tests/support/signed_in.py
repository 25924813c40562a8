"""A real daemon whose members signed in to a service: provider, upstream, daemon, keys.

The upstream admits the tokens of the provider and notes whose they were. Tokens are put into the
stopped daemon's database by its own code, the way a callback leaves them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from mcp.server.mcpserver import MCPServer

from tests.support.daemon import RunningDaemon, free_port
from tests.support.guarded import add_member, open_service
from tests.support.killable_daemon import FAILPOINT
from tests.support.mcp_client import Answer, McpClient
from tests.support.oauth_connected import Place, deposit
from tests.support.upstreams import SystemClock, serve_asgi
from wicketd.api.client import AdminClient
from wicketd.audit.journal import Journal
from wicketd.domain.calls import Era
from wicketd.domain.connections import Connection
from wicketd.domain.ports import Query
from wicketd.services.desk import Desk
from wicketd.services.installation import Installation, Keys
from wicketd.services.tokens import TokenBox, TokenRecord
from wicketd.storage import agents, audit, connections, members, refresh_intents, services
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.offline import OfflineDatabase
from wicketd.storage.refresh_intents import RefreshIntent
from wicketd.system import SystemIds, SystemRandom
from wicketd.vault import keyring
from wicketd.vault.sealing import Sealer

RATE: Final = "[rate]\nburst = 1000000\nper_second = 1000000.0\nin_flight = 256\n"
LOOPBACK: Final = "[oauth]\nloopback_http = true\n"
MEMBERS: Final = ("bob", "eve")


class Provider(Protocol):
    """An authorization server, ours or another maker's."""

    async def whose(self, token: str) -> str | None:
        """Whose good access token this is."""

    async def sign_in(self, member: str, resource: str) -> TokenRecord:
        """The record of a new consent of a member."""

    async def posts(self) -> int:
        """Requests that arrived at the token endpoint."""

    async def lost(self) -> int:
        """Grants that were revoked because a refresh token came twice."""

    async def expire(self) -> None:
        """No access token issued so far is good any more."""


@dataclass
class Upstream:
    """An MCP server that wants a token of the provider."""

    provider: Provider
    served: list[str] = field(default_factory=list)
    """Whose token each admitted request carried."""
    refused: int = 0
    url: str = ""

    def app(self) -> Any:
        """The SDK's server behind a look at the token."""
        server: MCPServer[Any] = MCPServer("mail", log_level="ERROR")

        @server.tool()
        async def take(number: int) -> str:
            """Gives its argument back."""
            return str(number)

        inner = server.streamable_http_app()

        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            header = dict(scope["headers"]).get(b"authorization", b"").decode()
            owner = await self.provider.whose(header.removeprefix("Bearer "))
            if owner is None:
                self.refused += 1
                await _unauthorized(send)
                return
            self.served.append(owner)
            await inner(scope, receive, send)

        return guarded


async def _unauthorized(send: Any) -> None:
    headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@dataclass
class SignedIn:
    """The daemon with the service `mail`, whose members have keys and connections."""

    daemon: RunningDaemon
    provider: Provider
    upstream: Upstream
    keys: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def client(self, member: str = "bob") -> McpClient:
        """A member's client."""
        return McpClient(self.daemon.port, self.keys[member], Era.MODERN)

    async def call(self, member: str = "bob") -> Answer:
        """One call."""
        return await self.client(member).call("mail__take", {"number": 1})

    def arm(self, step: str | None) -> None:
        """The daemon ends itself behind this step of its next refresh, or behind none."""
        file = self.daemon.directory / FAILPOINT
        file.unlink(missing_ok=True)
        if step is not None:
            file.write_text(step)

    async def until_dead(self) -> None:
        """Waits for the daemon's end."""
        process = self.daemon.process
        assert process is not None
        assert await asyncio.to_thread(process.wait, 20) == -9
        self.daemon.process = None

    def row(self, member: str = "bob") -> Connection:
        """The connection as it lies on the disk."""
        with OfflineDatabase(self.daemon.directory / "wicket.db") as db:
            place = _place(db.all, member, self.texts["mail"])
            query = connections.of_member_service(place.agent_id, place.member_id, place.service_id)
            (row,) = db.all(query)
        return row

    def intent(self, member: str = "bob") -> RefreshIntent | None:
        """The open intent as it lies on the disk."""
        row = self.row(member)
        with OfflineDatabase(self.daemon.directory / "wicket.db") as db:
            found = db.all(refresh_intents.of_connection(row))
        return found[0] if found else None

    def kinds(self) -> list[str]:
        """The audit's kinds."""
        with OfflineDatabase(self.daemon.directory / "wicket.db") as db:
            return [row.kind for row in db.all(audit.rows_from(1))]

    async def deposit(self, member: str = "bob", *, due: bool = True) -> None:
        """New tokens of a new consent, in place of what there is. The daemon is stopped."""
        record = await self.provider.sign_in(member, self.upstream.url)
        async with self._desk() as (desk, box):
            place = await _live_place(desk, member, self.texts["mail"])
            await deposit(desk, box, place, record, due=due)

    @asynccontextmanager
    async def _desk(self) -> AsyncIterator[tuple[Desk, TokenBox]]:
        """The stopped daemon's own parts over its files."""
        home, clock = self.daemon.directory, SystemClock()
        assert self.daemon.process is None
        db = await SqliteDatabase.open(home / "wicket.db", clock)
        try:
            files = Keys(
                keyring.load(home / "server.keyring", {}),
                keyring.load_audit_key(home / "audit.key", {}),
            )
            own = await Installation.open(db, files, SystemRandom())
            sealer = Sealer(own.keyring, own.install_id, SystemRandom(), own.usage)
            journal = Journal(AuditTable(), clock, SystemIds())
            yield Desk.alone(db, journal, clock, SystemIds()), TokenBox(sealer)
        finally:
            await db.close()


def _place(read: Callable[[Query[Any]], Any], member: str, text: str) -> Place:
    (agent,) = read(agents.by_key_or_id("home"))
    (who,) = read(members.by_id(agent.id, member))
    (service,) = read(services.by_key(agent.id, "mail"))
    return Place(agent.id, who.id, service.id, "mail", text)


async def _live_place(desk: Desk, member: str, text: str) -> Place:
    agent = await desk.db.one(agents.by_key_or_id("home"))
    assert agent is not None
    who = await desk.db.one(members.by_id(agent.id, member))
    service = await desk.db.one(services.by_key(agent.id, "mail"))
    assert who is not None
    assert service is not None
    return Place(agent.id, who.id, service.id, "mail", text)


def connector(url: str) -> str:
    """A connector file for an upstream on loopback that wants a sign-in."""
    return (
        'key = "mail"\nname = "Mail"\n'
        f'transport = {{ kind = "streamable-http", url = "{url}",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
        'credential = { kind = "oauth" }\n[tools]\nread = ["take"]\n'
    )


@asynccontextmanager
async def signed_in(
    directory: Path, provider: Provider, *, settings: str = "", starts: bool = True
) -> AsyncIterator[SignedIn]:
    """Everything, until the block ends. The members' tokens are due unless `starts` is False."""
    upstream = Upstream(provider)
    async with serve_asgi(upstream.app()) as url:
        upstream.url = url
        texts = {"mail": connector(url)}
        daemon = RunningDaemon(directory, free_port(), RATE + LOOPBACK + settings)
        daemon.connectors = texts
        daemon.module = "tests.support.killable_daemon"
        daemon.prepare()
        scene = SignedIn(daemon, provider, upstream, texts=texts)
        try:
            await daemon.start()
            await _admit(scene)
            await asyncio.to_thread(daemon.stop)
            for member in MEMBERS:
                await scene.deposit(member)
            if starts:
                await daemon.start()
            yield scene
        finally:
            daemon.kill()


async def _admit(scene: SignedIn) -> None:
    async with AdminClient(scene.daemon.socket) as admin:
        await open_service(admin, "mail")
        for member in MEMBERS:
            scene.keys[member] = await add_member(admin, member)

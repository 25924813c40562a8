"""A member connected to a service through an authorization server, as if the sign-in were over.

The tokens are the server's own, deposited to the member's key the way a callback leaves them.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.oauth_server import AuthorizationServer, Client, Mode, serve_oauth
from tests.support.state import ADMIN, READ_S, State, open_state
from wicketd.connectors.catalogue import destination, parse_connector
from wicketd.domain.calls import Caller
from wicketd.domain.connections import Connection, ConnectionState, Credential
from wicketd.domain.ids import AgentId, ConnectionId, MemberId, Revision, ServiceId
from wicketd.domain.ports import Tx
from wicketd.oauth.refresh import Fault
from wicketd.oauth.token import TokenAnswer
from wicketd.services import oauth_records
from wicketd.services.desk import Desk, Unit
from wicketd.services.oauth_records import Source
from wicketd.services.refresh_flight import Grant, Keyed, Wanted
from wicketd.services.tokens import Opened, TokenBox, TokenRecord
from wicketd.services.transitions import Contents, Held, enter_connection
from wicketd.storage import app_credentials, connections, keys, refresh_intents, services
from wicketd.storage.app_credentials import StoredApp
from wicketd.storage.refresh_intents import RefreshIntent
from wicketd.vault.places import AppPlace
from wicketd.vault.secret import Secret

MAIL = """
key = "mail"
name = "Mail"
transport = { kind = "streamable-http", url = "https://mail.example.test/mcp" }
credential = { kind = "oauth" }
[tools]
read = ["search_mail"]
write = ["send_mail"]
"""
RESOURCE = "https://mail.example.test/mcp"


def record_of(
    tokens: dict[str, Any], server: AuthorizationServer, client: Client, at_ms: int, resource: str
) -> TokenRecord:
    """The record of a token answer."""
    answer = TokenAnswer(
        access_token=Secret(tokens["access_token"].encode()),
        refresh_token=(
            Secret(tokens["refresh_token"].encode()) if "refresh_token" in tokens else None
        ),
        scope=tokens.get("scope"),
        expires_in=tokens.get("expires_in"),
    )
    source = Source(
        issuer=server.issuer,
        token_endpoint=f"{server.url}/token",
        client_id=client.client_id,
        auth_method="none" if client.secret is None else "client_secret_basic",
        resource=resource,
        scopes="read",
    )
    return oauth_records.first(answer, source, at_ms)


@dataclass(frozen=True)
class Place:
    """Whose connection, to what. `text`: the connector file."""

    agent_id: AgentId
    member_id: MemberId
    service_id: ServiceId
    service: str
    text: str


async def deposit(
    desk: Desk, box: TokenBox, place: Place, record: TokenRecord, *, due: bool = False
) -> Connection:
    """Puts a record into a new row, sealed to the member's active key."""
    to = destination(parse_connector(place.text.encode(), "test"))
    assert to is not None
    now = desk.clock.now_ms()
    blank = Connection(
        id=ConnectionId(desk.ids.uuid7()),
        agent_id=place.agent_id,
        member_id=place.member_id,
        service_id=place.service_id,
        state=ConnectionState.SEALED,
        destination=to,
        account_label="bob",
        issuer=record.issuer,
        created_at=now,
        updated_at=now,
        rev=Revision(1),
    )

    def work(unit: Unit) -> Connection:
        key = unit.tx.one(keys.active_of(place.agent_id, place.member_id))
        assert key is not None
        query = connections.of_member_service(place.agent_id, place.member_id, place.service_id)
        was = unit.tx.one(query)
        shown = replace(oauth_records.described(was or blank, record), refresh_due=due)
        held = Held(shown, place.service)
        sealed = box.deposit(held, oauth_records.sealable(record), key)
        return enter_connection(unit, was, held, "deposit", sealed)

    return await desk.change(ADMIN, work)


@dataclass
class Connected:
    """Bob of agent `demo`, signed in to `mail` at a running authorization server."""

    state: State
    server: AuthorizationServer
    client: Client
    caller: Caller

    async def row(self) -> Connection:
        """The connection as it is stored."""
        row = await self.state.held()
        assert row is not None
        return row

    async def held(self) -> Held:
        """The row with its service."""
        return Held(await self.row(), "mail")

    async def store_pending(self, was: Connection, holds: Contents) -> None:
        """Puts a record into the pending window of a member without a key."""
        await self.edit(
            state=ConnectionState.PENDING,
            error=None,
            pending_ct=holds.pending_ct,
            pending_expires_at=holds.pending_expires_at,
            refreshable=was.refreshable,
            access_expires_at=was.access_expires_at,
        )

    async def intent(self) -> RefreshIntent | None:
        """The open intent."""
        return await self.state.db.one(refresh_intents.of_connection(await self.row()))

    async def opened(self) -> Opened:
        """The record in the clear."""
        return self.state.box.open_sealed(await self.held(), self.caller.key_id, self.caller.secret)

    async def reseal(self, record: TokenRecord) -> None:
        """Puts another record in its place, one generation on."""
        sealed = self.state.box.symmetric(
            await self.held(),
            oauth_records.sealable(record),
            self.caller.key_id,
            self.caller.secret,
        )
        await self.edit(sealed_ct=sealed.sealed_ct, generation=sealed.generation)

    async def leave_intent(self, **changes: Any) -> None:
        """An intent that a crash left behind."""
        row, record = await self.row(), (await self.opened()).details
        kid = self.state.keyring.active
        token = (record.refresh_token or "").encode()
        mac = self.state.sealer.digests("refresh-intent", token)[kid]
        base = RefreshIntent(row.id, row.generation, self.caller.key_id, kid, mac, "sent", 0)
        intent = replace(base, **changes)
        await self.state.db.write(lambda tx: tx.run(refresh_intents.insert(intent)))

    async def sign_in_again(self) -> None:
        """A new consent's tokens in place of what there is."""
        row = await self.row()
        tokens = self.server.grant(self.client, RESOURCE)
        at_ms = self.state.clock.now_ms()
        record = record_of(tokens, self.server, self.client, at_ms, RESOURCE)
        place = Place(row.agent_id, row.member_id, row.service_id, "mail", MAIL)
        await deposit(self.state.desk, self.state.box, place, record)
        self.state.desk.rows.forget()

    async def reject(self, grant: Grant) -> None:
        """The upstream did not take the grant's token either."""
        row = grant.connection
        used = Credential(row.destination, None, None, row.id, row.generation)
        await self.state.connections.unlocker.rejected(self.caller, "mail", used)

    async def set_app(self, client_id: str, secret: bytes) -> None:
        """Registers our app at the service."""
        row, at_ms = await self.row(), self.state.clock.now_ms()
        place = AppPlace(row.service_id, row.agent_id, "mail")
        kid, ct = self.state.sealer.app_secret(place, at_ms, secret)
        app = StoredApp(row.service_id, row.agent_id, self.server.issuer, client_id, ct, kid, at_ms)
        await self.state.db.write(lambda tx: tx.run(app_credentials.put(app)))

    async def last_error(self) -> str | None:
        """What the service shows."""
        agent = await self.state.agents.get("demo")
        service = await self.state.db.one(services.by_key(agent.id, "mail"))
        assert service is not None
        return service.last_error

    async def token(self) -> str | None:
        """The access token that a call gets now, None if it gets none."""
        opened = await self.state.connections.unlock(self.caller, "mail")
        if not isinstance(opened, Credential):
            return None
        assert opened.value is not None
        return opened.value.reveal().decode().removeprefix("Bearer ")

    async def fresh(self, not_generation: int | None = None) -> Grant | Fault:
        """One refresh, past the call path."""
        row = await self.row()
        connector = self.state.files().get("mail")
        assert connector is not None
        wanted = Wanted(not_generation)
        held = Held(row, "mail")
        return await self.state.refreshing.fresh(Keyed.of(self.caller), held, connector, wanted)

    async def edit(self, **changes: Any) -> Connection:
        """Changes the stored row."""
        after = replace(await self.row(), **changes)

        def work(tx: Tx) -> None:
            tx.run(connections.put(after))

        await self.state.db.write(work)
        self.state.desk.rows.forget()
        return after

    def grow_old(self) -> None:
        """The access token has expired."""
        self.state.clock.pass_s((self.server.lifetime_s or 0) + 1)


@asynccontextmanager
async def open_connected(
    directory: Path,
    mode: Mode = Mode.ROTATING,
    *,
    secret: str | None = None,
    due: bool = False,
    read_s: float = READ_S,
) -> AsyncIterator[Connected]:
    """Both run until the block ends. `read_s`: how long the server may be silent."""
    async with serve_oauth(mode) as server, open_state(directory, read_s=read_s) as state:
        state.connectors["mail"] = MAIL
        await state.services.reload(ADMIN)
        agent = await state.agent()
        await state.service(key="mail")
        member = await state.member()
        caller = await state.caller()
        service = await state.db.one(services.by_key(agent.id, "mail"))
        assert service is not None
        client = server.register(secret=secret)
        tokens = server.grant(client, RESOURCE)
        record = record_of(tokens, server, client, state.clock.now_ms(), RESOURCE)
        place = Place(agent.id, member.id, service.id, "mail", MAIL)
        await deposit(state.desk, state.box, place, record, due=due)
        connected = Connected(state, server, client, caller)
        if secret is not None:
            await connected.set_app(client.client_id, secret.encode())
        yield connected


class OwnProvider:
    """The in-tree server as a provider of many members."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self._client = server.register()
        self._owners: list[str] = []

    def owner(self, token: str) -> str | None:
        """Whose good access token this is."""
        for grant, owner in zip(self.server.grants, self._owners, strict=True):
            if token in grant.access_tokens and not grant.is_revoked:
                return owner
        return None

    async def whose(self, token: str) -> str | None:
        """The same, for those who ask over a network."""
        return self.owner(token)

    async def posts(self) -> int:
        """Requests that arrived at the token endpoint."""
        return len(self.server.token_requests)

    async def lost(self) -> int:
        """Grants that were revoked."""
        return len(self.server.revoked_grants)

    async def expire(self) -> None:
        """No access token issued so far is good any more."""
        self.server.expire_access_tokens()

    async def sign_in(self, member: str, resource: str) -> TokenRecord:
        """The record of a new consent."""
        self._owners.append(member)
        tokens = self.server.grant(self._client, resource)
        at_ms = time.time_ns() // 1_000_000
        return record_of(tokens, self.server, self._client, at_ms, resource)

"""The steps of one refresh, bound to a connection and to the member key that opens it.

Counterpart: `oauth.refresh`, which calls them in order. Both tables of security spec 5 end here:
what a kill leaves behind is what these transactions make durable, and each answer has its effect.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from wicketd.domain.actor import SYSTEM
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import Unhealthy, Unreachable, Upstream
from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.domain.secret import SecretBytes
from wicketd.oauth import token
from wicketd.oauth.refresh import Fault
from wicketd.oauth.token import ClientAuth, Meaning, TokenAnswer, TokenError
from wicketd.services import oauth_records
from wicketd.services.back_off import BackOff
from wicketd.services.breaking import (
    DECRYPT_FAILED,
    IN_DOUBT,
    INVALID_GRANT,
    REFRESH_LOST,
    REJECTED,
    alarm,
    break_now,
    current,
)
from wicketd.services.desk import Unit
from wicketd.services.refresh_tools import RefreshTools
from wicketd.services.tokens import Opened
from wicketd.services.transitions import Contents, Held, mark, move_connection
from wicketd.services.unwritten import Unwritten
from wicketd.storage import connections, refresh_intents, services
from wicketd.storage.refresh_intents import SENT, STARTED, RefreshIntent
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.secret import Secret

LOCK_S: Final = 35.0
"""Longer than the one POST of whoever holds it."""
POST_S: Final = 30.0
REJECTED_MS: Final = 300_000
"""After a refresh whose token the upstream refused too, the next one waits: an outage of the
upstream must not cost every member's tokens."""
REFUSED: Final = "The authorization server refuses our refreshes. Check the service's OAuth app."


@dataclass(frozen=True, slots=True)
class Keyed:
    """The holder of a member key, as far as its connections go."""

    agent_id: AgentId
    member_id: MemberId
    key_id: KeyId
    secret: SecretBytes

    @classmethod
    def of(cls, caller: Caller) -> "Keyed":
        """A call's."""
        return cls(caller.agent.id, caller.member.id, caller.key_id, caller.secret)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What would do. `not_generation`: the upstream refused this one's token; None: it is old."""

    not_generation: int | None = None

    def is_met(self, grant: "Grant", at_ms: int) -> bool:
        """Whether the grant's access token may be used as it is."""
        if self.not_generation is not None:
            return grant.connection.generation != self.not_generation
        return not oauth_records.is_due(grant.connection, grant.opened.details, at_ms)


@dataclass(frozen=True, slots=True)
class Grant:
    """A row and its record in the clear."""

    connection: Connection
    opened: Opened


@dataclass(frozen=True, slots=True)
class Successor:
    """The next generation, encrypted. It may wait for the disk, so nothing in it opens anything.

    `before`: the row that was refreshed; `shown`: the same with the facts of the new record.
    """

    before: Connection
    shown: Connection
    contents: Contents


@dataclass(frozen=True, slots=True)
class Sealed:
    """What goes into the row, and the record itself for the calls that wait."""

    successor: Successor
    opened: Opened


@dataclass(frozen=True, slots=True)
class Ground:
    """What flights share: tools, waits of token endpoints, pairs that wait for the disk."""

    tools: RefreshTools
    back_off: BackOff
    unwritten: Unwritten


class Flight:
    """Implements `oauth.refresh.Steps`."""

    def __init__(
        self,
        ground: Ground,
        keyed: Keyed,
        held: Held,
        connector: Connector,
        wanted: Wanted,
    ) -> None:
        self._ground = ground
        self._tools = tools = ground.tools
        self._desk = tools.desk
        self._keyed = keyed
        self._held = held
        self._connector = connector
        self._wanted = wanted
        self._client: ClientAuth | None = None

    def turn(self) -> AbstractAsyncContextManager[None]:
        """R1."""
        return self._desk.connection_locks.hold([self._held.connection.id], LOCK_S)

    async def read(self) -> Grant | None:
        """R2: what is stored now counts, not what the call remembers."""
        was = self._held.connection
        query = connections.of_member_service(was.agent_id, was.member_id, was.service_id)
        now = await self._desk.db.one(query)
        if now is None or now.state is not ConnectionState.SEALED:
            return None
        if now.destination != was.destination or now.sealed_key_id != self._keyed.key_id:
            return None
        held = Held(now, self._held.service)
        try:
            opened = self._tools.box.open_sealed(held, self._keyed.key_id, self._keyed.secret)
        except DecryptFailed:
            await break_now(self._desk, held, DECRYPT_FAILED)
            return None
        self._held = held
        return Grant(now, opened)

    def is_fresh(self, grant: Grant) -> bool:
        """R2."""
        return self._wanted.is_met(grant, self._now())

    async def preflight(self, grant: Grant) -> Fault | None:
        """R3: all that can be known before the token leaves."""
        connection, record = grant.connection, grant.opened.details
        if self._ground.unwritten.holds(connection.id) or self._ground.unwritten.is_full:
            return Fault.NOT_DURABLE
        if record.refresh_token is None or self._was_just_refused(connection):
            return Fault.RECONNECT
        if not self._ground.back_off.may_try(connection.id):
            return Fault.UNREACHABLE if connection.error == IN_DOUBT else Fault.UNSENT
        endpoint = await self._tools.issuers.own_endpoint(record, self._connector)
        if endpoint is None:
            return await self._not_sent("issuer_changed")
        self._client = await self._tools.issuers.client(connection, self._held.service, record)
        if self._client is None:
            return await self._not_sent("client_changed")
        return None if await self._tools.is_writable() else Fault.NOT_DURABLE

    async def is_in_doubt(self, grant: Grant) -> bool:
        """R3: an open intent tells whether this very token was sent before."""
        intent = await self._desk.db.one(refresh_intents.of_connection(grant.connection))
        if intent is None:
            return False
        macs = self._tools.macs(_refresh_token(grant))
        if intent.phase == SENT and macs.get(intent.kid, intent.rt_mac) == intent.rt_mac:
            return True
        await self._desk.db.write(lambda tx: tx.run(refresh_intents.delete(grant.connection)))
        return False

    async def begin(self, grant: Grant) -> None:
        """R4."""
        kid, mac = self._tools.mac(_refresh_token(grant))
        intent = RefreshIntent(
            connection_id=grant.connection.id,
            generation=grant.connection.generation,
            key_id=self._keyed.key_id,
            kid=kid,
            rt_mac=mac,
            phase=STARTED,
            started_at=self._now(),
        )
        await self._desk.db.write(lambda tx: tx.run(refresh_intents.insert(intent)))

    async def sending(self, grant: Grant) -> None:
        """R5: from here on the answer may be lost."""
        await self._desk.db.write(lambda tx: tx.run(refresh_intents.mark_sent(grant.connection)))

    async def ask(self, grant: Grant) -> TokenAnswer | TokenError:
        """R5 and R6: one POST, never repeated here."""
        record = grant.opened.details
        if self._client is None or record.token_endpoint is None:
            return TokenError(Meaning.UNSENT)
        form = token.refresh_request(
            self._client, refresh_token=_refresh_token(grant), resource=record.resource
        )
        try:
            async with asyncio.timeout(POST_S):
                answer = await self._tools.http.post_form(record.token_endpoint, form)
        except Unreachable as error:
            return TokenError(Meaning.IN_DOUBT if error.is_written else Meaning.UNSENT)
        except (Upstream, TimeoutError):
            return TokenError(Meaning.IN_DOUBT)
        return token.parse(answer.status, answer.headers, answer.body)

    async def failed(self, grant: Grant, error: TokenError, *, in_doubt: bool) -> Fault:
        """The table of answers."""
        if error.meaning is Meaning.GONE:
            await break_now(self._desk, self._held, REFRESH_LOST if in_doubt else INVALID_GRANT)
            return Fault.RECONNECT
        wait_s = token.retry_after_s(error.retry_after, self._now())
        self._ground.back_off.failed(grant.connection.id, wait_s)
        if error.meaning is Meaning.IN_DOUBT:
            await self._doubt()
            return Fault.UNREACHABLE
        if not in_doubt:
            await self._desk.db.write(lambda tx: tx.run(refresh_intents.delete(grant.connection)))
        if error.meaning is Meaning.REFUSED:
            await self._flag(error.code or "unknown")
            return Fault.UNREACHABLE
        return Fault.UNREACHABLE if in_doubt else Fault.UNSENT

    def seal(self, grant: Grant, answer: TokenAnswer) -> Sealed:
        """R7: symmetric, also where a deposit was."""
        details = oauth_records.renewed(grant.opened.details, answer, self._now())
        record = oauth_records.sealable(details)
        held = Held(grant.connection, self._held.service)
        contents = self._tools.box.symmetric(held, record, self._keyed.key_id, self._keyed.secret)
        shown = oauth_records.described(grant.connection, details)
        opened = Opened(
            token=Secret(details.access_token.encode("ascii")),
            record=record,
            details=details,
            is_deposit=False,
        )
        return Sealed(Successor(grant.connection, shown, contents), opened)

    async def commit(self, grant: Grant, sealed: Sealed) -> Grant | Fault:
        """R8."""
        write = partial(write_successor, self._ground, self._held.service, sealed.successor)
        try:
            after = await write()
        except Unhealthy:
            self._ground.unwritten.keep(grant.connection.id, write)
            return Fault.NOT_DURABLE
        return Fault.RECONNECT if after is None else Grant(after, sealed.opened)

    def _was_just_refused(self, connection: Connection) -> bool:
        """Whether the upstream took neither the last token nor, moments ago, its successor."""
        if self._wanted.not_generation is None or connection.error != REJECTED:
            return False
        return self._now() - (connection.last_refresh_at or 0) < REJECTED_MS

    async def _not_sent(self, why: str) -> Fault:
        self._ground.back_off.failed(self._held.connection.id)
        await self._flag(why)
        return Fault.UNREACHABLE

    async def _flag(self, code: str) -> None:
        service_id = self._held.connection.service_id
        await self._desk.db.write(lambda tx: tx.run(services.set_error(service_id, REFUSED)))
        alarm(self._desk, self._held, "refresh_refused", code)

    async def _doubt(self) -> None:
        def work(unit: Unit) -> None:
            now = current(unit, self._held.connection)
            if now is not None and now.generation == self._held.connection.generation:
                doubt(unit, Held(now, self._held.service))

        await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(self._held.connection.member_id)

    def _now(self) -> int:
        return self._desk.clock.now_ms()


async def write_successor(ground: Ground, service: str, successor: Successor) -> Connection | None:
    """R8: one transaction. None: something else has taken the row's place meanwhile.

    Raises:
        AuditNotDurable: it is not known to be on the disk; the same again does no harm.
    """
    before, shown = successor.before, successor.shown

    def work(unit: Unit) -> Connection | None:
        now = current(unit, before)
        if now is not None and now.sealed_ct == successor.contents.sealed_ct:
            return now  # a write that was given up has reached the disk after all
        unit.tx.run(refresh_intents.delete(before))
        if now is None or now.state is not ConnectionState.SEALED:
            return None
        if now.generation != before.generation:
            return None
        unit.tx.run(services.clear_error(now.service_id, REFUSED))
        fresh = replace(
            now,
            scopes=shown.scopes,
            access_expires_at=shown.access_expires_at,
            refreshable=shown.refreshable,
            refresh_due=False,
            last_refresh_at=unit.desk.clock.now_ms(),
        )
        return move_connection(unit, Held(fresh, service), "refresh", successor.contents)

    after = await ground.tools.desk.change(SYSTEM, work)
    ground.tools.desk.rows.forget(before.member_id)
    ground.back_off.succeeded(before.id)
    return after


def doubt(unit: Unit, held: Held) -> bool:
    """Marks a row whose refresh has no known answer, and tells the log once."""
    now = held.connection
    if now.error == IN_DOUBT or now.state is not ConnectionState.SEALED:
        return False
    due = Held(replace(now, refresh_due=True), held.service)
    mark(unit, due, IN_DOUBT, audit="connection.in_doubt")
    return True


def _refresh_token(grant: Grant) -> Secret:
    return Secret((grant.opened.details.refresh_token or "").encode("ascii"))

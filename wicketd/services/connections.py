"""Connections of members: save static tokens, discard, expire, follow moved connectors.

Counterpart: `services.unlocking` opens them for calls. Life cycle: `domain.connections.EDGES`. A
credential is bound to the destination of the connector in force when it was saved, and opens for no
other (security spec, 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wicketd.connectors.catalogue import Catalogue, destination
from wicketd.domain.accounts import Visitor
from wicketd.domain.actor import SYSTEM, Actor, Author
from wicketd.domain.calls import Caller, Failure
from wicketd.domain.catalogue import CredentialKind, Service
from wicketd.domain.connections import Connection, ConnectionState, Credential, Destination
from wicketd.domain.errors import Conflict, NotApproved, NotFound
from wicketd.domain.ids import AgentId, ConnectionId, MemberId, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberState
from wicketd.services import find
from wicketd.services.breaking import MOVED, forged
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.refreshing import Refreshing
from wicketd.services.tokens import TokenBox, static_record, static_token
from wicketd.services.transitions import (
    DESTROYED,
    Held,
    contents,
    enter_connection,
    move_connection,
    rewrite,
)
from wicketd.services.unlocking import Unlocker
from wicketd.storage import agents, connections, keys, services
from wicketd.vault.sealing import SealPublicForged
from wicketd.vault.secret import Secret


@dataclass(frozen=True, slots=True)
class Moved:
    """What a check of destinations changed."""

    broken: tuple[ConnectionId, ...]
    restored: tuple[ConnectionId, ...]


class Connections:
    """The use cases of connections that an admin or the daemon itself starts."""

    def __init__(
        self,
        desk: Desk,
        box: TokenBox,
        catalogue: Callable[[], Catalogue],
        refreshing: Refreshing | None = None,
    ) -> None:
        self._desk = desk
        self._box = box
        self._catalogue = catalogue
        self.unlocker = Unlocker(desk, box, catalogue, refreshing)
        """Opens credentials for calls."""

    async def unlock(self, caller: Caller, service_key: str) -> Credential | Failure:
        """Opens the caller's credential for one call (`services.unlocking`)."""
        return await self.unlocker.unlock(caller, service_key)

    async def list(self, agent: str) -> Sequence[Held]:
        """Facts about the agent's connections, no ciphertexts, each with its service's key or "".

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        rows = await self._desk.db.all(connections.of_agent(owner.id))
        found = await self._desk.db.all(services.of_agent(owner.id))
        names = {service.id: service.key for service in found}
        return [Held(row, names.get(row.service_id, "")) for row in rows]

    async def set_static(
        self, actor: Actor, agent: str, member: str, service: str, token: bytes
    ) -> Connection:
        """Stores a local member's token, sealed to the active key or pending the first.

        Raises:
            NotFound: there is no such agent, member or service.
            Conflict: the member has an account or is not approved, or the service takes no token.
            Invalid: the token could not stand in a header.
            Unhealthy: the member's stored public key half is not the one made at key issue.
        """

        def work(unit: Unit) -> Connection:
            owner = find.live_agent(unit.tx, agent)
            who = find.member(unit.tx, owner, member)
            _may_be_set_here(who)
            return self._save_static(unit, who, find.service(unit.tx, owner, service), token)

        return await self._saved(actor, work)

    async def set_own_static(
        self, visitor: Visitor, agent_id: str, service: str, token: bytes
    ) -> Connection:
        """Stores the visitor's token, sealed to the active key or pending the first.

        Raises:
            NotFound: the visitor is no member of such an agent, or it has no such service now.
            NotApproved: the invitation is not accepted yet.
            Conflict: the service takes no token.
            Invalid: the token could not stand in a header.
            Unhealthy: the member's stored public key half is not the one made at key issue.
        """

        def work(unit: Unit) -> Connection:
            who = find.own_member(unit.tx, visitor, agent_id)
            _may_connect(who)
            enabled = find.own_service(unit.tx, who.agent_id, service)
            return self._save_static(unit, who, enabled, token)

        return await self._saved(visitor, work)

    async def discard(self, actor: Actor, agent: str, member: str, service: str) -> Connection:
        """Destroys a member's credential for a service.

        Raises:
            NotFound: there is no such agent, member, service or connection.
            Conflict: it is revoked already.
        """

        def work(unit: Unit) -> Connection:
            owner = find.agent(unit.tx, agent)
            who = find.member(unit.tx, owner, member)
            enabled = find.service(unit.tx, owner, service)
            missing = NotFound(
                f"{who.principal} has no connection to {service}. Nothing was changed."
            )
            query = connections.of_member_service(owner.id, who.id, enabled.id)
            row = find.require(unit.tx, query, missing)
            return move_connection(unit, Held(row, service), "revoke")

        return await self._discarded(actor, work)

    async def disconnect_own(self, visitor: Visitor, agent_id: str, service: str) -> Connection:
        """Destroys the visitor's credential for a service.

        Raises:
            NotFound: the visitor is no member of such an agent, or has no connection there.
            Conflict: it is revoked already.
        """

        def work(unit: Unit) -> Connection:
            who = find.own_member(unit.tx, visitor, agent_id)
            missing = NotFound("You have no connection to this service. Nothing was changed.")
            kept = find.require(unit.tx, services.by_key(who.agent_id, service), missing)
            query = connections.of_member_service(who.agent_id, who.id, kept.id)
            row = find.require(unit.tx, query, missing)
            return move_connection(unit, Held(row, service), "revoke")

        return await self._discarded(visitor, work)

    async def follow_destinations(self, actor: Actor = SYSTEM) -> Moved:
        """Breaks connections whose connector moved and restores those whose edit was taken back.

        Runs at start and after each catalogue reload. Ciphertexts are kept: they open for their own
        origin only.
        """
        moved = await self._desk.change(actor, self._follow)
        self._desk.rows.forget()
        if moved.broken:
            self._alarm("connector_moved")
        if moved.broken or moved.restored:
            self._desk.events.publish(Topic.CONNECTIONS, {"moved": len(moved.broken)})
        return moved

    async def expire_pending(self) -> int:
        """Destroys tokens whose pending window is over and gives their number.

        Runs at start, then every 5 min.
        """
        expired = await self._desk.change(SYSTEM, self._expire)
        if expired:
            await self._desk.wal.truncate()
            self._desk.events.publish(Topic.CONNECTIONS, {"expired": expired})
        return expired

    async def _saved(self, author: Author, work: Callable[[Unit], Connection]) -> Connection:
        try:
            saved = await self._desk.change(author, work)
        except SealPublicForged as error:
            raise forged(self._desk) from error
        self._after(saved.agent_id, saved.member_id)
        return saved

    async def _discarded(self, author: Author, work: Callable[[Unit], Connection]) -> Connection:
        gone = await self._desk.change(author, work)
        self._after(gone.agent_id, gone.member_id)
        await self._desk.wal.truncate()
        return gone

    def _save_static(self, unit: Unit, who: Member, enabled: Service, token: bytes) -> Connection:
        to = self._static_destination(enabled.key)
        record = static_record(static_token(token), unit.desk.clock.now_ms(), to.origin)
        row = unit.tx.one(connections.of_member_service(who.agent_id, who.id, enabled.id))
        return self._save(unit, Saving(who, enabled, to, record), row)

    def _save(self, unit: Unit, saving: "Saving", row: Connection | None) -> Connection:
        key = unit.tx.one(keys.active_of(saving.member.agent_id, saving.member.id))
        connection = self._blank(saving) if row is None else _static(row, saving.to)
        held = Held(connection, saving.service.key)
        now = unit.desk.clock.now_ms()
        holds, trigger = self._box.kept(held, saving.record, key, now)
        return enter_connection(unit, row, held, trigger, holds)

    def _blank(self, saving: "Saving") -> Connection:
        now = self._desk.clock.now_ms()
        return Connection(
            id=ConnectionId(self._desk.ids.uuid7()),
            agent_id=saving.member.agent_id,
            member_id=saving.member.id,
            service_id=saving.service.id,
            state=ConnectionState.PENDING,
            destination=saving.to,
            created_at=now,
            updated_at=now,
            rev=Revision(1),
        )

    def _static_destination(self, service: str) -> Destination:
        connector = self._catalogue().get(service)
        if connector is None or connector.credential.kind is not CredentialKind.STATIC:
            message = f"The service {service} takes no static token. See it in the catalogue."
            raise Conflict(message, hint=f"wicket catalogue show {service}")
        to = destination(connector)
        if to is None:
            message = (
                f"The connector {service} names no place for a token. Correct its file and reload."
            )
            raise Conflict(message, hint="wicket catalogue reload")
        return to

    def _follow(self, unit: Unit) -> Moved:
        broken: list[ConnectionId] = []
        restored: list[ConnectionId] = []
        for held in _all_held(unit):
            trigger = self._follow_trigger(held)
            if trigger is None:
                continue
            reason = MOVED if trigger == "break" else None
            move_connection(unit, held, trigger, contents(held.connection), reason)
            (broken if trigger == "break" else restored).append(held.connection.id)
        return Moved(tuple(broken), tuple(restored))

    def _follow_trigger(self, held: Held) -> str | None:
        connector = self._catalogue().get(held.service)
        if connector is None:
            return None
        connection, here = held.connection, destination(connector)
        if connection.state in {ConnectionState.PENDING, ConnectionState.SEALED}:
            return None if connection.destination == here else "break"
        if connection.error != MOVED or connection.destination != here:
            return None
        if connection.sealed_ct is not None:
            return "restore_sealed"
        return "restore_pending" if connection.pending_ct is not None else None

    def _expire(self, unit: Unit) -> int:
        now, count = unit.desk.clock.now_ms(), 0
        for held in _all_held(unit):
            connection = held.connection
            if connection.pending_expires_at is None or connection.pending_expires_at > now:
                continue
            if connection.state is ConnectionState.PENDING:
                move_connection(unit, held, "expire")
            else:
                rewrite(unit, held, DESTROYED, connection.error)
            count += 1
        return count

    def _after(self, agent_id: AgentId, member_id: MemberId) -> None:
        self._desk.rows.forget(member_id)
        data: JsonObject = {"member": member_id}
        self._desk.events.publish(Topic.CONNECTIONS, data, agent_id)

    def _alarm(self, what: str) -> None:
        self._desk.events.publish(Topic.STATUS, {"alarm": what})


def _static(row: Connection, to: Destination) -> Connection:
    """A row that takes a static token: nothing of a provider's sign-in stays with it."""
    return replace(
        row,
        destination=to,
        account_label=None,
        issuer=None,
        scopes=None,
        access_expires_at=None,
        refreshable=False,
        refresh_due=False,
        missing_scopes=None,
    )


@dataclass(frozen=True, slots=True)
class Saving:
    """One token on its way into a row."""

    member: Member
    service: Service
    to: Destination
    record: Secret


def _all_held(unit: Unit) -> Sequence[Held]:
    """Connections agent by agent: no query fetches tokens by service alone."""
    return [
        Held(connection, service)
        for agent in unit.tx.all(agents.all())
        for connection, service in unit.tx.all(connections.of_agent_with_service(agent.id))
    ]


def _may_connect(member: Member) -> None:
    if member.state not in {MemberState.PENDING, MemberState.APPROVED}:
        message = "You have not accepted the invitation yet. Accept it, then connect."
        raise NotApproved(message)


def _may_be_set_here(member: Member) -> None:
    if not member.is_local:
        message = (
            f"{member.principal} has an account and connects in the portal. "
            "Set tokens of local members here."
        )
        raise Conflict(message)
    if member.state is not MemberState.APPROVED:
        message = (
            f"{member.principal} is {member.state.value}, so it takes no token. "
            "Add the member again."
        )
        raise Conflict(message)

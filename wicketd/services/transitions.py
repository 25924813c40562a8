"""Takes one edge of a member's, invitation's, key's or connection's life cycle in a transaction.

Check, row and audit row go together. Counterpart: the EDGES tables of `domain`; a transition that
is not in them raises `Conflict` and writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wicketd.domain.accounts import INVITE_EDGES, Invite, InviteState
from wicketd.domain.connections import EDGES as CONNECTION_EDGES
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.ids import MemberId, Revision
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.lifecycle import Edge, take
from wicketd.domain.members import EDGES as MEMBER_EDGES
from wicketd.domain.members import KEY_EDGES, KeyState, Member, MemberKey, MemberState
from wicketd.services.desk import Unit
from wicketd.storage import connections, invites, keys, members, refresh_intents


@dataclass(frozen=True, slots=True)
class Held:
    """A connection with the key of its service, as audit rows name it."""

    connection: Connection
    service: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a connection holds after a transition; the default is: nothing.

    `generation` None: it stays.
    """

    pending_ct: bytes | None = None
    pending_expires_at: int | None = None
    sealed_ct: bytes | None = None
    sealed_suite: int | None = None
    outer_kid: str | None = None
    sealed_key_id: str | None = None
    generation: int | None = None


DESTROYED = Contents()
_NEW_TOKENS: Final = frozenset({"deposit", "save", "revoke", "expire"})
"""Other tokens or none: whatever was in doubt about the old ones does not matter any more."""
_GIVEN_UP: Final = frozenset({"revoke", "expire"})
"""After these the provider is told. A newer record takes an older one's place without a word: some
providers would revoke the whole grant and the new tokens with it."""


def contents(connection: Connection) -> Contents:
    """What the connection holds now."""
    return Contents(
        connection.pending_ct,
        connection.pending_expires_at,
        connection.sealed_ct,
        connection.sealed_suite,
        connection.outer_kid,
        connection.sealed_key_id,
        connection.generation,
    )


def move_member(unit: Unit, before: Member, trigger: str, reason: str | None = None) -> Member:
    """Writes the member after `trigger` with its audit row, and gives it.

    Raises:
        Conflict: its state has no such edge.
    """
    edge = take(MEMBER_EDGES, before.state, trigger, "member")
    after = replace(
        before,
        state=MemberState(edge.target),
        state_at=unit.desk.clock.now_ms(),
        state_by=unit.author.label(),
        rev=Revision(before.rev + 1),
    )
    unit.tx.run(members.update(after))
    facts: JsonObject = {"state": after.state.value}
    if reason is not None:
        facts["reason"] = reason
    unit.audit(
        edge.audit,
        after.principal,
        before={"state": before.state.value},
        after=facts,
        agent_id=after.agent_id,
        member_id=after.id,
    )
    return after


def put_labels(unit: Unit, member: Member) -> None:
    """Replaces the stored groups and tags by the member's."""
    for statement in members.set_labels(member.id, member.groups, member.tags):
        unit.tx.run(statement)


def end_invite(unit: Unit, member_id: MemberId) -> Invite | None:
    """Closes the member's open invitation, if there is one, and gives it as it was."""
    invite = unit.tx.one(invites.open_of_member(member_id))
    if invite is not None:
        close_invite(unit, invite)
    return invite


def close_invite(unit: Unit, invite: Invite) -> None:
    """Revokes an open invitation, or notes that its time is over.

    Raises:
        Conflict: it is not open any more.
    """
    now = unit.desk.clock.now_ms()
    is_over = invite.state(now) is InviteState.EXPIRED and invite.revoked_at is None
    source = InviteState.OPEN if is_over else invite.state(now)
    edge = take(INVITE_EDGES, source, "expire" if is_over else "revoke", "invitation")
    statement = invites.expire if is_over else invites.revoke
    unit.tx.run(statement(invite.id, now))
    unit.audit(
        edge.audit,
        invite.email,
        before={"invite": invite.id, "state": source.value},
        after={"state": edge.target.value},
        agent_id=invite.agent_id,
        member_id=invite.member_id,
    )


def move_connection(
    unit: Unit, held: Held, trigger: str, holds: Contents = DESTROYED, reason: str | None = None
) -> Connection:
    """Writes the connection after `trigger` with its audit row, and gives it.

    `reason`: why it broke.

    Raises:
        Conflict: its state has no such edge.
    """
    connection = held.connection
    edge = take(CONNECTION_EDGES, connection.state, trigger, "connection")
    held_now = _holding(connection, holds, reason, unit.desk.clock.now_ms())
    after = replace(held_now, state=ConnectionState(edge.target))
    if trigger in _GIVEN_UP:
        unit.then(unit.desk.revocation.of_connection(unit.tx, connection, held.service))
    if trigger in _NEW_TOKENS:
        unit.tx.run(refresh_intents.delete(connection))
    unit.tx.run(connections.put(after))
    _audit_connection(unit, Held(after, held.service), edge)
    return after


def enter_connection(
    unit: Unit, row: Connection | None, held: Held, trigger: str, holds: Contents
) -> Connection:
    """Writes new tokens over the connection that stands there, or opens the first one.

    `row`: what stands there; `held`: with the facts it will show.

    Raises:
        Conflict: its state has no such edge.
    """
    if row is None:
        return _open_connection(unit, held, trigger, holds)
    return move_connection(unit, held, trigger, holds)


def end_key(unit: Unit, key: MemberKey, trigger: str, reason: str | None) -> Callable[[], None]:
    """Ends an active key and its tool sessions; what it gives runs after the commit.

    Raises:
        Conflict: the key ended before.
    """
    edge = take(KEY_EDGES, key.state, trigger, "key")
    kind = KeyState(edge.target)
    at_ms, by = unit.desk.clock.now_ms(), unit.author.label()
    unit.tx.run(keys.end(key.id, at_ms, kind, reason, by))
    unit.audit(
        edge.audit,
        key.key_id,
        before={"state": key.state.value},
        after={"state": kind.value, "reason": reason},
        agent_id=key.agent_id,
        member_id=key.member_id,
        key_id=key.key_id,
    )
    return unit.desk.sessions.end_of_key(unit.tx, key.id)


def rewrite(unit: Unit, held: Held, holds: Contents, reason: str | None) -> Connection:
    """Replaces what a broken connection still holds; no transition, so no audit row."""
    after = _holding(held.connection, holds, reason, unit.desk.clock.now_ms())
    unit.tx.run(connections.put(after))
    return after


def mark(unit: Unit, held: Held, reason: str | None, audit: str | None = None) -> Connection:
    """Notes on a sealed connection why it cannot be used now, or that it can; it holds the same.

    `audit`: the kind of its row, if the log tells of it.
    """
    connection = held.connection
    after = replace(
        connection,
        error=reason,
        updated_at=unit.desk.clock.now_ms(),
        rev=Revision(connection.rev + 1),
    )
    unit.tx.run(connections.put(after))
    if audit is not None:
        edge = Edge(after.state, after.state, "mark", audit)
        _audit_connection(unit, Held(after, held.service), edge)
    return after


def break_sealed(unit: Unit, held: Sequence[Held], reason: str) -> None:
    """Destroys what only an ended key could open: sealed connections need a new sign-in."""
    for one in held:
        if one.connection.state is ConnectionState.SEALED:
            move_connection(unit, one, "break", reason=reason)
        elif one.connection.sealed_ct is not None:
            rewrite(unit, one, DESTROYED, reason)


def revoke_all(unit: Unit, held: Sequence[Held]) -> None:
    """Revokes and destroys every connection that is not revoked yet."""
    for one in held:
        if one.connection.state is not ConnectionState.REVOKED:
            move_connection(unit, one, "revoke")


def _open_connection(unit: Unit, held: Held, trigger: str, holds: Contents) -> Connection:
    """Writes a connection that did not exist, with its audit row. `held`: with the id it will have.

    Raises:
        Conflict: none may begin like this.
    """
    edge = take(CONNECTION_EDGES, None, trigger, "connection")
    filled = _holding(held.connection, holds, None, held.connection.created_at)
    after = replace(filled, state=ConnectionState(edge.target), rev=held.connection.rev)
    unit.tx.run(connections.put(after))
    _audit_connection(unit, Held(after, held.service), edge)
    return after


def _holding(connection: Connection, holds: Contents, reason: str | None, at_ms: int) -> Connection:
    if holds.pending_ct is None and holds.sealed_ct is None:
        connection = replace(
            connection, access_expires_at=None, refreshable=False, refresh_due=False
        )
    return replace(
        connection,
        pending_ct=holds.pending_ct,
        pending_expires_at=holds.pending_expires_at,
        sealed_ct=holds.sealed_ct,
        sealed_suite=holds.sealed_suite,
        outer_kid=holds.outer_kid,
        sealed_key_id=holds.sealed_key_id,
        generation=connection.generation if holds.generation is None else holds.generation,
        error=reason,
        updated_at=at_ms,
        rev=Revision(connection.rev + 1),
    )


def _audit_connection(unit: Unit, held: Held, edge: Edge) -> None:
    after = held.connection
    facts: dict[str, Json] = {"state": after.state.value, "generation": after.generation}
    if after.error is not None:
        facts["reason"] = after.error
    unit.audit(
        edge.audit,
        after.id,
        before=None if edge.source is None else {"state": edge.source.value},
        after=facts,
        agent_id=after.agent_id,
        member_id=after.member_id,
        key_id=after.sealed_key_id,
        service=held.service,
    )

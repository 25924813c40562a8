"""Member keys: issue for local members, list, revoke. Life cycle: `domain.members.KEY_EDGES`.

Invariants: the key's text exists in the answer of `issue` alone; whatever was pending is sealed in
the transaction that makes the key; what only an ended key could open is destroyed in the one that
ends it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.actor import Actor
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ids import KeyId
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import KEY_EDGES, Member, MemberKey, MemberState
from wicketd.domain.ports import Random
from wicketd.services import find, rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.tokens import TokenBox
from wicketd.services.transitions import (
    DESTROYED,
    Held,
    break_sealed,
    end_key,
    move_connection,
    rewrite,
)
from wicketd.storage import connections, keys
from wicketd.vault import member_key, sealing
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.keyring import Keyring
from wicketd.vault.member_key import NewKey
from wicketd.vault.sealing import Sealer

REASON_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class KeyMint:
    """Makes keys and what is stored of them."""

    keyring: Keyring
    sealer: Sealer
    random: Random

    def row(self, row_id: str, member: Member, new: NewKey, at_ms: int) -> MemberKey:
        """What is kept of `new`: a keyed verifier and the public seal half with its MAC."""
        kid = self.keyring.active
        subkey = self.keyring.subkey(kid, "member-verifier")
        public = sealing.seal_public(new.secret, new.key_id, member.agent_id)
        return MemberKey(
            id=row_id,
            key_id=new.key_id,
            agent_id=member.agent_id,
            member_id=member.id,
            srv_kid=kid,
            verifier=member_key.verifier(
                subkey, new.key_id, member.agent_id, member.id, new.secret
            ),
            seal_public=public,
            seal_mac=self.sealer.seal_mac(kid, new.key_id, member.agent_id, member.id, public),
            created_at=at_ms,
            last_used_day=None,
            ended_at=None,
            ended_kind=None,
            ended_reason=None,
            ended_by=None,
        )


class Keys:
    """The use cases of member keys."""

    def __init__(self, desk: Desk, mint: KeyMint, box: TokenBox) -> None:
        self._desk = desk
        self._mint = mint
        self._box = box

    async def list(self, agent: str) -> Sequence[MemberKey]:
        """Every key of the agent, ended ones included, newest first.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await self._desk.db.all(keys.of_agent(owner.id))

    async def issue(self, actor: Actor, agent: str, member: str) -> tuple[MemberKey, str]:
        """Makes a local member's key, seals what was pending to it, gives the text once.

        Raises:
            NotFound: there is no such agent or member.
            Conflict: the member has an account, is not approved, or has an active key.
        """
        new = member_key.generate(self._mint.random)

        def work(unit: Unit) -> MemberKey:
            owner = find.live_agent(unit.tx, agent)
            who = find.member(unit.tx, owner, member)
            _may_have_key(who)
            active = unit.tx.one(keys.active_of(owner.id, who.id))
            edge = take(KEY_EDGES, None if active is None else active.state, "issue", "key")
            if unit.tx.one(keys.by_key_id(new.key_id)) is not None:
                message = "The drawn key id is taken. Issue the key again."
                raise Conflict(message)
            row = self._mint.row(self._desk.ids.uuid7(), who, new, self._desk.clock.now_ms())
            unit.tx.run(keys.insert(row))
            unit.audit(
                edge.audit,
                row.key_id,
                after={"member": who.principal, "state": row.state.value},
                agent_id=owner.id,
                member_id=who.id,
                key_id=row.key_id,
            )
            self._seal_pending(unit, who, new)
            return row

        row = await self._desk.change(actor, work)
        self._desk.forget_member(row.member_id)
        await self._desk.wal.truncate()
        self._tell(row)
        return row, new.text.reveal().decode("ascii")

    async def revoke(self, actor: Actor, agent: str, member: str, reason: str | None) -> MemberKey:
        """Ends a member's active key at once; sealed connections need a new sign-in.

        Raises:
            NotFound: there is no such agent or member.
            Conflict: the member has no active key.
        """

        def find_key(unit: Unit) -> MemberKey:
            owner = find.agent(unit.tx, agent)
            who = find.member(unit.tx, owner, member)
            active = unit.tx.one(keys.active_of(owner.id, who.id))
            if active is None:
                message = f"{who.principal} has no active key. There is nothing to revoke."
                raise Conflict(message)
            return active

        return await self._revoke(actor, find_key, reason)

    async def revoke_by_id(self, actor: Actor, key_id: str, reason: str | None) -> MemberKey:
        """The same for a key of which only its public id is known, for example a leaked one.

        Raises:
            NotFound: no key has this id.
            Conflict: it ended before.
        """

        def find_key(unit: Unit) -> MemberKey:
            missing = NotFound(
                f"No key has the id {key_id[:8]!r}. It is 8 characters, behind the last _."
            )
            return find.require(unit.tx, keys.by_key_id(KeyId(key_id)), missing).key

        return await self._revoke(actor, find_key, reason)

    async def _revoke(
        self, actor: Actor, find_key: Callable[[Unit], MemberKey], reason: str | None
    ) -> MemberKey:
        why = rules.note(reason, REASON_MAX)
        callbacks: list[Callable[[], None]] = []

        def work(unit: Unit) -> MemberKey:
            key = find_key(unit)
            callbacks.append(end_key(unit, key, "revoke", why))
            break_sealed(unit, held_by(unit, key.agent_id, key.member_id), "key_revoked")
            return key

        key = await self._desk.change(actor, work)
        self._desk.forget_key(key.key_id, key.member_id)
        self._desk.calls.end_key(key.key_id)
        for callback in callbacks:
            callback()
        await self._desk.wal.truncate()
        self._tell(key)
        return key

    def _seal_pending(self, unit: Unit, member: Member, new: NewKey) -> None:
        for held in held_by(unit, member.agent_id, member.id):
            if held.connection.pending_ct is not None:
                self._seal_one(unit, held, new)

    def _seal_one(self, unit: Unit, held: Held, new: NewKey) -> None:
        """Seals a pending record; one whose connector moved is sealed too and stays broken."""
        connection = held.connection
        is_pending = connection.state is ConnectionState.PENDING
        if (connection.pending_expires_at or 0) <= unit.desk.clock.now_ms():
            if is_pending:
                move_connection(unit, held, "expire")
            else:
                rewrite(unit, held, DESTROYED, connection.error)
            return
        try:
            record = self._box.open_pending(held)
        except DecryptFailed:
            if is_pending:
                move_connection(unit, held, "break", reason="decrypt_failed")
            else:
                rewrite(unit, held, DESTROYED, "decrypt_failed")
            return
        sealed = self._box.symmetric(held, record, new.key_id, new.secret)
        if is_pending:
            move_connection(unit, held, "seal", sealed)
        else:
            rewrite(unit, held, sealed, connection.error)

    def _tell(self, key: MemberKey) -> None:
        data: JsonObject = {"member": key.member_id, "key": key.key_id}
        self._desk.events.publish(Topic.MEMBERS, data, key.agent_id)
        self._desk.events.publish(Topic.CONNECTIONS, {"member": key.member_id}, key.agent_id)


def held_by(unit: Unit, agent_id: str, member_id: str) -> Sequence[Held]:
    """The member's connections with their services' keys."""
    rows = unit.tx.all(connections.of_member_with_service(agent_id, member_id))
    return [Held(connection, service) for connection, service in rows]


def _may_have_key(member: Member) -> None:
    if not member.is_local:
        message = (
            f"{member.principal} has an account and makes the key in the portal. "
            "Only a local member's key is issued here."
        )
        raise Conflict(message)
    if member.state is not MemberState.APPROVED:
        message = (
            f"{member.principal} is {member.state.value}, so it gets no key. Add the member again."
        )
        raise Conflict(message)

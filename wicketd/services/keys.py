"""Member keys: made, changed, lost, revoked. Life cycle: `domain.members.KEY_EDGES`.

Admins issue those of local members; whoever has an account makes its own in the portal.

Invariants: the key's text exists in the answer of its making alone; whatever was pending is sealed
in the transaction that makes the key; what only an ended key could open is sealed to the next one
or destroyed in the transaction that ends it. Source: security spec, section 4.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wicketd.domain.accounts import Visitor
from wicketd.domain.actor import Actor, Author
from wicketd.domain.errors import Conflict, Invalid, NotApproved, NotFound
from wicketd.domain.ids import AgentId, KeyId
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import KEY_EDGES, Member, MemberKey, MemberState
from wicketd.domain.ports import Random
from wicketd.services import find, rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.refresh_flight import Keyed
from wicketd.services.resealing import Resealer
from wicketd.services.transitions import end_key
from wicketd.storage import connections, keys
from wicketd.vault import member_key, sealing
from wicketd.vault.keyring import Keyring
from wicketd.vault.member_key import NewKey, ParsedKey
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

REASON_MAX: Final = 500
REFRESHES_END_S: Final = 35.0
"""How long a change of key waits for refreshes of the member's tokens, which take up to 30 s."""


RefreshAtSeal: TypeAlias = Callable[[Keyed], Awaitable[None]]
"""Does not raise; takes 10 s at most (security spec, 4)."""


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

    def is_of(self, key: MemberKey, presented: ParsedKey) -> bool:
        """Whether `presented` is the very key that `key` is the row of."""
        if key.key_id != presented.key_id or key.srv_kid not in self.keyring.kids:
            return False
        subkey = self.keyring.subkey(key.srv_kid, "member-verifier")
        computed = member_key.verifier(
            subkey, key.key_id, key.agent_id, key.member_id, presented.secret
        )
        return member_key.matches(key.verifier, computed)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made: `text` is shown once and kept nowhere."""

    row: MemberKey
    text: Secret


class Keys:
    """The use cases of member keys."""

    def __init__(
        self,
        desk: Desk,
        mint: KeyMint,
        resealer: Resealer,
        recent: RecentFactor,
        refresh: RefreshAtSeal | None = None,
    ) -> None:
        """`refresh`: replaces what lay in the pending window, right after it was sealed."""
        self._refresh = refresh
        self._desk = desk
        self._mint = mint
        self._resealer = resealer
        self._recent = recent

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
            return self._make_first(unit, who, new)

        issued = await self._issued(actor, new, work)
        return issued.row, issued.text.reveal().decode("ascii")

    async def issue_own(self, visitor: Visitor, agent_id: str) -> IssuedKey:
        """Makes the visitor's key for an agent and seals what was pending to it.

        Raises:
            SecondFactorNeeded: no code was entered in the last 5 minutes.
            Forbidden: NotApproved, or a sign-in that is too old.
            NotFound: the visitor is no member of such an agent.
            Conflict: there is an active key already.
        """
        self._recent.check(visitor)
        new = member_key.generate(self._mint.random)

        def work(unit: Unit) -> MemberKey:
            return self._make_first(unit, _approved(unit, visitor, agent_id), new)

        return await self._issued(visitor, new, work)

    async def rotate_own(self, visitor: Visitor, agent_id: str, old_key: bytes) -> IssuedKey:
        """Replaces the visitor's key: what `old_key` opens is sealed to the new one, it is ended.

        Raises:
            SecondFactorNeeded: no code was entered in the last 5 minutes.
            Forbidden: NotApproved, or a sign-in that is too old.
            NotFound: the visitor is no member of such an agent.
            Invalid: `old_key` is not the key in use.
            Conflict: there is no active key, or a refresh of a token did not end within 35 s.
        """
        self._recent.check(visitor)
        new, ended = member_key.generate(self._mint.random), _Ended()

        def work(unit: Unit) -> MemberKey:
            who = _approved(unit, visitor, agent_id)
            presented = member_key.parse(old_key)
            active = _active(unit, who)
            if presented is None or not self._mint.is_of(active, presented):
                message = (
                    "This is not the key in use. Paste all 62 characters of it, or say that you "
                    "lost it."
                )
                raise Invalid(message)
            ended.end(unit, active, "rotate", None)
            row = self._make(unit, who, new)
            self._resealer.rekey(unit, who, presented, new)
            self._resealer.seal_pending(unit, who, new)
            return row

        mine = await self._desk.db.all(
            connections.ids_of_account(AgentId(agent_id), visitor.account.id)
        )
        async with self._desk.connection_locks.hold(mine, REFRESHES_END_S):
            return await self._issued(visitor, new, work, ended)

    async def replace_lost(self, visitor: Visitor, agent_id: str) -> IssuedKey:
        """Replaces a key that nobody has any more: what it sealed is destroyed.

        Raises:
            SecondFactorNeeded: no code was entered in the last 5 minutes.
            Forbidden: NotApproved, or a sign-in that is too old.
            NotFound: the visitor is no member of such an agent.
            Conflict: there is no active key.
        """
        self._recent.check(visitor)
        new, ended = member_key.generate(self._mint.random), _Ended()

        def work(unit: Unit) -> MemberKey:
            who = _approved(unit, visitor, agent_id)
            ended.end(unit, _active(unit, who), "reset_lost", None)
            self._resealer.forget(unit, who.agent_id, who.id, "key_lost")
            row = self._make(unit, who, new)
            self._resealer.seal_pending(unit, who, new)
            return row

        return await self._issued(visitor, new, work, ended)

    async def revoke_own(self, visitor: Visitor, agent_id: str) -> MemberKey:
        """Ends the visitor's key for an agent at once; asks for no code, so that it always works.

        Raises:
            NotFound: the visitor is no member of such an agent.
            Conflict: there is no active key.
        """

        def find_key(unit: Unit) -> MemberKey:
            return _active(unit, find.own_member(unit.tx, visitor, agent_id))

        return await self._revoke(visitor, find_key, None)

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
        self, author: Author, find_key: Callable[[Unit], MemberKey], reason: str | None
    ) -> MemberKey:
        why, ended = rules.note(reason, REASON_MAX), _Ended()

        def work(unit: Unit) -> MemberKey:
            key = find_key(unit)
            ended.end(unit, key, "revoke", why)
            self._resealer.forget(unit, key.agent_id, key.member_id, "key_revoked")
            return key

        key = await self._desk.change(author, work)
        self._let_go(ended)
        await self._desk.wal.truncate()
        self._tell(key)
        return key

    def _make_first(self, unit: Unit, who: Member, new: NewKey) -> MemberKey:
        active = unit.tx.one(keys.active_of(who.agent_id, who.id))
        take(KEY_EDGES, None if active is None else active.state, "issue", "key")
        row = self._make(unit, who, new)
        self._resealer.seal_pending(unit, who, new)
        return row

    def _make(self, unit: Unit, who: Member, new: NewKey) -> MemberKey:
        """Stores the new key's row. Whatever key the member had has ended in this transaction."""
        edge = take(KEY_EDGES, None, "issue", "key")
        if unit.tx.one(keys.by_key_id(new.key_id)) is not None:
            message = "The drawn key id is taken. Issue the key again."
            raise Conflict(message)
        row = self._mint.row(self._desk.ids.uuid7(), who, new, self._desk.clock.now_ms())
        unit.tx.run(keys.insert(row))
        unit.audit(
            edge.audit,
            row.key_id,
            after={"member": who.principal, "state": row.state.value},
            agent_id=who.agent_id,
            member_id=who.id,
            key_id=row.key_id,
        )
        return row

    async def _issued(
        self,
        author: Author,
        new: NewKey,
        work: Callable[[Unit], MemberKey],
        ended: "_Ended | None" = None,
    ) -> IssuedKey:
        row = await self._desk.change(author, work)
        if ended is not None:
            self._let_go(ended)
        self._desk.forget_member(row.member_id)
        await self._desk.wal.truncate()
        self._tell(row)
        if self._refresh is not None:
            await self._refresh(Keyed(row.agent_id, row.member_id, new.key_id, new.secret))
        return IssuedKey(row, new.text)

    def _let_go(self, ended: "_Ended") -> None:
        for key in ended.keys:
            self._desk.forget_key(key.key_id, key.member_id)
            self._desk.calls.end_key(key.key_id)
        for callback in ended.callbacks:
            callback()

    def _tell(self, key: MemberKey) -> None:
        data: JsonObject = {"member": key.member_id, "key": key.key_id}
        self._desk.events.publish(Topic.MEMBERS, data, key.agent_id)
        self._desk.events.publish(Topic.CONNECTIONS, {"member": key.member_id}, key.agent_id)


class _Ended:
    """Keys that a transaction ended, and what their end still has to let go of after it."""

    def __init__(self) -> None:
        self.keys: list[MemberKey] = []
        self.callbacks: list[Callable[[], None]] = []

    def end(self, unit: Unit, key: MemberKey, trigger: str, reason: str | None) -> None:
        self.callbacks.append(end_key(unit, key, trigger, reason))
        self.keys.append(key)


def _active(unit: Unit, who: Member) -> MemberKey:
    active = unit.tx.one(keys.active_of(who.agent_id, who.id))
    if active is None:
        message = f"{who.principal} has no active key for this agent. Make one first."
        raise Conflict(message)
    return active


def _approved(unit: Unit, visitor: Visitor, agent_id: str) -> Member:
    who = find.own_member(unit.tx, visitor, agent_id)
    if who.state is not MemberState.APPROVED:
        message = (
            "Your membership is not approved yet. Make the key after an administrator has done so."
        )
        raise NotApproved(message)
    return who


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

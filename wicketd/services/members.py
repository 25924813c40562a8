"""Members: add local ones, change, approve, reject, remove. Life cycle: `domain.members.EDGES`.

Invariant: whoever is removed loses key, credentials and own policies in the transaction that
removes them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NotRequired, TypedDict, Unpack

from wicketd.domain.accounts import Visitor
from wicketd.domain.actor import Actor, Author
from wicketd.domain.agents import Agent
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, MemberId, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import EDGES, Member, MemberState, Role
from wicketd.services import baselines, find, rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.policy_sets import PolicySets
from wicketd.services.removal import Removal, Taken, gone, tell
from wicketd.services.resealing import held_by
from wicketd.services.transitions import move_member, put_labels, revoke_all
from wicketd.storage import members


class MemberFields(TypedDict):
    """What an admin says about a new local member, not yet checked."""

    name: str
    role: NotRequired[Role]
    groups: NotRequired[Sequence[str]]
    tags: NotRequired[Sequence[str]]


class MemberChanges(TypedDict, total=False):
    """What may change later; what is absent or None stays."""

    role: Role | None
    groups: Sequence[str] | None
    tags: Sequence[str] | None


class Members:
    """The use cases of members."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets
        self._removal = Removal(desk, sets)

    async def list(self, agent: str, state: MemberState | None = None) -> Sequence[Member]:
        """The agent's members, oldest first; in every state if `state` is None.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await self._desk.db.all(members.of_agent(owner.id, state))

    async def get(self, agent: str, ref: str) -> Member:
        """One member by id, address or local name.

        Raises:
            NotFound: there is no such agent or member.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await find.read_member(self._desk.db, owner, ref)

    async def add_local(self, actor: Actor, agent: str, **fields: Unpack[MemberFields]) -> Member:
        """Makes an approved member without a mailbox: a person at the host, a job, a box.

        Raises:
            NotFound: there is no such agent.
            Invalid: a value breaks its rule.
            Conflict: the agent is deleted, or has a member of this name.
        """
        name = rules.local_name(fields["name"])

        def work(unit: Unit) -> Member:
            owner = find.live_agent(unit.tx, agent)
            if unit.tx.one(members.by_id(owner.id, name)) is not None:
                message = f"The agent {owner.key} has a member {name} already. Choose another name."
                raise Conflict(message)
            edge = take(EDGES, None, "add", "member")
            member = self._new_local(actor, owner, name, fields)
            unit.tx.run(members.insert(member))
            put_labels(unit, member)
            unit.audit(
                edge.audit,
                member.principal,
                after=_facts(member),
                agent_id=owner.id,
                member_id=member.id,
            )
            return member

        added = await self._desk.change(actor, work)
        tell(self._desk, added)
        return added

    async def update(
        self,
        actor: Actor,
        agent: str,
        ref: str,
        *,
        expected: int | None,
        **changes: Unpack[MemberChanges],
    ) -> Member:
        """Changes role, groups or tags. `expected`: the member's revision this is based on.

        Raises:
            NotFound: there is no such agent or member.
            Invalid: a value breaks its rule.
            Conflict: the member is gone.
            RevisionRequired: `expected` is None.
            RevisionMoved: somebody changed it in the meantime.
        """

        def work(unit: Unit) -> Member:
            owner = find.live_agent(unit.tx, agent)
            before = find.member(unit.tx, owner, ref)
            if before.state in {MemberState.REJECTED, MemberState.REMOVED}:
                message = f"{before.principal} is {before.state.value}. Add the member anew."
                raise Conflict(message)
            rules.revision(before.rev, expected)
            after = _changed(before, changes)
            unit.tx.run(members.update(after))
            put_labels(unit, after)
            unit.audit(
                "member.updated",
                after.principal,
                before=_facts(before),
                after=_facts(after),
                agent_id=owner.id,
                member_id=after.id,
            )
            return after

        after = await self._desk.change(actor, work)
        self._desk.forget_member(after.id)
        tell(self._desk, after)
        return after

    async def approve(
        self, actor: Actor, agent: str, ref: str, *, seed_baselines: bool = False
    ) -> Member:
        """Admits a pending member, on an untrusted agent with baselines of its own if asked for.

        Raises:
            NotFound: there is no such agent or member.
            Conflict: the member is not pending.
        """
        owner = await find.read_live_agent(self._desk.db, agent)
        async with self._desk.locks.hold(owner.id):
            owner = await find.read_live_agent(self._desk.db, agent)
            member = await find.read_member(self._desk.db, owner, ref)
            now = await self._sets.read(owner)
            drafts = baselines.of_new_member(owner, now.views, member) if seed_baselines else []
            edits = await self._sets.firsts(actor, owner.id, drafts)
            prepared = await self._sets.prepare(now, edits)

            def work(unit: Unit) -> tuple[Member, Agent]:
                before = find.member(unit.tx, owner, ref)
                after = move_member(unit, before, "approve")
                return after, self._sets.commit(unit, prepared)

            after, raised = await self._desk.change(actor, work)
            self._desk.forget_member(after.id)
            self._sets.put_in_force(prepared, raised)
        tell(self._desk, after)
        return after

    async def reject(self, actor: Actor, agent: str, ref: str, reason: str | None = None) -> Member:
        """Refuses a pending member for good; what it connected is destroyed.

        Raises:
            NotFound: there is no such agent or member.
            Conflict: the member is not pending.
        """
        why = rules.note(reason)

        def work(unit: Unit) -> Member:
            owner = find.agent(unit.tx, agent)
            before = find.member(unit.tx, owner, ref)
            after = move_member(unit, before, "reject", why)
            revoke_all(unit, held_by(unit, owner.id, after.id))
            return after

        after = await self._desk.change(actor, work)
        await gone(self._desk, [after])
        return after

    async def remove(self, actor: Actor, agent: str, ref: str) -> Member:
        """Removes a member for good: key dead at once, credentials destroyed, own policies off.

        Raises:
            NotFound: there is no such agent or member.
            Conflict: the member is gone already.
        """
        owner = await find.read_agent(self._desk.db, agent)
        member = await find.read_member(self._desk.db, owner, ref)
        return await self._remove(actor, owner.id, member.id)

    async def leave(self, visitor: Visitor, agent_id: str) -> Member:
        """Ends the visitor's own membership, as if an admin had removed it.

        Raises:
            NotFound: the visitor is no member of such an agent.
        """
        member = await find.read_own_member(self._desk.db, visitor, agent_id)
        return await self._remove(visitor, member.agent_id, member.id)

    async def _remove(self, author: Author, agent_id: AgentId, member_id: MemberId) -> Member:
        async with self._removal.hold([agent_id]):
            owner = await find.read_agent(self._desk.db, agent_id)
            member = await find.read_member(self._desk.db, owner, member_id)
            plans = await self._removal.plan(author, [member])

            def work(unit: Unit) -> Taken:
                return self._removal.take(unit, find.member(unit.tx, owner, member_id), plans)

            taken = await self._desk.change(author, work)
            self._removal.settle([taken])
        await gone(self._desk, [taken.member])
        return taken.member

    def _new_local(self, actor: Actor, owner: Agent, name: str, fields: MemberFields) -> Member:
        now = self._desk.clock.now_ms()
        return Member(
            id=MemberId(self._desk.ids.uuid7()),
            agent_id=owner.id,
            account_id=None,
            email=None,
            local_name=name,
            role=fields.get("role", Role.MEMBER),
            state=MemberState.APPROVED,
            state_at=now,
            state_by=actor.label(),
            groups=rules.labels(fields.get("groups", ()), "group"),
            tags=rules.labels(fields.get("tags", ()), "tag"),
            created_at=now,
            rev=Revision(1),
        )


def _changed(before: Member, changes: MemberChanges) -> Member:
    groups, tags = changes.get("groups"), changes.get("tags")
    return replace(
        before,
        role=changes.get("role") or before.role,
        groups=before.groups if groups is None else rules.labels(groups, "group"),
        tags=before.tags if tags is None else rules.labels(tags, "tag"),
        rev=Revision(before.rev + 1),
    )


def _facts(member: Member) -> JsonObject:
    return {
        "role": member.role.value,
        "state": member.state.value,
        "groups": list(member.groups),
        "tags": list(member.tags),
    }

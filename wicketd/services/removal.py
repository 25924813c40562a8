"""What the end of a membership takes with it, for one agent or for several in one transaction.

The order: hold the agents' locks, plan (compiles each set without the member's own records), take
in the transaction, settle after the commit.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wicketd.domain.actor import Author
from wicketd.domain.agents import Agent
from wicketd.domain.errors import PolicyInvalid, Unhealthy
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member
from wicketd.domain.policies import Cause, PolicyVersion
from wicketd.services import find
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.policy_sets import PolicySets, Prepared
from wicketd.services.resealing import held_by
from wicketd.services.transitions import end_invite, end_key, move_member, revoke_all
from wicketd.services.versions import next_of
from wicketd.storage import keys, policies


@dataclass(frozen=True, slots=True)
class Taken:
    """A membership that ended in a transaction, and what is left to do after its commit."""

    member: Member
    end_sessions: Callable[[], None] | None
    in_force: tuple[Prepared, Agent] | None


class Removal:
    """Ends memberships: key dead at once, credentials destroyed, own policies off."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    @asynccontextmanager
    async def hold(self, agent_ids: Iterable[AgentId]) -> AsyncIterator[None]:
        """Holds the locks of all of them, in id order: no two holders wait for each other."""
        async with AsyncExitStack() as held:
            for agent_id in sorted(set(agent_ids)):
                await held.enter_async_context(self._desk.locks.hold(agent_id))
            yield

    async def plan(self, author: Author, leaving: Sequence[Member]) -> Mapping[MemberId, Prepared]:
        """Each agent's set with the member's own records off, under the locks; absent: no change.

        A set that cannot be read is absent too: a removal must always work, and a removed member's
        records permit nobody anything.
        """
        plans = {member.id: await self._without(author, member) for member in leaving}
        return {member: prepared for member, prepared in plans.items() if prepared is not None}

    def take(
        self,
        unit: Unit,
        before: Member,
        plans: Mapping[MemberId, Prepared],
        reason: str | None = None,
    ) -> Taken:
        """Ends one membership with everything that hangs on it.

        Raises:
            Conflict: it has ended already.
            RevisionMoved: the agent's set changed since it was planned.
        """
        after = move_member(unit, before, "remove", reason)
        end_invite(unit, after.id)
        active = unit.tx.one(keys.active_of(after.agent_id, after.id))
        ended = None if active is None else end_key(unit, active, "revoke", "member removed")
        revoke_all(unit, held_by(unit, after.agent_id, after.id))
        prepared = plans.get(after.id)
        in_force = None if prepared is None else (prepared, self._sets.commit(unit, prepared))
        return Taken(after, ended, in_force)

    def settle(self, taken: Sequence[Taken]) -> None:
        """Lets everything go that still holds the old state; after the commit, under the locks."""
        for one in taken:
            if one.end_sessions is not None:
                one.end_sessions()
            self._desk.forget_member(one.member.id)
            self._desk.calls.end_member(one.member.id)
            if one.in_force is not None:
                self._sets.put_in_force(*one.in_force)

    async def _without(self, author: Author, member: Member) -> Prepared | None:
        records = await self._desk.db.all(policies.current(member.agent_id))
        if not any(_is_on(record, member.id) for record in records):
            return None
        try:
            now = await self._sets.read(await find.read_agent(self._desk.db, member.agent_id))
            edits = [
                next_of(self._desk, author, record, Cause.DISABLE, enabled=False)
                for record in now.records
                if _is_on(record, member.id)
            ]
            return await self._sets.prepare(now, edits)
        except (Unhealthy, PolicyInvalid):
            return None


async def gone(desk: Desk, ended: Sequence[Member]) -> None:
    """After memberships ended: destroyed ciphertexts leave the log file, listeners are told."""
    for member in ended:
        desk.forget_member(member.id)
    await desk.wal.truncate()
    for member in ended:
        tell(desk, member)


def tell(desk: Desk, member: Member) -> None:
    """Tells listeners what the member is now."""
    data: JsonObject = {"member": member.id, "state": member.state.value, "rev": member.rev}
    desk.events.publish(Topic.MEMBERS, data, member.agent_id)


def _is_on(record: PolicyVersion, member_id: MemberId) -> bool:
    return record.scope_member_id == member_id and record.enabled

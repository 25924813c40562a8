"""Who leaves is out everywhere at once: what an offboarding ends, and what it never half does."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from tests.services.test_callers import callers_of, kind, let_in
from tests.support.entering import ANN, House, house_of
from tests.support.state import ADMIN, State
from wicketd.domain.accounts import AccountStatus
from wicketd.domain.agents import Trust
from wicketd.domain.calls import RefusalKind
from wicketd.domain.errors import NotFound, RevisionMoved
from wicketd.domain.ids import AgentId
from wicketd.domain.members import KeyState, MemberState, Role
from wicketd.domain.ports import Statement
from wicketd.services.callers import Callers
from wicketd.services.offboarding import Offboarding
from wicketd.services.removal import Removal
from wicketd.services.web_sessions import NewSession


@dataclass(frozen=True, slots=True)
class Leaver:
    """Ann, approved on two agents with policies of her own, a key and a web session."""

    house: House
    state: State
    removal: Removal
    offboarding: Offboarding
    callers: Callers
    session: NewSession
    key: str

    async def enabled(self) -> list[bool]:
        """Of all her policies, whether they are on."""
        return [
            record.enabled
            for agent in ("demo", "other")
            for record in await self.state.policies.list(agent)
        ]


@pytest.fixture
async def leaver(state: State) -> Leaver:
    callers = callers_of(state)
    state.desk = replace(state.desk, callers=callers)
    house = house_of(state, require="off")
    for agent in ("demo", "other"):
        await state.agent(agent, trust=Trust.UNTRUSTED)
        token = await house.invited(agent=agent)
        joined = await house.by_code()
        await house.enter.joining.accept(joined.visitor, token)
        await state.members.approve(ADMIN, agent, ANN, seed_baselines=True)
    session = (await house.enrolled((await house.by_code()).visitor)).new
    demo = await state.agents.get("demo")
    key = (await state.keys.issue_own(session.visitor, demo.id)).text.reveal().decode()
    removal = Removal(state.desk, state.sets)
    offboarding = Offboarding(state.desk, house.enter.links, removal)
    return Leaver(house, state, removal, offboarding, callers, session, key)


@pytest.mark.requirement("FC16")
async def test_who_leaves_loses_every_agent_key_and_session_in_one_transaction(
    leaver: Leaver,
) -> None:
    state = leaver.state
    leaver.callers.leave(await let_in(leaver.callers, leaver.key))
    assert await leaver.enabled() == [True, True]
    before = await state.recorded()
    state.neighbours.told.clear()

    done = await leaver.offboarding.offboard(ADMIN, ANN, "left in May")

    assert done.account.status is AccountStatus.BLOCKED
    assert [one.state for one in done.members] == [MemberState.REMOVED] * 2
    assert await state.kinds(before) == [
        "account.blocked",
        "member.removed",
        "key.revoked",
        "policy.disabled",
        "member.removed",
        "policy.disabled",
    ]
    rows = (await state.rows())[before:]
    assert len({row.ts for row in rows}) == 1
    assert await leaver.enabled() == [False, False]
    assert [one.state for one in await state.keys.list("demo")] == [KeyState.REVOKED]
    assert await leaver.house.enter.sessions.find(leaver.session.token) is None
    for member in done.members:
        assert ("end_member", member.id) in state.neighbours.told
        snapshot = state.snapshots.of(member.agent_id)
        assert snapshot is not None
        assert snapshot.engine.members == frozenset()
    assert await kind(leaver.callers, f"Bearer {leaver.key}") is RefusalKind.BAD_KEY


async def test_a_set_that_moved_beside_it_leaves_everything_as_it_was(leaver: Leaver) -> None:
    move = (
        "CREATE TRIGGER beside AFTER UPDATE OF status ON accounts BEGIN UPDATE agents "
        "SET policy_revision = policy_revision + 1 WHERE key = 'other'; END"
    )
    await leaver.state.db.write(lambda tx: tx.run(Statement(move, ())))
    before = await leaver.state.recorded()
    with pytest.raises(RevisionMoved):
        await leaver.offboarding.offboard(ADMIN, ANN)
    assert await leaver.state.recorded() == before
    assert await leaver.enabled() == [True, True]
    view = await leaver.house.enter.accounts.show(ANN)
    assert (view.account.status, len(view.members)) == (AccountStatus.ACTIVE, 2)
    leaver.callers.leave(await let_in(leaver.callers, leaver.key))


async def test_said_twice_even_at_once_it_ends_each_membership_once(leaver: Leaver) -> None:
    first, second = await asyncio.gather(
        leaver.offboarding.offboard(ADMIN, ANN), leaver.offboarding.offboard(ADMIN, ANN)
    )
    assert sorted([len(first.members), len(second.members)]) == [0, 2]
    before = await leaver.state.recorded()
    again = await leaver.offboarding.offboard(ADMIN, ANN)
    assert (again.account.status, again.members) == (AccountStatus.BLOCKED, [])
    assert await leaver.state.recorded() == before


async def test_who_is_blocked_or_the_only_owner_goes_too(leaver: Leaver) -> None:
    ann = await leaver.state.members.get("demo", ANN)
    await leaver.state.members.update(ADMIN, "demo", ANN, expected=ann.rev, role=Role.OWNER)
    await leaver.house.enter.accounts.block(ADMIN, ANN)
    done = await leaver.offboarding.offboard(ADMIN, ANN)
    assert [one.state for one in done.members] == [MemberState.REMOVED] * 2


async def test_two_removals_over_the_same_agents_do_not_wait_for_each_other(
    leaver: Leaver,
) -> None:
    one, two = [(await leaver.state.agents.get(key)).id for key in ("demo", "other")]

    async def passes(order: list[AgentId]) -> None:
        async with leaver.removal.hold(order):
            pass

    async with leaver.removal.hold([one]):
        waiting = [asyncio.create_task(passes(order)) for order in ([one, two], [two, one])]
        await asyncio.wait(waiting, timeout=0.05)
    await asyncio.wait_for(asyncio.gather(*waiting), timeout=10)


async def test_nobody_is_not_found(leaver: Leaver) -> None:
    with pytest.raises(NotFound, match="no account"):
        await leaver.offboarding.offboard(ADMIN, "nobody@example.org")

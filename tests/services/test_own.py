"""What a member reads of its own, against a real database."""

from dataclasses import replace

import pytest

from tests.services.test_members import add_with_account
from tests.support.state import ADMIN, CountedIds, State
from wicketd.domain.accounts import Account, AccountStatus, Visitor, WebSession
from wicketd.domain.agents import AgentStatus, Trust
from wicketd.domain.audit import Entry
from wicketd.domain.errors import NotFound
from wicketd.domain.ids import AccountId, Revision, WebSessionId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberState, Role
from wicketd.services.own import Activity, ActivityFilters, Own, Step
from wicketd.services.sessions import ToolSessions
from wicketd.storage import members

ALL = ActivityFilters()


def make_own(state: State) -> Own:
    sessions = ToolSessions(
        state.db, state.desk.journal, state.clock, CountedIds(state.clock), lambda data: (data,)
    )
    return Own(state.db, sessions, state.files)


def visitor_of(member: Member) -> Visitor:
    assert member.account_id is not None
    account = Account(
        member.account_id, member.email or "", 1, AccountStatus.ACTIVE, 1, None, 1, 1, Revision(1)
    )
    session = WebSession(WebSessionId("w"), account.id, 1, 1, 2, 1, "192.0.2.1", "test", None)
    return Visitor(account, session)


async def promote(state: State, member: Member, role: Role) -> None:
    after = replace(member, role=role, rev=Revision(member.rev + 1))
    await state.db.write(lambda tx: tx.run(members.update(after)))


async def record_denial(state: State, member: Member, ref: str = "4D2PF2DB") -> None:
    hit: JsonObject = {"key": "no-deletions", "version": 3}
    entry = Entry(
        kind="call.denied",
        fields={"denyMessages": ["Ask first."], "determining": [hit], "clientName": "probe"},
        ref=ref,
        agent_id=member.agent_id,
        member_id=member.id,
        service="notes",
        tool="delete_note",
        decision="DENY",
        reason_code="forbidden",
    )
    await state.db.write(lambda tx: state.desk.journal.append(tx, entry))


async def read(state: State, member: Member, filters: ActivityFilters = ALL) -> Activity:
    return await make_own(state).activity(visitor_of(member), member.agent_id, filters)


async def test_a_member_sees_its_agents_and_their_next_step(state: State) -> None:
    await state.agent()
    await state.service()
    member = await add_with_account(state, "demo", MemberState.PENDING)
    own = make_own(state)
    (first,) = await own.agents(visitor_of(member))
    assert (first.agent.key, first.step) == ("demo", Step.CONNECT)
    await state.services.disable(ADMIN, "demo", "notes")
    assert (await own.agent(visitor_of(member), member.agent_id)).step is Step.APPROVAL
    await state.members.approve(ADMIN, "demo", member.id)
    assert (await own.agent(visitor_of(member), member.agent_id)).step is Step.KEY
    await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    assert (await own.agent(visitor_of(member), member.agent_id)).step is Step.DISABLED


async def test_a_removed_member_sees_the_agent_no_more(state: State) -> None:
    await state.agent()
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    await state.members.remove(ADMIN, "demo", member.id)
    own = make_own(state)
    assert await own.agents(visitor_of(member)) == []
    with pytest.raises(NotFound):
        await own.agent(visitor_of(member), member.agent_id)


async def test_what_is_somebody_elses_does_not_exist(state: State) -> None:
    await state.agent()
    await state.service()
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    await record_denial(state, member)
    stranger = visitor_of(replace(member, account_id=AccountId("nobody")))
    own = make_own(state)
    assert await own.agents(stranger) == []
    for ask in (
        own.agent(stranger, member.agent_id),
        own.service(stranger, member.agent_id, "notes"),
        own.activity(stranger, member.agent_id, ActivityFilters(ref="4D2PF2DB")),
        own.sessions(stranger, member.agent_id),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_another_members_reference_is_as_if_unknown(state: State) -> None:
    await state.agent()
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    other = await state.member()
    await record_denial(state, other, "7K2M9QXD")
    found = await read(state, member, ActivityFilters(ref="7K2M9QXD"))
    assert found.entries == ()


async def test_policy_names_are_for_owners_and_untrusted_agents(state: State) -> None:
    await state.agent()
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    await record_denial(state, member)
    (entry, *_) = (await read(state, member)).entries
    assert (entry.policies, entry.messages) == (None, ("Ask first.",))
    assert (entry.client, entry.reason, entry.kind) == ("probe", "forbidden", "call.denied")
    await promote(state, member, Role.OWNER)
    (entry, *_) = (await read(state, member)).entries
    assert entry.policies == ("no-deletions@3",)


async def test_a_member_of_an_untrusted_agent_sees_what_decided(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    await record_denial(state, member)
    (entry, *_) = (await read(state, member)).entries
    assert entry.policies == ("no-deletions@3",)


async def test_activity_comes_in_pages_of_fifty(state: State) -> None:
    await state.agent()
    member = await add_with_account(state, "demo", MemberState.APPROVED)
    for number in range(51):
        await record_denial(state, member, f"{number:08d}")
    first = await read(state, member, ActivityFilters(decision="DENY", service="notes"))
    assert [entry.ref for entry in first.entries] == [f"{n:08d}" for n in range(50, 0, -1)]
    rest = await read(state, member, ActivityFilters(before=first.older, decision="DENY"))
    assert [entry.ref for entry in rest.entries] == ["00000000"]
    assert rest.older is None
    none = await read(state, member, ActivityFilters(decision="ALLOW"))
    assert none.entries == ()

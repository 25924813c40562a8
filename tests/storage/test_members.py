"""Members are found by id and by principal, with their labels and their account's address."""

from dataclasses import replace

import pytest

from tests.storage.rows import AGENT, AT, MEMBER, member, run
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, Revision
from wicketd.domain.members import MemberState, Role
from wicketd.domain.ports import Statement
from wicketd.storage import members
from wicketd.storage.db import SqliteDatabase


def _account(account_id: str = "account-1", email: str = "bob@example.org") -> Statement:
    return Statement(
        "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
        "VALUES (?, ?, 'active', 0, 1, 1)",
        (account_id, email),
    )


async def test_a_local_member_is_found_by_id_and_by_name(seeded: SqliteDatabase) -> None:
    assert await seeded.one(members.by_id(AGENT, MEMBER)) == member()
    assert await seeded.one(members.by_id(AGENT, "ann")) == member()
    assert await seeded.one(members.by_id(AgentId("other"), MEMBER)) is None


async def test_an_accounts_member_is_found_by_address(seeded: SqliteDatabase) -> None:
    bob = member(id="member-2", account_id="account-1", email="bob@example.org", local_name=None)
    await run(seeded, _account(), members.insert(bob))
    assert await seeded.one(members.by_id(AGENT, "bob@example.org")) == bob


async def test_a_removed_member_is_found_by_id_alone(seeded: SqliteDatabase) -> None:
    await run(seeded, members.set_state(MEMBER, MemberState.REMOVED, AT, "uid:0", Revision(1)))
    assert await seeded.one(members.by_id(AGENT, "ann")) is None
    again = member(id="member-2")
    await run(seeded, members.insert(again))
    assert await seeded.one(members.by_id(AGENT, "ann")) == again
    gone = await seeded.one(members.by_id(AGENT, MEMBER))
    assert gone is not None
    assert gone.state is MemberState.REMOVED


async def test_a_second_member_of_a_name_is_a_conflict(seeded: SqliteDatabase) -> None:
    with pytest.raises(Conflict):
        await run(seeded, members.insert(member(id="member-2")))


async def test_labels_are_replaced_as_a_set(seeded: SqliteDatabase) -> None:
    await run(seeded, *members.set_labels(MEMBER, ["b", "a"], ["t", "t"]))
    stored = await seeded.one(members.by_id(AGENT, MEMBER))
    assert stored == member(groups=("a", "b"), tags=("t",))
    await run(seeded, *members.set_labels(MEMBER, ["c"], []))
    assert await seeded.all(members.labels(MEMBER)) == [("group", "c")]


async def test_members_are_listed_by_state(seeded: SqliteDatabase) -> None:
    await run(seeded, members.insert(member(id="m2", local_name="z", state=MemberState.PENDING)))
    everyone = await seeded.all(members.of_agent(AGENT))
    assert [one.local_name for one in everyone] == ["z", "ann"]
    pending = await seeded.all(members.of_agent(AGENT, MemberState.PENDING))
    assert [one.local_name for one in pending] == ["z"]


async def test_changes_need_the_present_revision(seeded: SqliteDatabase) -> None:
    after = replace(member(), role=Role.OWNER, rev=Revision(2))
    role = members.update_role(MEMBER, Role.MEMBER, Revision(2))
    assert await run(seeded, members.update(after), members.update(after), role) == [1, 0, 1]
    stored = await seeded.one(members.by_id(AGENT, MEMBER))
    assert stored == member(rev=Revision(3))

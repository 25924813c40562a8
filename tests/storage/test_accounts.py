"""Accounts are found by id and address; changes need the revision they are based on."""

from dataclasses import replace

import pytest

from tests.storage.rows import ACCOUNT, AGENT, AT, MEMBER, account, member, run
from wicketd.domain.accounts import AccountStatus
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AccountId, MemberId, Revision
from wicketd.domain.members import MemberState
from wicketd.storage import accounts, members
from wicketd.storage.db import SqliteDatabase


async def test_an_account_is_found_by_id_and_by_address(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()))
    assert await db.one(accounts.by_ref(ACCOUNT)) == account()
    assert await db.one(accounts.by_ref("ann@example.org")) == account()
    assert await db.one(accounts.by_email("ann@example.org")) == account()
    assert await db.one(accounts.by_email(ACCOUNT)) is None


async def test_an_address_has_one_account_and_the_list_is_by_address(db: SqliteDatabase) -> None:
    zoe = account(id=AccountId("account-0"), email="zoe@example.org")
    await run(db, accounts.insert(zoe), accounts.insert(account()))
    assert await db.all(accounts.all()) == [account(), zoe]
    with pytest.raises(Conflict):
        await run(db, accounts.insert(account(id=AccountId("account-2"))))


async def test_a_status_is_set_on_the_revision_it_is_based_on(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()))
    block = accounts.set_status(ACCOUNT, AccountStatus.BLOCKED, Revision(1))
    assert await run(db, block, block) == [1, 0]
    blocked = account(status=AccountStatus.BLOCKED, rev=Revision(2))
    assert await db.one(accounts.by_ref(ACCOUNT)) == blocked


async def test_the_first_sign_in_verifies(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()))
    await run(db, accounts.signed_in(ACCOUNT, AT), accounts.signed_in(ACCOUNT, AT + 1))
    expected = account(verified_at=AT, last_signin_at=AT + 1)
    assert await db.one(accounts.by_ref(ACCOUNT)) == expected


async def test_memberships_are_those_of_the_account_ended_ones_too(seeded: SqliteDatabase) -> None:
    mine = member(id=MemberId("member-2"), account_id=ACCOUNT, email="ann@example.org",
                  local_name=None, state=MemberState.REMOVED)  # fmt: skip
    again = replace(mine, id=MemberId("member-3"), state=MemberState.INVITED)
    await run(seeded, accounts.insert(account()), members.insert(mine), members.insert(again))
    assert await seeded.all(accounts.memberships(ACCOUNT)) == [mine, again]
    assert MEMBER not in {mine.id, again.id}
    assert mine.agent_id == AGENT

"""Invitations: at most one open a member; each ends once, one way."""

from dataclasses import replace

import pytest

from tests.storage.rows import ACCOUNT, AGENT, AT, MEMBER, account, member, run
from wicketd.domain.accounts import Invite, InviteState
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import InviteId, MemberId
from wicketd.domain.members import MemberState, Role
from wicketd.domain.ports import Statement
from wicketd.storage import accounts, invites, members
from wicketd.storage.db import SqliteDatabase

INVITE = Invite(
    InviteId("invite-1"), AGENT, MEMBER, "ann@example.org", Role.MEMBER, "k1", "uid:0",
    AT, AT + 600, None, None, None,
)  # fmt: skip


@pytest.fixture
async def invited(seeded: SqliteDatabase) -> SqliteDatabase:
    await run(seeded, invites.insert(INVITE))
    return seeded


@pytest.mark.parametrize(
    ("end", "at_ms", "state"),
    [
        (invites.accept(INVITE.id, AT + 599), AT + 599, InviteState.ACCEPTED),
        (invites.revoke(INVITE.id, AT + 599), AT + 599, InviteState.REVOKED),
        (invites.expire(INVITE.id, AT + 600), AT + 600, InviteState.EXPIRED),
    ],
)
async def test_an_open_invitation_ends_once(
    invited: SqliteDatabase, end: Statement, at_ms: int, state: InviteState
) -> None:
    assert await run(invited, end) == [1]
    ended = await invited.one(invites.by_id(INVITE.id))
    assert ended is not None
    assert ended.state(at_ms) is state
    again = [
        invites.accept(INVITE.id, AT),
        invites.revoke(INVITE.id, AT),
        invites.expire(INVITE.id, AT + 600),
    ]
    assert await run(invited, *again) == [0, 0, 0]
    assert await invited.one(invites.open_of_member(MEMBER)) is None


async def test_what_is_over_is_neither_accepted_nor_revoked(invited: SqliteDatabase) -> None:
    over = [invites.accept(INVITE.id, AT + 600), invites.revoke(INVITE.id, AT + 600)]
    assert await run(invited, *over, invites.expire(INVITE.id, AT + 599)) == [0, 0, 0]
    assert await invited.all(invites.over(AT + 599)) == []
    assert await invited.all(invites.over(AT + 600)) == [INVITE]


async def test_a_member_has_one_open_invitation(invited: SqliteDatabase) -> None:
    second = replace(INVITE, id=InviteId("invite-2"))
    with pytest.raises(Conflict):
        await run(invited, invites.insert(second))
    await run(invited, invites.revoke(INVITE.id, AT), invites.insert(second))
    assert await invited.one(invites.open_of_member(MEMBER)) == second
    assert [one.id for one in await invited.all(invites.of_agent(AGENT))] == [INVITE.id, second.id]


async def test_open_ones_are_found_by_the_account_of_a_living_membership(
    invited: SqliteDatabase,
) -> None:
    ann = member(id=MemberId("member-2"), account_id=ACCOUNT, email="ann@example.org",
                 local_name=None, state=MemberState.INVITED)  # fmt: skip
    mine = replace(INVITE, id=InviteId("invite-2"), member_id=ann.id)
    await run(invited, accounts.insert(account()), members.insert(ann), invites.insert(mine))
    assert await invited.all(invites.open_of_account(ACCOUNT)) == [mine]
    await run(invited, members.set_state(ann.id, MemberState.REMOVED, AT, "x", ann.rev))
    assert await invited.all(invites.open_of_account(ACCOUNT)) == []


async def test_the_time_of_sending_is_kept(invited: SqliteDatabase) -> None:
    await run(invited, invites.mark_sent(INVITE.id, AT + 1))
    assert await invited.one(invites.by_id(INVITE.id)) == replace(INVITE, sent_at=AT + 1)

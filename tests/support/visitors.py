"""Members with a mailbox and the portal sessions through which they ask."""

from dataclasses import replace

from tests.support.state import State
from wicketd.domain.accounts import Account, AccountStatus, Visitor, WebSession
from wicketd.domain.ids import AccountId, MemberId, Revision, WebSessionId
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.ports import Statement, Tx
from wicketd.storage import members

MINUTE_MS = 60_000


async def add_visitor(state: State, email: str = "ann@example.test") -> Visitor:
    """An account with a second factor that was used just now."""
    now = state.clock.now_ms()
    account = Account(
        id=AccountId(state.desk.ids.uuid7()),
        email=email,
        verified_at=now,
        status=AccountStatus.ACTIVE,
        totp_confirmed_at=now,
        mfa_locked_until=None,
        created_at=now,
        last_signin_at=now,
        rev=Revision(1),
    )
    insert = Statement(
        "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
        "VALUES (?, ?, 'active', 0, ?, 1)",
        (account.id, email, now),
    )
    await state.db.write(lambda tx: tx.run(insert))
    return Visitor(account, session_of(state, account))


def session_of(state: State, account: Account) -> WebSession:
    """A web session that began, and was proven by a code, now."""
    now = state.clock.now_ms()
    return WebSession(
        id=WebSessionId(state.desk.ids.uuid7()),
        account_id=account.id,
        created_at=now,
        last_seen_at=now,
        expires_at=now + 7 * 24 * 60 * MINUTE_MS,
        mfa_at=now,
        ip="127.0.0.1",
        user_agent="test",
        revoked_at=None,
    )


def back_again(state: State, visitor: Visitor) -> Visitor:
    """The same account with a code entered now."""
    return replace(visitor, session=session_of(state, visitor.account))


async def add_membership(
    state: State,
    visitor: Visitor,
    agent: str = "demo",
    member_state: MemberState = MemberState.APPROVED,
) -> Member:
    """The visitor's membership of an agent."""
    owner = await state.agents.get(agent)
    now = state.clock.now_ms()
    row = Member(
        id=MemberId(state.desk.ids.uuid7()),
        agent_id=owner.id,
        account_id=visitor.account.id,
        email=visitor.account.email,
        local_name=None,
        role=Role.MEMBER,
        state=member_state,
        state_at=now,
        state_by="test",
        groups=(),
        tags=(),
        created_at=now,
        rev=Revision(1),
    )

    def work(tx: Tx) -> None:
        tx.run(members.insert(row))

    await state.db.write(work)
    return row


async def joined(
    state: State, member_state: MemberState = MemberState.APPROVED
) -> tuple[Visitor, Member]:
    """Agent `demo` with service `notes`, and Ann as a member of it."""
    await state.agent()
    await state.service()
    ann = await add_visitor(state)
    return ann, await add_membership(state, ann, member_state=member_state)

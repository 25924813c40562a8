"""Accounts in an admin's hands: what a block ends, what a reset leaves, what always works."""

from dataclasses import replace

import pytest

from tests.services.test_callers import callers_of, let_in
from tests.support.entering import ANN, House, house_of, token_of
from tests.support.state import ADMIN, State
from wicketd.domain.accounts import AccountStatus
from wicketd.domain.calls import RefusalKind
from wicketd.domain.errors import ClockBackwards, Conflict, NotFound


@pytest.fixture
async def house(state: State) -> House:
    made = house_of(state)
    await made.invited()
    return made


async def test_an_account_is_shown_by_id_and_address_with_what_is_its(house: House) -> None:
    new = await house.by_code()
    for ref in (new.visitor.account.id, ANN, " ANN@example.org"):
        view = await house.enter.accounts.show(ref)
        assert (view.account.email, len(view.members)) == (ANN, 1)
        assert [one.id for one in view.sessions] == [new.visitor.session.id]
    assert [one.email for one in await house.enter.accounts.list()] == [ANN]


async def test_a_block_ends_sessions_and_every_members_calls(house: House) -> None:
    await house.state.agent("other")
    await house.enter.invites.create(ADMIN, "other", email=ANN)
    new = await house.by_code()
    members = (await house.enter.accounts.show(ANN)).members
    house.state.neighbours.told.clear()
    before = await house.state.recorded()
    blocked = await house.enter.accounts.block(ADMIN, ANN)
    assert blocked.status is AccountStatus.BLOCKED
    told = house.state.neighbours.told
    assert len(members) == 2
    for member in members:
        assert ("forget_member", member.id) in told
        assert ("end_member", member.id) in told
    assert await house.enter.sessions.find(new.token) is None
    assert await house.kinds(before) == ["account.blocked"]
    with pytest.raises(Conflict, match="blocked already"):
        await house.enter.accounts.block(ADMIN, ANN)


@pytest.mark.requirement("FC16")
async def test_the_keys_of_a_blocked_account_are_refused_on_the_next_request(state: State) -> None:
    callers = callers_of(state)
    state.desk = replace(state.desk, callers=callers)
    house = house_of(state, require="off")
    token = await house.invited()
    first = await house.by_code()
    await house.enter.joining.accept(first.visitor, token)
    await state.members.approve(ADMIN, "demo", ANN)
    agent = await state.agents.get("demo")
    ann = await house.enrolled((await house.by_code()).visitor)
    key = (await state.keys.issue_own(ann.new.visitor, agent.id)).text.reveal().decode()

    async def standing() -> RefusalKind | None:
        caller = await let_in(callers, key)
        callers.leave(caller)
        refusal = callers.standing(caller)
        return None if refusal is None else refusal.kind

    assert await standing() is None
    await house.enter.accounts.block(ADMIN, ANN)
    assert await standing() is RefusalKind.BLOCKED
    await house.enter.accounts.unblock(ADMIN, ANN)
    assert await standing() is None


async def test_an_unblocked_account_signs_in_anew(house: House) -> None:
    await house.enter.accounts.block(ADMIN, ANN)
    account = await house.enter.accounts.unblock(ADMIN, ANN)
    assert (account.status, account.rev) == (AccountStatus.ACTIVE, 3)
    assert (await house.by_code()).visitor.account.email == ANN
    with pytest.raises(Conflict, match="active already"):
        await house.enter.accounts.unblock(ADMIN, ANN)
    assert "account.unblocked" in await house.kinds()


async def test_sign_outs_and_resets_always_work(house: House) -> None:
    await house.enter.accounts.block(ADMIN, ANN)
    assert await house.enter.accounts.sign_out(ADMIN, ANN) == 0
    assert not (await house.enter.accounts.reset_mfa(ADMIN, ANN)).has_totp
    assert (await house.kinds())[-2:] == ["account.signed_out", "account.mfa_reset"]


async def test_one_session_or_all_are_signed_out(house: House) -> None:
    first, second = await house.by_code(), await house.by_code()
    one = first.visitor.session.id
    assert await house.enter.accounts.sign_out(ADMIN, ANN, one) == 1
    assert await house.enter.sessions.find(first.token) is None
    with pytest.raises(NotFound, match="no such session"):
        await house.enter.accounts.sign_out(ADMIN, ANN, one)
    assert await house.enter.accounts.sign_out(ADMIN, ANN) == 1
    assert await house.enter.sessions.find(second.token) is None


async def test_a_link_needs_mail_off_a_known_active_account_and_a_right_clock(
    state: State,
) -> None:
    home = house_of(state, mail=False)
    await home.invited()
    link, url = await home.enter.accounts.link(ADMIN, ANN)
    assert link.expires_at == state.clock.now_ms() + 24 * 3_600_000
    assert await home.enter.sign_in.show_link(token_of(url)) == ANN
    await home.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Conflict, match="blocked"):
        await home.enter.accounts.link(ADMIN, ANN)
    state.clock.ms -= 3_600_000
    with pytest.raises(ClockBackwards):
        await home.enter.accounts.link(ADMIN, ANN)


async def test_nobody_is_not_found(house: House) -> None:
    accounts, home = house.enter.accounts, house_of(house.state, mail=False)
    for refused in (
        accounts.show("nobody@example.org"),
        accounts.block(ADMIN, "nobody@example.org"),
        accounts.unblock(ADMIN, "x"),
        accounts.reset_mfa(ADMIN, ""),
        accounts.sign_out(ADMIN, "x"),
        home.enter.accounts.link(ADMIN, "x"),
    ):
        with pytest.raises(NotFound):
            await refused

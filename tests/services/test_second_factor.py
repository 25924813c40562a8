"""The second factor of a visitor: enrolled once, each code used once, ended by admins alone."""

import asyncio
import base64

import pytest

from tests.support.entering import ANN, BROWSER, IP, House, house_of
from tests.support.state import ADMIN, State
from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import (
    ClockBackwards,
    Conflict,
    Invalid,
    Locked,
    Unauthenticated,
    WicketError,
)
from wicketd.domain.ports import Statement
from wicketd.services.web_sessions import NewSession
from wicketd.vault import totp
from wicketd.vault.secret import Secret


@pytest.fixture
async def house(state: State) -> House:
    made = house_of(state)
    await made.invited()
    return made


async def check(house: House, visitor: Visitor, code: str) -> NewSession:
    return await house.enter.second_factor.check(visitor, code, IP, BROWSER)


async def test_enrolling_takes_a_code_and_gives_ten_backup_codes_and_a_new_session(
    house: House,
) -> None:
    new = await house.by_code()
    before = await house.state.recorded()
    ann = await house.enrolled(new.visitor)
    assert len(set(ann.codes)) == 10
    assert ann.new.visitor.account.has_totp
    assert ann.new.visitor.session.mfa_at == house.state.clock.now_ms()
    assert await house.enter.sessions.find(new.token) is None
    assert await house.enter.sessions.find(ann.new.token) is not None
    assert await house.kinds(before) == ["account.mfa_enrolled"]


async def test_a_wrong_first_code_enrols_nothing_and_the_secret_stays(house: House) -> None:
    new = await house.by_code()
    first = await house.enter.second_factor.begin(new.visitor)
    with pytest.raises(Invalid):
        await house.enter.second_factor.confirm(new.visitor, "000000", IP, BROWSER)
    again = await house.enter.second_factor.begin(new.visitor)
    assert again.secret_base32 == first.secret_base32
    secret = Secret(base64.b32decode(again.secret_base32.reveal()))
    enrolled, _ = await house.enter.second_factor.confirm(
        new.visitor, house.app_code(secret), IP, BROWSER
    )
    assert enrolled.visitor.account.has_totp


async def test_a_secret_that_another_session_saw_is_never_enrolled(house: House) -> None:
    thief, ann = await house.by_code(), await house.by_code()
    seen = await house.enter.second_factor.begin(thief.visitor)
    own = await house.enter.second_factor.begin(ann.visitor)
    assert own.secret_base32 != seen.secret_base32
    secret = Secret(base64.b32decode(seen.secret_base32.reveal()))
    for visitor in (thief.visitor, ann.visitor):
        with pytest.raises(WicketError) as caught:
            await house.enter.second_factor.confirm(visitor, house.app_code(secret), IP, BROWSER)
        assert isinstance(caught.value, Conflict | Invalid)


async def test_who_enrolled_keeps_it_whatever_they_try(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    stranger = await house.by_code()
    for visitor in (ann.new.visitor, stranger.visitor):
        with pytest.raises(Conflict, match="administrator"):
            await house.enter.second_factor.begin(visitor)
        with pytest.raises(Conflict):
            await house.enter.second_factor.confirm(visitor, "000000", IP, BROWSER)


async def test_a_session_of_an_enrolled_account_proves_it_and_gets_a_new_id(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    house.state.clock.pass_s(60)
    second = await house.by_code()
    assert house.enter.factors.must_prove(second.visitor)
    proven = await check(house, second.visitor, house.app_code(ann.secret))
    assert not house.enter.factors.must_prove(proven.visitor)
    old, new = second.visitor.session, proven.visitor.session
    assert new.id != old.id
    assert (new.created_at, new.expires_at) == (old.created_at, old.expires_at)
    assert await house.enter.sessions.find(second.token) is None
    assert (await house.kinds())[-1] == "account.signed_in"


async def test_a_code_is_not_accepted_again_nor_an_older_one(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    visitor = ann.new.visitor
    with pytest.raises(Invalid):
        await check(house, visitor, house.app_code(ann.secret))
    code = house.next_code(ann.secret)
    visitor = (await check(house, visitor, f" {code[:3]} {code[3:]} ")).visitor
    older = totp.code_of(ann.secret, totp.step_at(house.state.clock.now_ms()) - 1)
    for replayed in (code, older):
        with pytest.raises(Invalid):
            await check(house, visitor, replayed)


async def test_a_backup_code_works_once_and_of_many_at_once_one_wins(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    visitors = [(await house.by_code()).visitor for _ in range(3)]
    typed = ann.codes[0].lower().replace("-", " ")
    outcomes = await asyncio.gather(
        *(check(house, visitor, typed) for visitor in visitors), return_exceptions=True
    )
    assert sum(isinstance(one, NewSession) for one in outcomes) == 1
    assert sum(isinstance(one, Invalid) for one in outcomes) == 2
    assert await check(house, (await house.by_code()).visitor, ann.codes[9]) is not None


async def test_five_wrong_codes_lock_for_a_quarter_of_an_hour_each_time(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    visitor = ann.new.visitor
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(Invalid):
                await check(house, visitor, "000000")
        with pytest.raises(Locked) as caught:
            await check(house, visitor, "000000")
        assert caught.value.until_ms == house.state.clock.now_ms() + 15 * 60_000
        for code in (house.next_code(ann.secret), ann.codes[0]):
            with pytest.raises(Locked):
                await check(house, visitor, code)
        house.state.clock.ms = caught.value.until_ms
    assert await check(house, visitor, house.next_code(ann.secret)) is not None


async def test_a_right_code_forgives_the_wrong_ones_before_it(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    visitor = ann.new.visitor
    for code in (None, *ann.codes[:3]):
        for _ in range(4):
            with pytest.raises(Invalid):
                await check(house, visitor, "000000")
        visitor = (await check(house, visitor, code or house.next_code(ann.secret))).visitor


async def test_new_backup_codes_need_the_app_and_end_the_old(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    renew = house.enter.second_factor.new_codes
    with pytest.raises(Invalid):
        await renew(ann.new.visitor, ann.codes[0], IP)
    fresh = await renew(ann.new.visitor, house.next_code(ann.secret), IP)
    codes = [code.reveal().decode() for code in fresh]
    assert len(codes) == 10
    assert not set(codes) & set(ann.codes)
    with pytest.raises(Invalid):
        await check(house, ann.new.visitor, ann.codes[1])
    assert await check(house, ann.new.visitor, codes[0]) is not None
    assert (await house.kinds()).count("account.mfa_enrolled") == 2


async def test_an_ended_session_or_a_blocked_account_proves_nothing(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    await house.enter.sessions.end(ann.new.visitor)
    with pytest.raises(Unauthenticated):
        await check(house, ann.new.visitor, house.next_code(ann.secret))
    other = await house.by_code()
    await house.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Unauthenticated):
        await check(house, other.visitor, house.next_code(ann.secret))


async def test_a_reset_by_an_admin_ends_app_codes_and_sessions(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    account = await house.enter.accounts.reset_mfa(ADMIN, ANN)
    assert not account.has_totp
    assert await house.enter.sessions.find(ann.new.token) is None
    fresh = await house.by_code()
    assert not house.enter.factors.must_prove(fresh.visitor)
    for code in (house.next_code(ann.secret), ann.codes[0]):
        with pytest.raises(Invalid):
            await check(house, fresh.visitor, code)
    assert (await house.enrolled(fresh.visitor)).new.visitor.account.has_totp


async def test_an_old_clock_stops_every_code(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    house.state.clock.pass_s(3600)
    await house.state.desk.guard.advance()
    house.state.clock.ms -= 3_600_000
    code = house.app_code(ann.secret)
    factor = house.enter.second_factor
    for refused in (
        factor.check(ann.new.visitor, ann.codes[0], IP, BROWSER),
        factor.confirm(ann.new.visitor, code, IP, BROWSER),
        factor.new_codes(ann.new.visitor, code, IP),
    ):
        with pytest.raises(ClockBackwards):
            await refused


async def test_a_secret_moved_to_another_account_opens_nowhere(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    await house.enter.invites.create(ADMIN, "demo", email="bob@example.org")
    await house.enrolled((await house.by_code("bob@example.org")).visitor)
    copy = Statement(
        "UPDATE accounts SET totp_ct = (SELECT totp_ct FROM accounts WHERE email = ?), "
        "totp_last_step = NULL WHERE email = 'bob@example.org'",
        (ANN,),
    )
    await house.state.db.write(lambda tx: tx.run(copy))
    bob = await house.by_code("bob@example.org")
    with pytest.raises(Invalid):
        await check(house, bob.visitor, house.next_code(ann.secret))


async def test_secret_and_backup_codes_are_stored_and_recorded_nowhere(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    await check(house, ann.new.visitor, ann.codes[0])
    await house.state.desk.wal.truncate()
    stored = house.state.file_bytes()
    base32 = totp.base32(ann.secret).reveal()
    for secret in (ann.secret.reveal(), base32, *(code.encode() for code in ann.codes)):
        assert secret not in stored
        assert secret.replace(b"-", b"") not in stored
    assert ann.new.token.reveal().decode() not in repr(ann.new)

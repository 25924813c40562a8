"""Signing in: what works once, for how long, and that nobody learns which addresses exist."""

import asyncio

import pytest

from tests.support.entering import (
    ANN,
    BROWSER,
    IP,
    PRELOGIN,
    House,
    another_browser,
    house_of,
    token_of,
)
from tests.support.state import ADMIN, State
from wicketd.domain.errors import ClockBackwards, Conflict, Gone, Invalid, Locked, NotFound
from wicketd.services.web_sessions import NewSession

WRONG = "0000-0000"


@pytest.fixture
async def house(state: State) -> House:
    """Mail is on, Ann is invited."""
    made = house_of(state)
    await made.invited()
    return made


@pytest.fixture
async def home(state: State) -> House:
    """Mail is off."""
    await state.agent()
    return house_of(state, mail=False)


async def redeem(house: House, code: str, email: str = ANN) -> NewSession:
    return await house.enter.sign_in.redeem_code(email, code, PRELOGIN, IP, BROWSER)


def signed_in(new: NewSession) -> None:
    """The answer is a session of Ann."""
    assert new.visitor.account.email == ANN


async def ask(house: House, email: str = ANN, ip: str = IP) -> None:
    await house.enter.sign_in.request_code(email, PRELOGIN, ip)
    await house.background.done()


async def test_a_mailed_code_signs_in_once_and_verifies_the_address(house: House) -> None:
    new = await house.by_code("  ANN@Example.org ")
    account = new.visitor.account
    assert (account.email, new.visitor.session.mfa_at) == (ANN, None)
    found = await house.enter.sessions.find(new.token)
    assert found is not None
    assert found.account.verified_at == house.state.clock.now_ms()
    assert found.session.id == new.visitor.session.id
    assert (await house.kinds())[-1] == "account.signed_in"
    row = (await house.state.rows())[-1]
    assert account.id in row.body
    with pytest.raises(Gone):
        await redeem(house, house.outbox.code())


async def test_a_code_forgives_case_dashes_and_lookalikes(house: House) -> None:
    await ask(house)
    typed = house.outbox.code().lower().replace("-", " - ").replace("0", "o").replace("1", "l")
    assert (await redeem(house, typed)).visitor.account.email == ANN


@pytest.mark.parametrize(("late_ms", "works"), [(-1, True), (0, False), (1000, False)])
async def test_a_code_lives_ten_minutes(house: House, late_ms: int, works: bool) -> None:
    await ask(house)
    house.state.clock.ms += 10 * 60_000 + late_ms
    if works:
        signed_in(await redeem(house, house.outbox.code()))
        return
    with pytest.raises(Gone, match="new one"):
        await redeem(house, house.outbox.code())


async def test_five_wrong_codes_end_it_and_the_tries_are_counted_down(house: House) -> None:
    await ask(house)
    left = []
    for _ in range(4):
        with pytest.raises(Invalid) as caught:
            await redeem(house, WRONG)
        left.append(caught.value.details[0]["triesLeft"])
    assert left == [4, 3, 2, 1]
    for code in (WRONG, house.outbox.code()):
        with pytest.raises(Gone):
            await redeem(house, code)
    assert (await house.kinds()).count("account.signin_refused") == 5


async def test_what_cannot_be_a_code_costs_no_try(house: House) -> None:
    await ask(house)
    for typed in ("", "1234", "UUUU-UUUU", "x" * 500):
        with pytest.raises(Invalid, match="8 letters"):
            await redeem(house, typed)
    signed_in(await redeem(house, house.outbox.code()))


async def test_a_newer_code_voids_the_older(house: House) -> None:
    await ask(house)
    first = house.outbox.code()
    house.state.clock.pass_s(1)
    await ask(house)
    with pytest.raises(Invalid):
        await redeem(house, first)
    signed_in(await redeem(house, house.outbox.code()))


async def test_a_code_works_in_the_browser_that_asked_alone(house: House) -> None:
    await ask(house)
    for code in (house.outbox.code(), *[WRONG] * 6):
        with pytest.raises(Gone):
            await house.enter.sign_in.redeem_code(ANN, code, another_browser(), IP, BROWSER)
    signed_in(await redeem(house, house.outbox.code()))


async def test_a_code_is_for_its_address_alone(house: House) -> None:
    await house.enter.invites.create(ADMIN, "demo", email="bob@example.org")
    await ask(house)
    anns = house.outbox.code()
    await ask(house, "bob@example.org")
    with pytest.raises(Invalid):
        await redeem(house, anns, "bob@example.org")


@pytest.mark.parametrize("count", [2, 16])
async def test_of_two_that_redeem_at_once_one_signs_in(house: House, count: int) -> None:
    await ask(house)
    code = house.outbox.code()
    outcomes = await asyncio.gather(
        *(redeem(house, code) for _ in range(count)), return_exceptions=True
    )
    winners = [one for one in outcomes if isinstance(one, NewSession)]
    assert len(winners) == 1
    assert all(isinstance(one, Gone) for one in outcomes if one not in winners)


async def test_only_active_accounts_get_mail_but_every_address_gets_a_row(house: House) -> None:
    await house.enter.invites.create(ADMIN, "demo", email="blocked@example.org")
    await house.enter.accounts.block(ADMIN, "blocked@example.org")
    for address in ("nobody@example.org", "blocked@example.org"):
        await ask(house, address)
        with pytest.raises(Invalid, match="4 tries left"):
            await redeem(house, WRONG, address)
    assert house.outbox.letters == []
    await ask(house)
    assert [letter.to for letter in house.outbox.letters] == [ANN]


async def test_a_code_of_an_account_that_was_blocked_meanwhile_is_wrong(house: House) -> None:
    await ask(house)
    await house.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Invalid):
        await redeem(house, house.outbox.code())


async def test_five_codes_an_hour_go_to_an_address(house: House) -> None:
    for _ in range(7):
        await ask(house)
        house.state.clock.pass_s(1)
    assert len(house.outbox.letters) == 5
    signed_in(await redeem(house, house.outbox.code()))
    house.state.clock.pass_s(3600)
    await ask(house)
    assert len(house.outbox.letters) == 6


async def test_twenty_codes_an_hour_come_from_an_ip_and_two_hundred_in_all(house: House) -> None:
    for n in range(20):
        await ask(house, f"n{n}@example.org")
    await ask(house)
    assert house.outbox.letters == []
    await ask(house, ip="192.0.2.8")
    assert len(house.outbox.letters) == 1
    for n in range(179):
        await ask(house, f"m{n}@example.org", ip=f"198.51.100.{n}")
    await ask(house, ip="203.0.113.1")
    assert len(house.outbox.letters) == 1


async def test_throttled_requests_are_recorded_once_a_sweep(house: House) -> None:
    for _ in range(9):
        await ask(house)
    before = await house.state.recorded()
    await house.enter.sign_in.sweep()
    await house.enter.sign_in.sweep()
    (row,) = (await house.state.rows())[before:]
    assert row.kind == "account.signin_refused"
    assert '"count":4' in row.body


async def test_a_letter_that_is_not_delivered_is_told_to_the_log_and_gone(house: House) -> None:
    house.outbox.broken = True
    await ask(house)
    row = (await house.state.rows())[-1]
    assert row.kind == "mail.failed"
    assert ANN in row.body
    assert "554" in row.body


async def test_no_code_is_stored_or_recorded_readably(house: House) -> None:
    await ask(house)
    code = house.outbox.code()
    await redeem(house, code)
    await house.state.desk.wal.truncate()
    for form in (code, code.replace("-", "")):
        assert form.encode() not in house.state.file_bytes()


async def test_with_mail_neither_links_nor_address_and_app_sign_in(house: House) -> None:
    assert not house.enter.sign_in.mail_off
    with pytest.raises(Conflict):
        await house.enter.sign_in.sign_in_with_totp(ANN, "000000", IP, BROWSER)
    with pytest.raises(Gone):
        await house.enter.sign_in.show_link("x")
    with pytest.raises(Gone):
        await house.enter.sign_in.redeem_link("x", IP, BROWSER)
    with pytest.raises(Conflict, match="mailed"):
        await house.enter.accounts.link(ADMIN, ANN)


async def test_an_old_clock_stops_codes_links_and_app_codes(house: House) -> None:
    home = house_of(house.state, mail=False)
    link = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    await ask(house)
    code = house.outbox.code()
    house.state.clock.ms -= 3_600_000
    for refused in (
        ask(house),
        redeem(house, code),
        home.enter.sign_in.show_link(link),
        home.enter.sign_in.redeem_link(link, IP, BROWSER),
        home.enter.sign_in.sign_in_with_totp(ANN, "123456", IP, BROWSER),
    ):
        with pytest.raises(ClockBackwards):
            await refused


async def test_a_link_signs_in_once_and_demands_a_new_second_factor(home: House) -> None:
    token = await home.invited()
    assert await home.enter.sign_in.show_link(token) == ANN
    assert await home.enter.sign_in.show_link(token) == ANN
    before = await home.state.recorded()
    new = await home.enter.sign_in.redeem_link(token, IP, BROWSER)
    assert await home.kinds(before) == ["account.signed_in", "account.link_used"]
    assert home.enter.factors.must_enrol(new.visitor)
    for again in (
        home.enter.sign_in.show_link(token),
        home.enter.sign_in.redeem_link(token, IP, BROWSER),
    ):
        with pytest.raises(Gone):
            await again


async def test_a_link_ends_the_old_app_codes_and_sessions(home: House) -> None:
    ann = await home.enrolled_by_link()
    link = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    assert await home.enter.sessions.find(ann.new.token) is not None
    new = await home.enter.sign_in.redeem_link(link, IP, BROWSER)
    assert await home.enter.sessions.find(ann.new.token) is None
    assert not new.visitor.account.has_totp
    for code in (home.next_code(ann.secret), ann.codes[0]):
        with pytest.raises(Invalid):
            await home.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER)


@pytest.mark.parametrize(("late_ms", "works"), [(-1, True), (0, False), (1000, False)])
async def test_a_link_lives_a_day(home: House, late_ms: int, works: bool) -> None:
    token = await home.invited()
    home.state.clock.ms += 24 * 3_600_000 + late_ms
    if works:
        signed_in(await home.enter.sign_in.redeem_link(token, IP, BROWSER))
        return
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(token, IP, BROWSER)


async def test_a_newer_link_voids_the_older_and_a_block_voids_every(home: House) -> None:
    first = await home.invited()
    second = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(first, IP, BROWSER)
    await home.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(second, IP, BROWSER)
    await home.enter.accounts.unblock(ADMIN, ANN)
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(second, IP, BROWSER)
    assert (await home.kinds()).count("account.link_voided") == 2


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\ud800" * 43, "A" * 5000])
async def test_what_is_no_link_is_not_found(home: House, token: str) -> None:
    with pytest.raises(NotFound):
        await home.enter.sign_in.redeem_link(token, IP, BROWSER)


async def test_of_many_that_use_a_link_at_once_one_signs_in(home: House) -> None:
    token = await home.invited()
    tries = (home.enter.sign_in.redeem_link(token, IP, BROWSER) for _ in range(16))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, NewSession) for one in outcomes) == 1
    assert sum(isinstance(one, Gone) for one in outcomes) == 15


async def test_links_over_their_time_are_voided_by_the_sweep(home: House) -> None:
    await home.invited()
    assert await home.enter.links.sweep() == 0
    home.state.clock.pass_s(24 * 3600)
    assert await home.enter.links.sweep() == 1
    assert await home.enter.links.sweep() == 0
    assert (await home.kinds())[-1] == "account.link_voided"


async def test_the_token_of_a_link_is_stored_nowhere(home: House) -> None:
    token = await home.invited()
    await home.enter.sign_in.redeem_link(token, IP, BROWSER)
    await home.state.desk.wal.truncate()
    assert token.encode() not in home.state.file_bytes()


async def test_where_no_mail_is_sent_address_and_app_sign_in(home: House) -> None:
    ann = await home.enrolled_by_link()
    code = home.next_code(ann.secret)
    new = await home.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER)
    assert new.visitor.session.mfa_at == home.state.clock.now_ms()
    home.enter.factors.admit(new.visitor)
    backup = await home.enter.sign_in.sign_in_with_totp(ANN, ann.codes[0], IP, BROWSER)
    assert backup.visitor.session.id != new.visitor.session.id
    for used in (code, ann.codes[0]):
        with pytest.raises(Invalid):
            await home.enter.sign_in.sign_in_with_totp(ANN, used, IP, BROWSER)


@pytest.mark.parametrize("address", [ANN, "nobody@example.org"])
async def test_known_and_unknown_addresses_lock_alike_and_each_lock_doubles(
    home: House, address: str
) -> None:
    await home.enrolled_by_link()
    locks = []
    for n in range(40):
        ip = f"198.51.100.{n}"
        try:
            await home.enter.sign_in.sign_in_with_totp(address, "000000", ip, BROWSER)
        except Locked as locked:
            locks.append((locked.until_ms - home.state.clock.now_ms()) // 60_000)
            with pytest.raises(Locked):
                await home.enter.sign_in.sign_in_with_totp(address, "000000", ip, BROWSER)
            home.state.clock.ms = locked.until_ms
        except Invalid:
            pass
    assert locks == [15, 30, 60, 120, 240, 480, 960, 1440]


async def test_a_locked_account_refuses_the_right_code_until_the_time_is_over(home: House) -> None:
    ann = await home.enrolled_by_link()
    for n in range(5):
        with pytest.raises((Invalid, Locked)):
            await home.enter.sign_in.sign_in_with_totp(ANN, "000000", f"10.0.0.{n}", BROWSER)
    with pytest.raises(Locked):
        await home.enter.sign_in.sign_in_with_totp(ANN, home.next_code(ann.secret), IP, BROWSER)
    home.state.clock.pass_s(15 * 60)
    code = home.next_code(ann.secret)
    signed_in(await home.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER))


async def test_an_ip_that_guesses_over_many_addresses_is_stopped(home: House) -> None:
    ann = await home.enrolled_by_link()
    for n in range(20):
        with pytest.raises(Invalid):
            await home.enter.sign_in.sign_in_with_totp(f"n{n}@example.org", "0", IP, BROWSER)
    with pytest.raises(Locked, match="network"):
        await home.enter.sign_in.sign_in_with_totp(ANN, home.next_code(ann.secret), IP, BROWSER)
    other = "192.0.2.99"
    code = home.next_code(ann.secret)
    signed_in(await home.enter.sign_in.sign_in_with_totp(ANN, code, other, BROWSER))
    home.state.clock.pass_s(3600)
    code = home.next_code(ann.secret)
    signed_in(await home.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER))


async def test_a_blocked_account_signs_in_nowhere(home: House) -> None:
    ann = await home.enrolled_by_link()
    await home.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Invalid):
        await home.enter.sign_in.sign_in_with_totp(ANN, home.next_code(ann.secret), IP, BROWSER)


async def test_no_mail_means_no_codes(home: House) -> None:
    assert home.enter.sign_in.mail_off
    with pytest.raises(Conflict):
        await home.enter.sign_in.request_code(ANN, PRELOGIN, IP)

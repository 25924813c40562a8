"""Guessing: ten thousand guesses at codes, app codes, backup codes and invitations, none accepted.

The clock moves on as the throttles and locks demand, so that each guess is really looked at or
really refused for its number; what a guesser may try in all stays what the numbers say.
Source: security specification, 14 ("code brute force").
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.entering import ANN, BROWSER, IP, PRELOGIN, House, another_browser, house_of
from tests.support.state import ADMIN, State, open_state
from wicketd.domain import codes
from wicketd.domain.errors import Gone, Invalid, Locked, NotFound
from wicketd.domain.ports import Query

pytestmark = pytest.mark.requirement("code-brute-force")
GUESSES = 10_000


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    async with open_state(tmp_path) as fresh:
        yield fresh


def guess(n: int, length: int) -> str:
    """The nth guess at a code, in no order that a test could have picked."""
    return codes.draw((n * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big"), length)


async def signed_in(house: House) -> int:
    return (await house.kinds()).count("account.signed_in")


async def looked_at(house: House) -> int:
    """Guesses that were compared with anything: each leaves a row."""
    return (await house.kinds()).count("account.signin_refused")


async def test_ten_thousand_guesses_at_mailed_codes(state: State) -> None:
    house = house_of(state)
    await house.invited()
    accepted = 0
    for n in range(GUESSES):
        if n % 20 == 0:
            house.state.clock.pass_s(720)  # as fast as five codes an hour allow
            await house.enter.sign_in.request_code(ANN, PRELOGIN, IP)
        try:
            await house.enter.sign_in.redeem_code(ANN, guess(n, 8), PRELOGIN, IP, BROWSER)
            accepted += 1
        except (Invalid, Gone):
            pass
    await house.background.done()
    assert (accepted, await signed_in(house)) == (0, 0)
    assert await looked_at(house) == GUESSES // 20 * 5
    tries = Query("SELECT max(attempts) FROM signin_codes", (), lambda row: int(row[0]))
    assert await state.db.one(tries) == 5


async def test_without_the_browsers_cookie_no_guess_is_even_compared(state: State) -> None:
    house = house_of(state)
    await house.invited()
    await house.enter.sign_in.request_code(ANN, PRELOGIN, IP)
    code, stranger = await house.mailed(), another_browser()
    for n in range(GUESSES // 10):
        with pytest.raises(Gone):
            await house.enter.sign_in.redeem_code(ANN, guess(n, 8), stranger, IP, BROWSER)
    assert await looked_at(house) == 0
    assert await house.enter.sign_in.redeem_code(ANN, code, PRELOGIN, IP, BROWSER) is not None


@pytest.mark.long
@pytest.mark.parametrize("mail", [True, False])
async def test_ten_thousand_guesses_at_second_factors(state: State, mail: bool) -> None:
    home = house_of(state, mail=False)
    ann = await home.enrolled_by_link()
    house = house_of(state, mail=mail)
    visitor = ann.new.visitor
    before, wrong = await signed_in(home), await looked_at(home)
    for n in range(GUESSES):
        if n % 20 == 0:  # of twenty guesses five are looked at, fifteen meet the lock
            house.state.clock.pass_s(25 * 3600)
        typed = guess(n, 10) if n % 2 else f"{n * 7919 % 10**6:06d}"
        if typed == home.app_code(ann.secret):
            typed = "x"
        with pytest.raises((Invalid, Locked)):
            await house.enter.second_factor.check(visitor, typed, IP, BROWSER)
    assert await signed_in(home) == before
    assert await looked_at(home) - wrong == GUESSES // 20 * 5


async def test_the_only_proof_allows_five_guesses_a_day_in_the_end(state: State) -> None:
    home = house_of(state, mail=False)
    await home.enrolled_by_link()
    began, wrong = state.clock.now_ms(), 0
    for n in range(200):
        try:
            await home.enter.sign_in.sign_in_with_totp(
                ANN, "000000", f"10.0.{n >> 8}.{n & 255}", "x"
            )
        except Locked as locked:
            wrong += 1
            state.clock.ms = locked.until_ms
        except Invalid:
            wrong += 1
    days = (state.clock.now_ms() - began) / 86_400_000
    assert wrong == 200
    assert 34 < days < 36  # 40 locks: seven that double up to a day, then 33 of a day


async def test_ten_thousand_guesses_at_invitations_and_links(state: State) -> None:
    house, home = house_of(state), house_of(state, mail=False)
    token = await house.invited()
    await home.enter.invites.create(ADMIN, "demo", email="bob@example.org")
    for n in range(GUESSES):
        mac = guess(n, 43).replace("U", "_")
        for guessed in (token[:21] + mac, mac + token[43:]):
            with pytest.raises(NotFound):
                await house.enter.joining.show(guessed[:64])
        if n % 10 == 0:
            with pytest.raises(NotFound):
                await home.enter.sign_in.redeem_link(mac, IP, BROWSER)
    assert await signed_in(house) == 0
    assert (await house.enter.joining.show(token)).email == ANN

"""Nobody learns from answers or their times which addresses exist.

Times are compared in pairs, known against unknown in turn: where nothing differs, the known one is
the slower one in about half of them.
"""

import math
import time
from collections.abc import Awaitable, Callable

from tests.support.entering import ANN, BROWSER, PRELOGIN, House, house_of
from tests.support.state import State
from wicketd.domain.errors import WicketError

PAIRS = 240
NOBODY = "eve@example.org"
SIGMAS = 6

Ask = Callable[[str, str], Awaitable[object]]


async def answer(ask: Ask, email: str, ip: str) -> tuple[str, float]:
    """What is answered, and how long it takes."""
    began = time.perf_counter()
    try:
        await ask(email, ip)
        said = "nothing"
    except WicketError as error:
        said = f"{type(error).__name__}: {error.message} {error.details}"
    return said, time.perf_counter() - began


async def compared(house: House, ask: Ask, *, pause_s: float) -> float:
    """The share of pairs in which the known address took longer; the answers must be equal."""
    slower = 0
    for n in range(PAIRS):
        order = (ANN, NOBODY) if n % 2 else (NOBODY, ANN)
        house.state.clock.pass_s(pause_s)
        await house.enter.guard.check()
        ip = f"10.{n >> 8}.{n & 255}.1"
        first, second = [await answer(ask, email, ip) for email in order]
        assert first[0] == second[0]
        known, unknown = (first, second) if order[0] == ANN else (second, first)
        slower += known[1] > unknown[1]
    return slower / PAIRS


def is_even(share: float) -> bool:
    """Whether a fair coin gives this share, within six standard deviations."""
    return abs(share - 0.5) < SIGMAS * 0.5 / math.sqrt(PAIRS)


async def test_asking_for_a_code_is_the_same_for_every_address(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def ask(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)

    share = await compared(house, ask, pause_s=3600)
    await house.background.done()
    assert len(house.outbox.letters) > 0
    assert {letter.to for letter in house.outbox.letters} == {ANN}
    assert is_even(share)


async def test_a_throttled_request_is_the_same_too(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def ask(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)

    for n in range(5):
        await ask(ANN, f"192.0.2.{n}")
    share = await compared(house, ask, pause_s=0)
    await house.background.done()
    assert len(house.outbox.letters) == 5
    assert is_even(share)


async def test_wrong_codes_are_the_same_for_every_address(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def guess(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)
        await house.enter.sign_in.redeem_code(email, "0000-0000", PRELOGIN, ip, BROWSER)

    share = await compared(house, guess, pause_s=3600)
    await house.background.done()
    assert is_even(share)


async def test_wrong_app_codes_are_the_same_for_every_address_locks_included(
    state: State,
) -> None:
    home = house_of(state, mail=False)
    await home.enrolled_by_link()

    async def guess(email: str, ip: str) -> None:
        await home.enter.sign_in.sign_in_with_totp(email, "000000", ip, BROWSER)

    assert is_even(await compared(home, guess, pause_s=3600))

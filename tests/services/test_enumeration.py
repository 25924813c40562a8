"""Nobody learns from answers or their times which addresses exist.

Times are compared in pairs, known against unknown in mixed order. Where nothing differs the known
one is the slower one in about half of them; a gap is more than noise when it shows in far more of
them and is a quarter of the time: tens of microseconds, which no network lets through.
"""

import math
import statistics
import time
from collections.abc import Awaitable, Callable

from tests.support.entering import ANN, BROWSER, PRELOGIN, House, house_of
from tests.support.state import State
from wicketd.domain.errors import WicketError

PAIRS = 240
NOBODY = "eve@example.org"
SIGMAS = 6
VISIBLE = 0.25

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


async def gap_of(house: House, ask: Ask, *, pause_s: float) -> float:
    """What the known address takes longer, as a part of the time; 0 where it is noise.

    The answers of each pair must be equal.
    """
    gaps, times = [], []
    for n in range(PAIRS):
        is_known_first = bool(n * 0x9E3779B97F4A7C15 >> 63 & 1)
        order = (ANN, NOBODY) if is_known_first else (NOBODY, ANN)
        house.state.clock.pass_s(pause_s)
        await house.state.desk.guard.check()
        ip = f"10.{n >> 8}.{n & 255}.1"
        first, second = [await answer(ask, email, ip) for email in order]
        assert first[0] == second[0]
        known, unknown = (first, second) if is_known_first else (second, first)
        gaps.append(known[1] - unknown[1])
        times.append(unknown[1])
    slower = sum(gap > 0 for gap in gaps) / PAIRS
    is_noise = abs(slower - 0.5) < SIGMAS * 0.5 / math.sqrt(PAIRS)
    return 0.0 if is_noise else statistics.median(gaps) / statistics.median(times)


async def test_asking_for_a_code_is_the_same_for_every_address(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def ask(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)

    gap = await gap_of(house, ask, pause_s=3600)
    await house.background.done()
    assert len(house.outbox.letters) > 0
    assert {letter.to for letter in house.outbox.letters} == {ANN}
    assert abs(gap) < VISIBLE


async def test_a_throttled_request_is_the_same_too(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def ask(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)

    for n in range(5):
        await ask(ANN, f"192.0.2.{n}")
    gap = await gap_of(house, ask, pause_s=0)
    await house.background.done()
    assert len(house.outbox.letters) == 5
    assert abs(gap) < VISIBLE


async def test_wrong_codes_are_the_same_for_every_address(state: State) -> None:
    house = house_of(state)
    await house.invited()

    async def guess(email: str, ip: str) -> None:
        await house.enter.sign_in.request_code(email, PRELOGIN, ip)
        await house.enter.sign_in.redeem_code(email, "0000-0000", PRELOGIN, ip, BROWSER)

    gap = await gap_of(house, guess, pause_s=3600)
    await house.background.done()
    assert abs(gap) < VISIBLE


async def test_wrong_app_codes_are_the_same_for_every_address_locks_included(
    state: State,
) -> None:
    home = house_of(state, mail=False)
    await home.enrolled_by_link()

    async def guess(email: str, ip: str) -> None:
        await home.enter.sign_in.sign_in_with_totp(email, "000000", ip, BROWSER)

    assert abs(await gap_of(home, guess, pause_s=3600)) < VISIBLE

import asyncio

import pytest

from tests.support.upstreams import MemoryVerdicts, agent
from wicketd.domain.calls import Failure
from wicketd.domain.catalogue import UpstreamEra
from wicketd.proxy import failures
from wicketd.proxy.eras import Eras, ServicePlace, Verdict

PLACE = ServicePlace(agent().id, "demo", "sha")
HOUR_MS = 3600 * 1000
LEGACY, MODERN = UpstreamEra.LEGACY, UpstreamEra.MODERN


class SetClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ms = 1_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


class Asked:
    """A probe that counts."""

    def __init__(self, *answers: UpstreamEra | Failure) -> None:
        self.answers = list(answers)
        self.count = 0

    async def __call__(self) -> UpstreamEra | Failure:
        self.count += 1
        await asyncio.sleep(0)
        return self.answers.pop(0)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store() -> MemoryVerdicts:
    return MemoryVerdicts()


async def test_callers_at_once_share_one_probe(clock: SetClock, store: MemoryVerdicts) -> None:
    eras, probe = Eras(store, clock), Asked(MODERN)
    found = await asyncio.gather(*(eras.find(PLACE, None, probe) for _ in range(5)))
    assert probe.count == 1
    assert {result[0].era for result in found if not isinstance(result, Failure)} == {MODERN}
    assert store.rows[PLACE].era is MODERN


async def test_a_failed_probe_is_no_verdict(clock: SetClock, store: MemoryVerdicts) -> None:
    eras, failure = Eras(store, clock), failures.unreachable("demo")
    probe = Asked(failure, MODERN)
    assert await eras.find(PLACE, None, probe) == failure
    assert store.rows == {}
    assert not isinstance(await eras.find(PLACE, None, probe), Failure)


@pytest.mark.parametrize(
    ("era", "hours", "is_good"),
    [
        (LEGACY, 23, True),
        (LEGACY, 25, False),
        (MODERN, 1000, True),
        (UpstreamEra.INCOMPATIBLE, 0, True),
        (UpstreamEra.INCOMPATIBLE, 1, False),
    ],
)
async def test_a_legacy_verdict_is_good_for_a_day(
    clock: SetClock, store: MemoryVerdicts, era: UpstreamEra, hours: int, *, is_good: bool
) -> None:
    eras = Eras(store, clock)
    await eras.learn(PLACE, Verdict(era, clock.now_ms()))
    clock.ms += hours * HOUR_MS
    assert eras.is_good(PLACE) is is_good
    probe = Asked(MODERN)
    await eras.find(PLACE, None, probe)
    assert probe.count == (0 if is_good else 1)


async def test_a_doubted_verdict_is_probed_again_and_another_one_is_taken(
    clock: SetClock, store: MemoryVerdicts
) -> None:
    eras, probe = Eras(store, clock), Asked(LEGACY)
    await eras.learn(PLACE, Verdict(MODERN, clock.now_ms() - 1))
    assert await eras.find(PLACE, MODERN, probe) == (Verdict(LEGACY, clock.now_ms()), True)
    clock.ms += 5
    known = await eras.find(PLACE, MODERN, probe)
    assert known == (Verdict(LEGACY, clock.now_ms() - 5), False)
    assert probe.count == 1


async def test_another_connector_file_is_another_place(
    clock: SetClock, store: MemoryVerdicts
) -> None:
    eras, probe = Eras(store, clock), Asked(LEGACY)
    await eras.learn(PLACE, Verdict(MODERN, clock.now_ms()))
    await eras.find(ServicePlace(PLACE.agent_id, "demo", "other"), None, probe)
    assert probe.count == 1


async def test_a_verdict_of_this_very_millisecond_may_be_doubted(
    clock: SetClock, store: MemoryVerdicts
) -> None:
    eras, probe = Eras(store, clock), Asked(LEGACY)
    await eras.learn(PLACE, Verdict(MODERN, clock.now_ms()))
    assert await eras.find(PLACE, MODERN, probe) == (Verdict(LEGACY, clock.now_ms()), True)

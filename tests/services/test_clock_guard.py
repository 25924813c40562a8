"""A clock that was set back stops everything that expires, and says so once."""

from pathlib import Path

import pytest

from tests.support.entering import ANN, IP, PRELOGIN, house_of
from tests.support.sign_ins import open_scene
from tests.support.state import START_MS, State
from wicketd.domain.errors import ClockBackwards
from wicketd.services.clock_guard import TOLERANCE_MS, ClockGuard
from wicketd.storage import meta


def guard(state: State) -> ClockGuard:
    return ClockGuard(state.db, state.desk.journal, state.clock)


async def high_water(state: State) -> int:
    return int(await state.db.one(meta.get("clock_high_water")) or 0)


async def test_a_running_clock_is_the_time_and_is_kept(state: State) -> None:
    watch = guard(state)
    assert await watch.check() == START_MS
    assert await high_water(state) == START_MS
    state.clock.pass_s(3600)
    assert await watch.check() == START_MS + 3_600_000
    assert await high_water(state) == START_MS + 3_600_000


@pytest.mark.parametrize(("back_ms", "refused"), [(TOLERANCE_MS, False), (TOLERANCE_MS + 1, True)])
async def test_more_than_a_minute_back_is_refused_also_after_a_restart(
    state: State, back_ms: int, refused: bool
) -> None:
    await guard(state).check()
    state.clock.ms -= back_ms
    restarted = guard(state)
    if not refused:
        assert await restarted.check() == state.clock.ms
        return
    with pytest.raises(ClockBackwards, match="set back"):
        await restarted.check()


async def test_an_episode_leaves_one_row_and_ends_when_the_clock_is_right(state: State) -> None:
    watch = guard(state)
    await watch.check()
    for _ in range(2):
        state.clock.ms -= 3_600_000
        for _ in range(3):
            with pytest.raises(ClockBackwards):
                await watch.check()
        state.clock.ms += 3_600_000
        await watch.check()
    assert await state.kinds() == ["clock.backwards", "clock.backwards"]


async def test_idle_hours_count_because_a_sweep_keeps_the_time(state: State) -> None:
    watch = guard(state)
    await watch.advance()
    state.clock.pass_s(1800)
    await watch.advance()
    state.clock.ms -= 1_000_000
    await watch.advance()
    assert await high_water(state) == START_MS + 1_800_000
    with pytest.raises(ClockBackwards):
        await guard(state).check()


async def test_a_time_that_sign_in_saw_holds_for_sign_ins_with_providers_too(
    tmp_path: Path,
) -> None:
    """One memory for all use cases: a second one would still stand where it was last asked."""
    async with open_scene(tmp_path) as scene:
        house = house_of(scene.state)
        await scene.begin()
        scene.state.clock.pass_s(600)
        await house.enter.sign_in.request_code(ANN, PRELOGIN, IP)
        scene.state.clock.ms -= 300_000
        with pytest.raises(ClockBackwards):
            await scene.begin()
        assert await high_water(scene.state) == scene.state.clock.ms + 300_000

"""`proxy.conversations`: a channel on every lane of a member, as long as the plain one is open."""

import asyncio

from tests.support.fronts import eventually
from tests.support.upstreams import SystemClock, agent
from wicketd.domain.ids import MemberId
from wicketd.domain.json import JsonObject
from wicketd.proxy.conversations import listen_to_all
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.lanes import VARIANTS_MAX, Lane, Lanes

PLACE, ANA = ServicePlace(agent().id, "demo", "sha"), MemberId("ana")


async def test_lanes_are_listened_to_as_they_come_and_go_until_the_plain_one_ends() -> None:
    lanes = Lanes(SystemClock())
    heard: list[str] = []
    over: list[str] = []
    plain_ends = asyncio.Event()

    async def listen(lane: Lane) -> bool:
        heard.append(lane.variant)
        try:
            if lane.variant == "":
                await plain_ends.wait()
                return True
            await asyncio.get_running_loop().create_future()
        finally:
            over.append(lane.variant)
        return False

    listening = asyncio.ensure_future(listen_to_all(lanes, lanes.of(PLACE, ANA, {}), listen))
    await eventually(lambda: heard == [""])
    variants: list[JsonObject] = [{"sampling": {str(n): {}}} for n in range(VARIANTS_MAX + 1)]
    for variant in variants:
        lanes.of(PLACE, ANA, variant)
    lanes.of(PLACE, MemberId("bob"), {"roots": {}})
    await eventually(lambda: len(heard) == 1 + VARIANTS_MAX)
    assert '{"roots":{}}' not in heard
    plain_ends.set()
    assert await asyncio.wait_for(listening, 5)
    assert sorted(over) == sorted(heard)


async def test_who_listens_is_told_when_the_plain_lane_is_dropped_to_begin_anew() -> None:
    lanes = Lanes(SystemClock())
    heard: list[Lane] = []

    async def listen(lane: Lane) -> bool:
        heard.append(lane)
        await asyncio.get_running_loop().create_future()
        return False

    listening = asyncio.ensure_future(listen_to_all(lanes, lanes.of(PLACE, ANA, {}), listen))
    await eventually(lambda: len(heard) == 1)
    lanes.end(lambda _: True)
    assert await asyncio.wait_for(listening, 5)
    assert heard[0] is not lanes.of(PLACE, ANA, {})

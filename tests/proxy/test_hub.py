"""`proxy.hub`: one notification per change, and no storms."""

import asyncio
from collections.abc import Callable
from functools import partial

from tests.support.fronts import CountingRandom, FakeClock, Tasks, make_caller
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import AgentId, MemberId
from wicketd.proxy.hub import EVERY_S, Hub

ANA, BOB = make_caller("ana"), make_caller("bob")


class Timer:
    """One scheduled call."""

    def __init__(self, at_s: float, callback: Callable[[], object]) -> None:
        self.at_s = at_s
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class House:
    """A hub whose time, timers and views a test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.timers: list[Timer] = []
        self.digests: dict[str, str] = {}
        self.views = 0
        self.told: list[str] = []
        self.tasks = Tasks()
        self.hub = Hub(
            self.view, timers=self, spawn=self.tasks, clock=self.clock, random=CountingRandom()
        )

    async def view(self, caller: Caller, listing: Listing) -> str:
        self.views += 1
        kept = self.digests.get(listing.value, "same")
        return self.digests.get(caller.member.id, kept)

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        timer = Timer(self.clock.monotonic_s() + delay, callback)
        self.timers.append(timer)
        return timer

    def join(self, caller: Caller) -> None:
        self.hub.join(caller, Listing.TOOLS, lambda: self.told.append(caller.member.id))

    async def pass_s(self, seconds: float) -> None:
        """Moves time in steps and runs what falls due."""
        for _ in range(round(seconds * 20)):
            self.clock.pass_s(0.05)
            now_s = self.clock.monotonic_s()
            due = [timer for timer in self.timers if timer.at_s <= now_s]
            self.timers = [timer for timer in self.timers if timer.at_s > now_s]
            for timer in due:
                if not timer.is_cancelled:
                    timer.callback()
            while self.tasks.running:
                await asyncio.sleep(0)


async def joined() -> House:
    house = House()
    house.join(ANA)
    house.join(BOB)
    await house.pass_s(1)
    return house


async def test_a_change_of_one_view_is_told_to_that_member_once() -> None:
    house = await joined()
    house.digests["member-ana"] = "new"
    for _ in range(50):
        house.hub.changed()
    await house.pass_s(10)
    assert house.told == ["member-ana"]


async def test_an_event_that_changes_no_view_tells_nobody() -> None:
    house = await joined()
    house.hub.changed(AgentId("agent-helper"))
    await house.pass_s(10)
    assert house.told == []


async def test_only_streams_of_the_agent_or_member_look() -> None:
    house = await joined()
    before = house.views
    house.hub.changed(AgentId("agent-other"))
    await house.pass_s(1)
    assert house.views == before
    house.hub.changed(member_id=MemberId("member-bob"))
    await house.pass_s(1)
    assert house.views == before + 1


async def test_at_most_one_notification_in_five_seconds_and_the_last_change_counts() -> None:
    house = await joined()
    for number in range(50):
        house.digests["member-ana"] = f"save {number}"
        house.hub.changed()
        await house.pass_s(0.1)
    await house.pass_s(2 * EVERY_S)
    assert 2 <= len(house.told) <= 3
    assert house.views < 150


async def test_what_changed_between_the_last_list_and_the_stream_is_told() -> None:
    house = House()
    house.hub.saw(MemberId("member-ana"), Listing.TOOLS, "old")
    house.join(ANA)
    await house.pass_s(1)
    assert house.told == ["member-ana"]


async def test_what_the_member_has_seen_is_not_told_again() -> None:
    house = await joined()
    house.digests["member-ana"] = "new"
    house.hub.changed()
    house.hub.saw(MemberId("member-ana"), Listing.TOOLS, "new")
    await house.pass_s(1)
    assert house.told == []


async def test_a_stream_that_left_is_told_nothing() -> None:
    house = House()
    stream = house.hub.join(ANA, Listing.TOOLS, lambda: house.told.append("ana"))
    await house.pass_s(1)
    house.digests["member-ana"] = "new"
    house.hub.changed()
    house.hub.leave(stream)
    house.hub.leave(stream)
    await house.pass_s(10)
    assert house.told == []


async def test_an_event_for_many_streams_is_spread_over_two_seconds() -> None:
    house = House()
    for number in range(200):
        house.join(make_caller(f"m{number}"))
    await house.pass_s(1)
    house.hub.changed()
    times = [timer.at_s - house.clock.monotonic_s() for timer in house.timers]
    assert len(times) == 200
    assert max(times) <= 2.1
    assert max(times) - min(times) > 1


async def test_each_list_is_announced_by_itself() -> None:
    house = await joined()
    for listing in (Listing.PROMPTS, Listing.RESOURCES):
        house.hub.join(ANA, listing, partial(house.told.append, listing.value))
    await house.pass_s(0.2)
    house.digests = {"prompts": "new", "resources": "new"}
    house.hub.changed(listing=Listing.PROMPTS)
    await house.pass_s(0.2)
    assert house.told == ["prompts"]

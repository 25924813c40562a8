"""`proxy.channels`: one channel a service, while somebody of the member listens."""

import asyncio

from tests.support.fronts import CountingRandom, FakeClock, Tasks, eventually, make_caller
from tests.support.upstreams import connector
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector
from wicketd.proxy.channels import Channels

ANA, BOB = make_caller("ana"), make_caller("bob")


class House:
    """Channels to scripted upstreams."""

    def __init__(self) -> None:
        self.services = [connector("http://127.0.0.1:1/mcp")]
        self.opened: list[str] = []
        self.open = 0
        self.again: bool | None = None
        """What a channel ends with; None: it stays."""
        self.tasks = Tasks()
        self.channels = Channels(
            self._listen,
            lambda _: self.services,
            spawn=self.tasks,
            clock=FakeClock(),
            random=CountingRandom(),
        )

    async def _listen(self, caller: Caller, to: Connector) -> bool:
        self.opened.append(f"{caller.member.id} {to.key}")
        self.open += 1
        try:
            while self.again is None:
                await asyncio.get_running_loop().create_future()
            return self.again
        finally:
            self.open -= 1


async def test_streams_of_a_member_share_a_channel_that_goes_with_the_last() -> None:
    house = House()
    first, second = house.channels.join(ANA), house.channels.join(ANA)
    third = house.channels.join(BOB)
    await eventually(lambda: house.open == 2)
    house.channels.leave(first)
    house.channels.leave(first)
    assert house.channels.caller_at((ANA.agent.id, ANA.member.id, "demo")) is ANA
    house.channels.leave(second)
    await eventually(lambda: house.open == 1)
    house.channels.leave(third)
    await eventually(lambda: house.open == 0)
    assert sorted(house.opened) == ["member-ana demo", "member-bob demo"]


async def test_a_channel_that_is_refused_waits_until_something_is_wanted_anew() -> None:
    house = House()
    house.again = False
    presence = house.channels.join(ANA)
    await eventually(lambda: len(house.opened) == 1)
    house.channels.changed()
    house.channels.reopen((ANA.agent.id, ANA.member.id, "demo"))
    await eventually(lambda: len(house.opened) == 2)
    another = house.channels.join(ANA)
    await eventually(lambda: len(house.opened) == 3)
    house.channels.leave(presence)
    house.channels.leave(another)
    await eventually(lambda: not house.tasks.running)


async def test_a_channel_that_broke_is_opened_again_after_a_pause() -> None:
    house = House()
    house.again = True
    presence = house.channels.join(ANA)
    await eventually(lambda: len(house.opened) == 1)
    assert len(house.tasks.running) == 1
    await eventually(lambda: len(house.opened) == 2)
    house.channels.leave(presence)


async def test_channels_follow_the_services_of_the_agent() -> None:
    house = House()
    presence = house.channels.join(ANA)
    await eventually(lambda: house.open == 1)
    house.services = []
    house.channels.changed(ANA.agent.id)
    await eventually(lambda: house.open == 0)
    house.channels.leave(presence)


async def test_a_channel_to_a_service_that_moved_is_opened_anew_and_no_other() -> None:
    house = House()
    presence = house.channels.join(ANA)
    await eventually(lambda: house.open == 1)
    house.channels.changed()
    house.services = [connector("http://127.0.0.1:2/mcp")]
    house.channels.changed()
    await eventually(lambda: len(house.opened) == 2)
    assert house.open == 1
    house.channels.leave(presence)


async def test_a_member_who_connects_has_its_channels_opened_anew_and_nobody_else() -> None:
    house = House()
    present = [house.channels.join(caller) for caller in (ANA, BOB)]
    await eventually(lambda: house.open == 2)
    house.channels.reconnected(ANA.agent.id, ANA.member.id)
    await eventually(lambda: len(house.opened) == 3)
    assert house.opened[2] == "member-ana demo"
    assert house.open == 2
    for presence in present:
        house.channels.leave(presence)

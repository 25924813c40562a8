"""`proxy.subscriptions`: news reach their subscribers only, and only as long as they may read."""

from typing import Any

import pytest

from tests.support.fronts import FakeClock
from tests.support.scripted_calls import decision
from tests.support.upstreams import call
from wicketd.domain.calls import Call, Refusal, RefusalKind, Subject
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.policies import Decision
from wicketd.proxy.subscriptions import URIS_MAX, Place, Subscriber, Subscriptions

AGENT = call().caller.agent.id
ANA, BOB = MemberId("ana"), MemberId("bob")


class House:
    """Subscriptions whose policy a test moves."""

    def __init__(self) -> None:
        self.answer: Decision | Refusal = decision(allow=True)
        self.decided: list[Call] = []
        self.changed: list[Place] = []
        self.told: list[tuple[str, str]] = []
        self.all = Subscriptions(self._decide, FakeClock(), self.changed.append)

    def _decide(self, asked: Call) -> Decision | Refusal:
        self.decided.append(asked)
        return self.answer

    def subscriber(self, name: str) -> Subscriber:
        return Subscriber(lambda uri: self.told.append((name, uri)))


def read(uri: str, **changes: Any) -> Call:
    return call(uri, {}, method="resources/subscribe", subject=Subject.RESOURCE, **changes)


@pytest.mark.requirement("N4")
def test_a_change_reaches_the_subscribers_of_its_member_service_and_uri() -> None:
    house = House()
    one, two = house.subscriber("one"), house.subscriber("two")
    house.all.add(one, read("a:1", member="ana"), read("a:2", member="ana"))
    house.all.add(two, read("a:1", member="bob"))
    house.all.updated(AGENT, ANA, "demo", "a:1")
    house.all.updated(AGENT, ANA, "other", "a:1")
    house.all.updated(AGENT, ANA, "demo", "a:3")
    house.all.updated(AgentId("another"), ANA, "demo", "a:1")
    assert house.told == [("one", "demo+a:1")]
    house.all.updated(AGENT, None, "demo", "a:1")
    assert house.told[1:] == [("one", "demo+a:1"), ("two", "demo+a:1")]


@pytest.mark.parametrize(
    "answer", [decision(allow=False), Refusal(RefusalKind.SERVICE_OFF)], ids=["denied", "off"]
)
def test_what_may_not_be_read_any_more_is_not_told_and_forgotten(
    answer: Decision | Refusal,
) -> None:
    house = House()
    house.all.add(house.subscriber("one"), read("a:1", member="ana"))
    house.answer = answer
    house.all.updated(AGENT, ANA, "demo", "a:1")
    house.answer = decision(allow=True)
    house.all.updated(AGENT, ANA, "demo", "a:1")
    assert house.told == []
    assert len(house.decided) == 1
    assert house.decided[0].at_ms == FakeClock().now_ms()


def test_a_place_wants_what_anybody_of_the_member_wants() -> None:
    house = House()
    place: Place = (AGENT, ANA, "demo")
    one, two = house.subscriber("one"), house.subscriber("two")
    house.all.add(one, read("a:1", member="ana"))
    house.all.add(two, read("a:1", member="ana"), read("a:2", member="ana"))
    assert house.changed == [place, place]
    house.all.remove(one, "demo", "a:1")
    assert house.all.uris(place) == {"a:1", "a:2"}
    assert house.changed == [place, place]  # a channel is not opened anew for nothing
    house.all.drop(two)
    house.all.remove(two, "demo", "a:1")
    assert house.all.uris(place) == frozenset()
    assert set(house.changed) == {place}


def test_a_subscriber_holds_a_bounded_number_of_uris() -> None:
    house = House()
    one = house.subscriber("one")
    for number in range(URIS_MAX + 1):
        house.all.add(one, read(f"a:{number}", member="ana"))
    house.all.add(one, read("a:5", member="ana"))
    assert len(one.calls) == URIS_MAX
    assert "a:0" not in house.all.uris((AGENT, ANA, "demo"))

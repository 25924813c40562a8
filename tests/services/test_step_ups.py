"""Three step-ups a day for each tool of each connection."""

from tests.support.state import FakeClock
from wicketd.domain.ids import ConnectionId
from wicketd.services.step_ups import REMEMBERED, StepUps

ONE = ConnectionId("one")


def test_the_fourth_within_a_day_is_one_too_many() -> None:
    clock = FakeClock()
    step_ups = StepUps(clock)
    assert [step_ups.may_ask(ONE, "send") for _ in range(4)] == [True, True, True, False]
    clock.pass_s(86_399)
    assert not step_ups.may_ask(ONE, "send")
    clock.pass_s(1)
    assert step_ups.may_ask(ONE, "send")


def test_tools_and_connections_are_counted_apart() -> None:
    step_ups = StepUps(FakeClock())
    for _ in range(3):
        step_ups.may_ask(ONE, "send")
    assert step_ups.may_ask(ONE, "search")
    assert step_ups.may_ask(ConnectionId("two"), "send")


def test_the_oldest_counts_are_forgotten_beyond_the_bound() -> None:
    step_ups = StepUps(FakeClock())
    for _ in range(3):
        step_ups.may_ask(ONE, "send")
    for number in range(REMEMBERED):
        step_ups.may_ask(ConnectionId(str(number)), "send")
    assert step_ups.may_ask(ONE, "send")

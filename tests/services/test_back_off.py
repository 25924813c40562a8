"""Waits between refreshes double, end with a success, and are bounded."""

from tests.support.state import FakeClock
from wicketd.domain.ids import ConnectionId
from wicketd.services.back_off import REMEMBERED, BackOff

ONE, OTHER = ConnectionId("one"), ConnectionId("other")


def waited(back_off: BackOff, clock: FakeClock) -> float:
    """How long until the connection may be tried again, to a tenth of a second."""
    tenths = 0
    while not back_off.may_try(ONE):
        clock.pass_s(0.1)
        tenths += 1
    return tenths / 10


def test_each_failure_doubles_the_wait_up_to_a_minute() -> None:
    clock = FakeClock()
    back_off = BackOff(clock)
    waits = []
    for _ in range(8):
        back_off.failed(ONE)
        waits.append(waited(back_off, clock))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_server_may_ask_for_longer_but_not_for_less() -> None:
    clock = FakeClock()
    back_off = BackOff(clock)
    back_off.failed(ONE, 300)
    assert waited(back_off, clock) == 300
    back_off.failed(ONE, 0)
    assert waited(back_off, clock) == 2


def test_a_success_forgets_the_waits() -> None:
    clock = FakeClock()
    back_off = BackOff(clock)
    for _ in range(5):
        back_off.failed(ONE)
    back_off.succeeded(ONE)
    assert back_off.may_try(ONE)
    back_off.failed(ONE)
    assert waited(back_off, clock) == 1
    back_off.succeeded(OTHER)


def test_one_connection_does_not_wait_for_another() -> None:
    back_off = BackOff(FakeClock())
    back_off.failed(ONE)
    assert back_off.may_try(OTHER)


def test_the_oldest_waits_are_forgotten_beyond_the_bound() -> None:
    back_off = BackOff(FakeClock())
    back_off.failed(ONE)
    for number in range(REMEMBERED):
        back_off.failed(ConnectionId(str(number)))
    assert back_off.may_try(ONE)
    assert not back_off.may_try(ConnectionId("0"))

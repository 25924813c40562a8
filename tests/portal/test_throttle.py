"""`portal.throttle`: forms a minute."""

from tests.support.state import FakeClock
from wicketd.portal.throttle import Throttle


def test_the_sixty_first_form_of_a_minute_is_refused_and_the_next_minute_is_new() -> None:
    clock = FakeClock()
    throttle = Throttle(clock)
    assert [throttle.admits("ann") for _ in range(61)] == [True] * 60 + [False]
    assert throttle.admits("bob")
    clock.pass_s(60)
    assert throttle.admits("ann")


def test_strangers_cannot_fill_the_memory() -> None:
    throttle = Throttle(FakeClock(), per_minute=1)
    for number in range(10_002):
        assert throttle.admits(str(number))
    assert len(throttle._windows) == 10_000

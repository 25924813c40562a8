"""A truncation that is due is not forgotten."""

from tests.support.state import FakeClock
from wicketd.services.wal import Wal


class Readers:
    """A database whose readers are in the way for some tries."""

    def __init__(self, tries: int) -> None:
        self.left = tries
        self.asked = 0

    async def truncate_wal(self) -> bool:
        """Whether it succeeded."""
        self.asked += 1
        self.left -= 1
        return self.left < 0


async def test_a_truncation_that_fails_is_retried_until_it_succeeds() -> None:
    clock, readers = FakeClock(), Readers(2)
    wal = Wal(readers, clock)
    await wal.truncate()
    clock.pass_s(61)
    assert wal.is_overdue
    await wal.retry()
    assert wal.is_overdue
    await wal.retry()
    assert not wal.is_overdue
    await wal.retry()
    assert readers.asked == 3


async def test_it_is_not_overdue_within_a_minute() -> None:
    clock, readers = FakeClock(), Readers(1)
    wal = Wal(readers, clock)
    assert not wal.is_overdue
    await wal.truncate()
    clock.pass_s(60)
    assert not wal.is_overdue

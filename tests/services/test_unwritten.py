"""Pairs of tokens that wait for the disk: kept, tried again, bounded."""

from dataclasses import dataclass

import pytest

from tests.support.fronts import eventually
from tests.support.upstreams import Tasks
from wicketd.domain.errors import AuditNotDurable
from wicketd.domain.ids import ConnectionId
from wicketd.services.unwritten import KEPT_MAX, Unwritten


@dataclass
class Disk:
    """Takes writes when it is good."""

    is_good: bool = False
    tries: int = 0
    written: int = 0

    async def write(self) -> None:
        """One transaction."""
        self.tries += 1
        if not self.is_good:
            message = "The disk is full."
            raise AuditNotDurable(message)
        self.written += 1


ONE = ConnectionId("one")


async def test_a_pair_is_written_soon_after_the_disk_is_good_again() -> None:
    tasks, disk = Tasks(), Disk()
    unwritten = Unwritten(tasks)
    unwritten.keep(ONE, disk.write)
    assert unwritten.holds(ONE)
    disk.is_good = True
    await eventually(lambda: not unwritten.holds(ONE))
    assert disk.written == 1
    await tasks.settle()


async def test_a_good_probe_writes_what_is_left() -> None:
    tasks, disk = Tasks(), Disk()
    unwritten = Unwritten(tasks)
    unwritten.keep(ONE, disk.write)
    await unwritten.retry()
    assert unwritten.holds(ONE)
    disk.is_good = True
    await unwritten.retry()
    assert (unwritten.count, disk.written) == (0, 1)
    await unwritten.retry()
    await tasks.settle()
    assert disk.written == 1


async def test_one_failure_is_enough_to_see_that_the_disk_is_not_good() -> None:
    disk = Disk()
    unwritten = Unwritten(_never)
    for number in range(3):
        unwritten.keep(ConnectionId(str(number)), disk.write)
    await unwritten.retry()
    assert disk.tries == 1
    assert unwritten.count == 3


async def test_no_more_than_64_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    unwritten = Unwritten(_never)
    for number in range(KEPT_MAX + 1):
        assert unwritten.is_full is (number >= KEPT_MAX)
        unwritten.keep(ConnectionId(str(number)), Disk().write)
    assert unwritten.count == KEPT_MAX
    assert not unwritten.holds(ConnectionId(str(KEPT_MAX)))
    assert "neither written nor kept" in caplog.text


class _Task:
    def cancel(self) -> bool:
        return True


def _never(work: object, *, name: str) -> _Task:
    close = getattr(work, "close", None)
    assert close is not None
    close()
    return _Task()

"""The writer keeps the order of what was queued, and errands run between commits."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wicketd.domain.errors import AuditNotDurable
from wicketd.storage import connect, meta, migrate
from wicketd.storage.group import Unit
from wicketd.storage.writer import GROUP_CAP, Errand, Writer


class _Bench:
    """A writer with the causes it reported."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.causes: list[str] = []
        self.loop = asyncio.get_running_loop()
        self.writer = Writer(connection, self.loop, self.causes.append)

    def unit(self, key: str, value: str = "") -> "asyncio.Future[int]":
        future: asyncio.Future[int] = self.loop.create_future()
        self.writer.submit(Unit(lambda tx: tx.run(meta.put(key, value)), future))
        return future

    def errand(self, sql: str) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = self.loop.create_future()
        self.writer.submit(Errand(lambda c: c.execute(sql).fetchone(), future))
        return future


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[_Bench]:
    connection = connect.writer(tmp_path / "wicket.db")
    migrate.migrate(connection, Path("f"), 0)
    made = _Bench(connection)
    yield made
    await asyncio.to_thread(made.writer.stop)
    connection.close()


async def test_an_errand_sees_what_was_queued_before_it(bench: _Bench) -> None:
    unit = bench.unit("a", "1")
    seen = bench.errand("SELECT value FROM meta WHERE key = 'a'")
    later = bench.unit("a", "2")
    assert await seen == ("1",)
    assert await unit == await later == 1


async def test_more_units_than_a_group_holds_are_all_committed(bench: _Bench) -> None:
    await asyncio.gather(*(bench.unit(f"n{n}") for n in range(3 * GROUP_CAP)))
    assert await bench.errand("SELECT count(*) FROM meta WHERE key GLOB 'n*'") == (3 * GROUP_CAP,)


async def test_an_errand_that_raises_leaves_no_transaction_open(bench: _Bench) -> None:
    await bench.errand("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        await bench.errand("SELECT * FROM nowhere")
    assert await bench.unit("a") == 1


async def test_nothing_is_written_between_a_failure_and_its_healing(bench: _Bench) -> None:
    await bench.errand("PRAGMA max_page_count = 1")
    with pytest.raises(AuditNotDurable):
        await bench.unit("big", "x" * 4_000_000)
    await bench.errand("PRAGMA max_page_count = 1000000")
    with pytest.raises(AuditNotDurable):
        await bench.unit("small")
    assert len(bench.causes) == 1
    healed: asyncio.Future[object] = bench.loop.create_future()
    bench.writer.submit(Errand(lambda _: bench.writer.heal(), healed))
    await healed
    assert await bench.unit("small") == 1


async def test_a_cancelled_caller_does_not_disturb_the_group(bench: _Bench) -> None:
    gone = bench.unit("a")
    errand = bench.errand("SELECT 1")
    gone.cancel()
    errand.cancel()
    assert await bench.unit("b") == 1

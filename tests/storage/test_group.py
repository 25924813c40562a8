"""A group commits what went well in it, as one."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wicketd.domain.errors import AuditNotDurable, Conflict
from wicketd.domain.ports import Statement, Tx
from wicketd.storage import connect, meta, migrate
from wicketd.storage.group import Fold, Folds, Unit, run_group


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = connect.writer(tmp_path / "wicket.db")
    migrate.migrate(opened, Path("f"), 0)
    yield opened
    opened.close()


def _into(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
    return meta.put(str(key[0]), str(counts))


def test_folds_sum_counts_and_keep_maxima() -> None:
    folds = Folds()
    folds.add([Fold(("a",), (1, 2), (5,), _into)])
    folds.add([Fold(("a",), (10, 20), (3,), _into), Fold(("b",), (), (9,), _into)])
    folds.add([Fold(("b",), (), (8,), _into)])
    values = [statement.params for statement in folds.statements()]
    assert values == [("a", "(11, 22, 5)"), ("b", "(9,)")]


async def test_an_abandoned_unit_does_not_run(connection: sqlite3.Connection) -> None:
    unit: Unit[int] = Unit(lambda tx: tx.run(meta.put("a", "1")), _future())
    unit.abandoned = True
    assert run_group(connection, [unit]) is None
    unit.deliver()
    with pytest.raises(AuditNotDurable):
        await unit.future
    assert connection.execute("SELECT value FROM meta WHERE key = 'a'").fetchone() is None


async def test_a_unit_that_hides_a_fault_of_the_medium_costs_the_group(
    connection: sqlite3.Connection,
) -> None:
    connection.execute("PRAGMA max_page_count = 1")

    def hides(tx: Tx) -> None:
        try:
            for number in range(300):
                tx.run(meta.put_once(f"h{number}", "x" * 4000))
        except sqlite3.OperationalError:
            return

    good: Unit[int] = Unit(lambda tx: tx.run(meta.put("good", "1")), _future())
    hiding: Unit[None] = Unit(hides, _future())
    assert run_group(connection, [good, hiding]) is not None
    assert connection.execute("SELECT * FROM meta WHERE key = 'good'").fetchone() is None
    assert isinstance(good.error, AuditNotDurable)


async def test_a_delivered_outcome_stands(connection: sqlite3.Connection) -> None:
    unit: Unit[int] = Unit(lambda tx: tx.run(meta.put("a", "1")), _future())
    unit.future.set_exception(Conflict("late"))
    run_group(connection, [unit])
    unit.deliver()
    with pytest.raises(Conflict):
        await unit.future


def _future() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()

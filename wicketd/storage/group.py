"""One commit group: units of work that share a transaction, each behind its own savepoint.

Counterpart of `writer`, which forms the groups. A unit that raises takes back its own writes and
counters only; a fault of the medium loses the whole group.
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from operator import add
from typing import Any, Generic, NamedTuple, TypeVar

from wicketd.domain.ports import FoldInto, Query, Statement, Tx
from wicketd.storage.faults import is_medium_fault, not_durable, taken

T = TypeVar("T")


class Unit(Generic[T]):
    """A piece of work on its way to a commit: the loop's until it is taken, then the writer's."""

    __slots__ = ("abandoned", "error", "future", "result", "work")

    def __init__(self, work: Callable[[Tx], T], future: "Future[T]") -> None:
        self.work = work
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None
        self.abandoned = False
        """Its caller stopped waiting: what has not begun must not happen any more."""

    def deliver(self) -> None:
        """Hands the outcome to the caller, on the loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # None only if work gave None


class Fold(NamedTuple):
    """One addition to the counters of `key`, or their sum so far."""

    key: tuple[object, ...]
    counts: tuple[int, ...]
    maxima: tuple[int, ...]
    into: FoldInto


class Folds:
    """Counters on their way to one upsert per key and group."""

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], Fold] = {}

    def add(self, folds: Iterable[Fold]) -> None:
        """Sums counts, keeps the largest maxima and the newest `into` of each key."""
        rows = self._rows
        for fold in folds:
            key, counts, maxima, into = fold
            known = rows.get(key)
            if known is None:
                rows[key] = fold
                continue
            if counts:
                counts = tuple(map(add, known.counts, counts))
            if maxima:
                maxima = tuple(map(max, known.maxima, maxima))
            rows[key] = Fold(key, counts, maxima, into)

    def statements(self) -> list[Statement]:
        """One upsert per key, in order of arrival."""
        return [fold.into(fold.key, fold.counts + fold.maxima) for fold in self._rows.values()]


class WriteTx:
    """What one unit of work sees of the group's transaction; a `domain.ports.Tx`."""

    __slots__ = ("_connection", "folds")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.folds: list[Fold] = []

    def one(self, query: Query[T]) -> T | None:
        """See `Tx.one`."""
        row = self._connection.execute(query.sql, query.params).fetchone()
        return None if row is None else query.read(row)

    def all(self, query: Query[T]) -> list[T]:
        """See `Tx.all`."""
        rows: list[Sequence[Any]] = self._connection.execute(query.sql, query.params).fetchall()
        return [query.read(row) for row in rows]

    def run(self, statement: Statement) -> int:
        """See `Tx.run`.

        Raises:
            Conflict: a unique value is taken; `details` names its columns. The unit may go on.
        """
        try:
            return self._connection.execute(statement.sql, statement.params).rowcount
        except sqlite3.IntegrityError as error:
            conflict = taken(error)
            if conflict is None:
                raise
            raise conflict from error

    def fold(
        self,
        key: tuple[object, ...],
        counts: tuple[int, ...],
        into: FoldInto,
        *,
        maxima: tuple[int, ...] = (),
    ) -> None:
        """See `Tx.fold`."""
        self.folds.append(Fold(key, counts, maxima, into))


def run_group(connection: sqlite3.Connection, units: Sequence[Unit[Any]]) -> str | None:
    """Runs and commits the units; afterwards each holds its result or its error.

    Returns why the group did not become durable, or None.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        folds = Folds()
        for unit in units:
            _run_unit(connection, unit, folds)
        for statement in folds.statements():
            connection.execute(statement.sql, statement.params)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        take_back(connection)
        refuse(units, str(error))
        return str(error)
    return None


def take_back(connection: sqlite3.Connection) -> None:
    """Rolls back, unless SQLite has done so by itself, as after some faults of the medium."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def refuse(units: Sequence[Unit[Any]], cause: str) -> None:
    """Tells every unit that nothing of it stands."""
    for unit in units:
        unit.result = None
        unit.error = not_durable(cause)


def _run_unit(connection: sqlite3.Connection, unit: Unit[Any], folds: Folds) -> None:
    if unit.abandoned:
        unit.error = not_durable("the write waited too long")
        return
    tx = WriteTx(connection)
    connection.execute("SAVEPOINT unit")
    try:
        unit.result = unit.work(tx)
    except Exception as error:  # whatever the work raises belongs to its caller
        if is_medium_fault(error):
            raise
        connection.execute("ROLLBACK TO unit")
        unit.error = error
    else:
        folds.add(tx.folds)
    connection.execute("RELEASE unit")

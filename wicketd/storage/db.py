"""The database: one writer that commits in groups, readers beside it, and the health between them.

Implements `domain.ports.Database`. A write returns when it is durable or not at all: after a fault
the database is degraded and refuses writes until `probe` has put one on the disk again.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from wicketd.domain.ports import Clock, Query, Tx
from wicketd.storage import connect, files
from wicketd.storage.faults import broken, not_durable
from wicketd.storage.group import Unit
from wicketd.storage.health import Health, HealthState
from wicketd.storage.migrate import migrate
from wicketd.storage.readers import Readers
from wicketd.storage.writer import Alone, Errand, Writer

T = TypeVar("T")

QUEUE_BOUND: Final = 8192
"""Writes that may wait; with more, the last would only run into their deadline."""
_FULL_CHECK_BYTES: Final = 64 * 1024 * 1024
_GROWING: Final = frozenset({"audit", "audit_policies", "audit_args"})
_PROBE: Final = (
    "BEGIN IMMEDIATE",
    # Several pages: a full file or disk must show although a small update would still fit.
    "INSERT INTO meta (key, value) VALUES ('probe', printf('%.*c', 16384, 'x'))",
    "DELETE FROM meta WHERE key = 'probe'",
    "COMMIT",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a write may take, what stays free on the disk, how many short reads run at once."""

    durable_within_s: float = 2.0
    disk_reserve_bytes: int = files.DISK_RESERVE_BYTES
    readers: int = 3


class SqliteDatabase:
    """A database file that this process alone holds, from `open` until `close`."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        limits: Limits,
        connection: sqlite3.Connection,
        lock: files.LockFile,
    ) -> None:
        """Takes over the write `connection` and the `lock`; runs on the loop that will use it."""
        self._lock = lock
        self._path = path
        self._clock = clock
        self._limits = limits
        self._connection = connection
        self._health = HealthState(clock.now_ms())
        self._readers = Readers(path)
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(connection, self._loop, self._degrade)
        self._identity: files.Identity | None = None
        self._waiting = 0

    @classmethod
    async def open(cls, path: Path, clock: Clock, limits: Limits | None = None) -> "SqliteDatabase":
        """Opens the file, creating or upgrading the schema; if no write reaches the disk, degraded.

        Raises:
            SecondInstance: another process holds the lock file.
            SchemaTooNew: a newer release wrote the file.
            StorageBroken: the file cannot be opened, or SQLite reports corruption.
        """
        files.prepare(path)
        lock = files.LockFile(path)
        try:
            connection = _open_checked(path, clock.now_ms())
        except BaseException:
            lock.release()
            raise
        db = cls(path, clock, limits or Limits(), connection, lock)
        try:
            await db._probe_write()
            await db._readers.start(db._limits.readers)
        except BaseException:
            # The readers' threads outlive the loop and would keep a failing process from ending.
            await db.close()
            raise
        return db

    async def write(self, work: Callable[[Tx], T]) -> T:
        """See `Database.write`.

        The unit of a cancelled caller still runs; that of an expired one only if it had begun.
        """
        if self._health.now.reason is not None:
            raise not_durable(self._health.now.reason)
        if self._waiting >= QUEUE_BOUND:
            raise not_durable("too many writes are waiting")
        unit: Unit[T] = Unit(work, self._loop.create_future())
        timer = self._loop.call_later(self._limits.durable_within_s, self._expire, unit)
        self._waiting += 1
        self._writer.submit(unit)
        try:
            return await unit.future
        finally:
            self._waiting -= 1
            timer.cancel()

    async def one(self, query: Query[T]) -> T | None:
        """See `Database.one`; the query itself names one row or has a LIMIT."""
        rows = await self._readers.fetch(query)
        return rows[0] if rows else None

    async def all(self, query: Query[T]) -> list[T]:
        """See `Database.all`."""
        return await self._readers.fetch(query)

    def stream(self, query: Query[T]) -> AsyncIterator[T]:
        """See `Database.stream`."""
        return self._readers.stream(query)

    @property
    def health(self) -> Health:
        """Whether writes are taken now."""
        return self._health.now

    def listen(self, listener: Callable[[Health], None]) -> None:
        """Calls `listener` on the loop whenever the database becomes degraded or writable again."""
        self._health.listen(listener)

    async def probe(self) -> Health:
        """Looks at files, free space and a real write, and heals what healed; due every 5 s.

        Returns once the write has, with or without success: a hanging disk hangs the probe.
        """
        reason = self._replaced()
        if reason is not None:
            self._health.degrade(reason, self._clock.now_ms(), needs_restart=True)
            return self._health.now
        if files.free_bytes(self._path) < self._limits.disk_reserve_bytes:
            self._degrade("the disk is almost full")
            return self._health.now
        await self._probe_write()
        return self._health.now

    async def is_writable(self) -> bool:
        """Whether a probe finds files, free space and a real write good."""
        return not (await self.probe()).degraded

    async def truncate_wal(self) -> bool:
        """Moves the log into the file and empties it; False when a reader was in the way."""
        return bool(await self.maintain(_truncate))

    async def maintain(self, work: Alone) -> Any:  # whatever the work gives
        """Runs `work` with the write connection between two commits."""
        errand = Errand(work, self._loop.create_future())
        self._writer.submit(errand)
        return await errand.future

    async def close(self) -> None:
        """Finishes what is queued, closes every connection, and lets the next process in."""
        await asyncio.to_thread(self._writer.stop)
        await self._readers.close()
        self._connection.close()
        self._lock.release()

    async def _probe_write(self) -> None:
        try:
            await self.maintain(self._write_probe)
        except sqlite3.Error as error:
            self._degrade(str(error))
            return
        if self._identity is None:
            self._identity = files.identity(self._path)
        self._health.recover(self._clock.now_ms())

    def _write_probe(self, connection: sqlite3.Connection) -> None:
        for statement in _PROBE:
            connection.execute(statement)
        self._writer.heal()

    def _replaced(self) -> str | None:
        if self._identity is None or files.identity(self._path) == self._identity:
            return None
        return "the database file or its log was replaced; restart wicketd"

    def _expire(self, unit: Unit[Any]) -> None:
        if unit.future.done():
            return
        unit.abandoned = True
        cause = f"a write was not on the disk within {self._limits.durable_within_s:g} s"
        self._degrade(cause)
        unit.future.set_exception(not_durable(cause))

    def _degrade(self, reason: str) -> None:
        self._health.degrade(reason, self._clock.now_ms())


def _open_checked(path: Path, now_ms: int) -> sqlite3.Connection:
    try:
        connection = connect.writer(path)
    except sqlite3.Error as error:
        raise broken(path, error) from error
    try:
        migrate(connection, path, now_ms)
        _check(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise broken(path, error) from error
    except BaseException:
        connection.close()
        raise
    files.narrow(path)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite's own check: of the whole file while it is small, else of all tables but the audit's.

    Those of a large file take longer than a start may; `wicketd audit verify` reads them all.
    """
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    checks = ["PRAGMA quick_check(1)"]
    if pages * size > _FULL_CHECK_BYTES:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        checks = [f"PRAGMA quick_check('{name}')" for (name,) in names if name not in _GROWING]
    for check in checks:
        finding = connection.execute(check).fetchone()[0]
        if finding != "ok":
            raise broken(path, finding)


def _truncate(connection: sqlite3.Connection) -> bool:
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return bool(busy == 0)

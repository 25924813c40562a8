"""Read-only connections, so that a read never waits for the writer and never makes it wait.

Counterpart of `writer`. Every query sees one consistent state: the newest commit when it began.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite

from wicketd.domain.ports import Query
from wicketd.storage import connect
from wicketd.storage.faults import unreadable

T = TypeVar("T")

STREAMS: Final = 4
"""Exports and verifications at a time; further ones wait, calls do not."""
_CHUNK: Final = 256


class Readers:
    """A small pool for short reads, and connections of their own for streams."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._open: list[aiosqlite.Connection] = []
        self._streams = asyncio.Semaphore(STREAMS)

    async def start(self, count: int) -> None:
        """Opens the pool."""
        for _ in range(count):
            connection = await self._connect()
            self._open.append(connection)
            self._idle.put_nowait(connection)

    async def close(self) -> None:
        """Closes the pool; reads that run are finished first."""
        for connection in self._open:
            await connection.close()
        self._open.clear()

    async def fetch(self, query: Query[T]) -> list[T]:
        """Every row of a short read.

        Raises:
            Unhealthy: the file cannot be read.
        """
        async with self._borrow() as connection:
            try:
                rows = await connection.execute_fetchall(query.sql, query.params)
            except sqlite3.OperationalError as error:
                raise unreadable(error) from error
        return [query.read(row) for row in _sequences(rows)]

    async def stream(self, query: Query[T]) -> AsyncIterator[T]:
        """Rows in chunks over a connection of its own, in constant memory.

        Raises:
            Unhealthy: the file cannot be read.
        """
        async with self._streams:
            connection = await self._connect()
            try:
                async with connection.execute(query.sql, query.params) as cursor:
                    async for row in cursor:
                        yield query.read(tuple(row))
            except sqlite3.OperationalError as error:
                raise unreadable(error) from error
            finally:
                await connection.close()

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = await self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put_nowait(connection)

    async def _connect(self) -> aiosqlite.Connection:
        return await aiosqlite.Connection(partial(connect.reader, self._path), _CHUNK)


def _sequences(rows: object) -> Sequence[Sequence[Any]]:
    assert isinstance(rows, list)  # noqa: S101  # aiosqlite types a fetchall as Iterable
    return rows

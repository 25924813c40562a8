"""Reads run beside the writer, and faults of the medium are told in the domain's words."""

import asyncio
from pathlib import Path

import pytest

from tests.storage.rows import run
from wicketd.domain.errors import Unhealthy
from wicketd.domain.ports import Query
from wicketd.storage import meta
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.migrate import SCHEMA_VERSION
from wicketd.storage.readers import STREAMS, Readers

_BAD: Query[str] = Query("SELECT * FROM nowhere", (), lambda row: str(row[0]))


async def test_more_reads_than_connections_are_all_answered(db: SqliteDatabase) -> None:
    await run(db, meta.put("a", "1"))

    async def read() -> str | None:
        return await db.one(meta.get("a"))

    found = await asyncio.gather(*(read() for _ in range(50)))
    assert found == ["1"] * 50


async def test_a_read_is_not_held_up_by_an_open_transaction(db: SqliteDatabase) -> None:
    await db.maintain(lambda c: c.execute("BEGIN IMMEDIATE"))
    assert await db.one(meta.get("schema_version")) == str(SCHEMA_VERSION)
    await db.maintain(lambda c: c.execute("ROLLBACK"))


async def test_a_stream_keeps_the_state_it_began_with(db: SqliteDatabase) -> None:
    await run(db, *(meta.put(f"s{n:04d}", "old") for n in range(1000)))
    seen: list[str] = []
    async for _, value in db.stream(meta.with_prefix("s0")):
        if not seen:
            await run(db, meta.put("s0999", "new"))
        seen.append(value)
    assert seen == ["old"] * 1000


async def test_more_streams_than_allowed_wait_their_turn(db: SqliteDatabase) -> None:
    async def last() -> str:
        found = [value async for _, value in db.stream(meta.with_prefix("schema"))]
        return found[-1]

    found = await asyncio.gather(*(last() for _ in range(3 * STREAMS)))
    assert found == [str(SCHEMA_VERSION)] * 3 * STREAMS


async def test_a_failing_read_is_unhealthy_and_frees_its_connection(db: SqliteDatabase) -> None:
    for _ in range(10):
        with pytest.raises(Unhealthy):
            await db.one(_BAD)
    with pytest.raises(Unhealthy):
        await anext(db.stream(_BAD))
    assert await db.one(meta.get("schema_version")) == str(SCHEMA_VERSION)


async def test_a_closed_pool_is_empty(db: SqliteDatabase, path: Path) -> None:
    readers = Readers(path)
    await readers.start(1)
    await readers.close()

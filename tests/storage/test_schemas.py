"""What gave a schema is kept once and never changes."""

import sqlite3

import pytest

from wicketd.storage import schemas
from wicketd.storage.db import SqliteDatabase

SHA = bytes(32)


async def test_the_first_that_is_kept_stays(db: SqliteDatabase) -> None:
    for services in (b"first", b"second"):
        await db.write(lambda tx, kept=services: tx.run(schemas.keep(SHA, kept)))  # type: ignore[misc]  # bound now
    assert await db.one(schemas.services_of(SHA)) == b"first"
    assert await db.one(schemas.services_of(b"x" * 32)) is None


async def test_no_statement_changes_what_is_kept(db: SqliteDatabase) -> None:
    await db.write(lambda tx: tx.run(schemas.keep(SHA, b"first")))

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE schemas SET services = x'00'")

    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        await db.maintain(change)

"""Encryptions add up per key and purpose."""

from tests.storage.rows import run
from wicketd.storage import key_usage
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.key_usage import KeyUsage


async def test_reservations_add_up(db: SqliteDatabase) -> None:
    await run(
        db,
        key_usage.reserve("k1", "audit-args", 1024),
        key_usage.reserve("k1", "audit-args", 1024),
        key_usage.reserve("k2", "totp", 1),
    )
    assert await db.one(key_usage.of("k1", "audit-args")) == KeyUsage("k1", "audit-args", 2048)
    assert await db.all(key_usage.usage()) == [
        KeyUsage("k1", "audit-args", 2048),
        KeyUsage("k2", "totp", 1),
    ]


async def test_a_retired_key_is_forgotten(db: SqliteDatabase) -> None:
    await run(db, key_usage.reserve("k1", "totp", 1), key_usage.forget("k1"))
    assert await db.all(key_usage.usage()) == []

"""Facts about the installation, and which server keys the rows still name."""

from tests.storage.rows import connection, run
from wicketd.storage import connections, key_usage, meta
from wicketd.storage.db import SqliteDatabase


async def test_a_value_is_set_replaced_and_forgotten(db: SqliteDatabase) -> None:
    await run(db, meta.put("a", "1"), meta.put("a", "2"))
    assert await db.one(meta.get("a")) == "2"
    await run(db, meta.delete("a"))
    assert await db.one(meta.get("a")) is None


async def test_a_value_set_once_stays(db: SqliteDatabase) -> None:
    assert await run(db, meta.put_once("a", "1"), meta.put_once("a", "2")) == [1, 0]
    assert await db.one(meta.get("a")) == "1"


async def test_a_prefix_finds_its_keys_only(db: SqliteDatabase) -> None:
    await run(db, *(meta.put(key, "v") for key in ("k:1", "k:2", "j:1", "l")))
    assert await db.all(meta.with_prefix("k:")) == [("k:1", "v"), ("k:2", "v")]


async def test_every_server_key_that_rows_name_is_found(seeded: SqliteDatabase) -> None:
    moved = connection(outer_kid="k3")
    await run(seeded, connections.put(moved), key_usage.reserve("k9", "audit-args", 1))
    assert await seeded.all(meta.named_kids()) == ["k1", "k3", "k9"]

"""Checkpoints are kept in order, once per size."""

from tests.storage.rows import AT, checkpoint, run
from wicketd.domain.ports import Statement
from wicketd.storage import checkpoints
from wicketd.storage.checkpoints import Anchor
from wicketd.storage.db import SqliteDatabase


async def test_the_newest_checkpoint_is_of_the_newest_epoch(db: SqliteDatabase) -> None:
    rows = [checkpoint(10), checkpoint(20), checkpoint(15, epoch=2)]
    await run(db, *(checkpoints.insert(row) for row in rows))
    assert await db.one(checkpoints.newest()) == rows[2]
    assert await db.all(checkpoints.all()) == rows


async def test_a_size_has_one_checkpoint(db: SqliteDatabase) -> None:
    insert = checkpoints.insert(checkpoint(10))
    exported = checkpoints.mark_exported(1, 10)
    assert await run(db, insert, insert, exported) == [1, 0, 1]


async def test_anchors_are_read_in_order(db: SqliteDatabase) -> None:
    anchor = Anchor(9, 1, 9, b"l" * 32, b"r" * 32, b"frontier", b"e" * 32, "note", AT)
    values = (9, 1, 9, b"l" * 32, b"r" * 32, b"frontier", b"e" * 32, "note", AT)
    await run(db, Statement("INSERT INTO audit_anchors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values))
    assert await db.all(checkpoints.anchors()) == [anchor]

"""A command reads the file beside a running daemon or without one, and never writes."""

from pathlib import Path

import pytest

from tests.storage.rows import FakeClock, run
from wicketd.domain.errors import SchemaTooNew, StorageBroken, Unhealthy
from wicketd.domain.ports import Query
from wicketd.storage import meta
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.offline import OfflineDatabase


async def test_a_command_reads_beside_the_daemon(db: SqliteDatabase, path: Path) -> None:
    await run(db, meta.put("a:1", "x"), meta.put("a:2", "y"))
    with OfflineDatabase(path) as offline:
        assert offline.one(meta.get("a:1")) == "x"
        assert offline.one(meta.get("b")) is None
        assert offline.all(meta.with_prefix("a:")) == [("a:1", "x"), ("a:2", "y")]
        assert [key for key, _ in offline.stream(meta.with_prefix("a:"))] == ["a:1", "a:2"]


async def test_a_command_reads_a_closed_database(path: Path, clock: FakeClock) -> None:
    db = await SqliteDatabase.open(path, clock)
    await run(db, meta.put("a", "x"))
    await db.close()
    before = path.read_bytes()
    with OfflineDatabase(path) as offline:
        assert offline.one(meta.get("a")) == "x"
        delete = Query("DELETE FROM meta RETURNING key", (), lambda row: row)
        with pytest.raises(Unhealthy):
            offline.one(delete)
    assert path.read_bytes() == before


def test_a_missing_file_is_refused_and_not_made(path: Path) -> None:
    path.parent.mkdir()
    with pytest.raises(StorageBroken):
        OfflineDatabase(path)
    assert not path.exists()


def test_an_empty_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(StorageBroken, match="empty"):
        OfflineDatabase(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 500)
    with pytest.raises(StorageBroken):
        OfflineDatabase(path)


async def test_a_newer_schema_is_refused(db: SqliteDatabase, path: Path) -> None:
    await db.maintain(lambda c: c.execute("PRAGMA user_version = 999"))
    with pytest.raises(SchemaTooNew):
        OfflineDatabase(path)

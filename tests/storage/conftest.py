"""An open database in a directory of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.rows import FakeClock, seed
from wicketd.storage.db import SqliteDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be; the directory does not exist yet."""
    return tmp_path / "state" / "wicket.db"


@pytest.fixture
def clock() -> FakeClock:
    """A clock to move by hand."""
    return FakeClock()


@pytest.fixture
async def db(path: Path, clock: FakeClock) -> AsyncIterator[SqliteDatabase]:
    """An empty, open database."""
    database = await SqliteDatabase.open(path, clock)
    yield database
    await database.close()


@pytest.fixture
async def seeded(db: SqliteDatabase) -> SqliteDatabase:
    """The same with an agent, a member with a key, and a service."""
    await seed(db)
    return db

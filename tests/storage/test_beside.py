"""A write beside a daemon: whole or not at all, and never the last one to give up."""

import sqlite3
from pathlib import Path

import pytest

from tests.support.state import open_state
from wicketd.domain.errors import StorageBroken
from wicketd.storage import beside, meta


async def test_a_write_beside_an_open_database_is_seen_by_it(tmp_path: Path) -> None:
    async with open_state(tmp_path) as state:
        with beside.transaction(tmp_path / "wicket.db") as tx:
            tx.run(meta.put_once("noted", "beside"))
        assert await state.db.one(meta.get("noted")) == "beside"
        await state.db.write(lambda tx: tx.run(meta.delete("noted")))
        assert await state.db.one(meta.get("noted")) is None


async def test_a_write_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def begun() -> None:
        with beside.transaction(tmp_path / "wicket.db") as tx:
            tx.run(meta.put_once("noted", "beside"))
            raise ValueError("changed my mind")

    async with open_state(tmp_path) as state:
        with pytest.raises(ValueError, match="changed my mind"):
            begun()
        assert await state.db.one(meta.get("noted")) is None


async def test_a_database_that_stays_locked_is_named(tmp_path: Path) -> None:
    async with open_state(tmp_path):
        path = tmp_path / "wicket.db"
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StorageBroken, match=r"wicket\.db"), beside.transaction(path):
                pass
        finally:
            other.close()

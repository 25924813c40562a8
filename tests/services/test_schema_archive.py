"""The tools behind a schema are kept with the first row under it (policy spec, 7.3).

How rows are decided again with them stands in `test_verification`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import Calling, open_calling
from wicketd.domain.errors import Conflict
from wicketd.domain.ports import Query, Tx
from wicketd.services.schema_archive import SchemaArchive, views_under

COUNT = Query("SELECT count(*) FROM schemas", (), lambda row: int(row[0]))


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


async def test_the_first_row_under_a_schema_keeps_its_tools(calling: Calling) -> None:
    assert await calling.state.db.one(COUNT) == 0
    caller = await calling.caller()
    decision = calling.decide(calling.call(caller))
    for _ in range(2):
        await calling.run(calling.call(caller))
        assert await calling.state.db.one(COUNT) == 1
    views = await views_under(calling.state.db, decision.schema_sha256.hex())
    assert views is not None
    assert {tool.name for view in views for tool in view.tools} >= {"look", "pay", "wipe"}


async def test_nothing_stands_under_what_is_no_hash(calling: Calling) -> None:
    for unknown in ("", "zz", "00" * 32):
        assert await views_under(calling.state.db, unknown) is None


async def test_tools_that_did_not_become_durable_are_kept_with_the_next_row(
    calling: Calling,
) -> None:
    db, archive = calling.state.db, SchemaArchive()
    snapshot = calling.state.snapshots.of((await calling.state.agents.get("demo")).id)
    assert snapshot is not None
    sha256, views = snapshot.engine.stamp.schema_sha256, [*snapshot.services.values()]

    def lost(tx: Tx) -> None:
        archive.keep(tx, sha256, views)
        message = "The reference is taken."
        raise Conflict(message)

    with pytest.raises(Conflict):
        await db.write(lost)
    assert await db.one(COUNT) == 0
    await db.write(lambda tx: archive.keep(tx, sha256, views))
    assert await db.one(COUNT) == 1

"""The journal on a real database: gapless, chained, one transaction with what it tells of."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.audit.logs import Numbers, call
from wicketd.audit.chain import GENESIS, row_hash
from wicketd.audit.journal import PROJECTIONS, Journal
from wicketd.domain.audit import KINDS, AuditRow, Entry
from wicketd.domain.errors import Conflict
from wicketd.domain.ports import Tx
from wicketd.storage import audit
from wicketd.storage.db import SqliteDatabase


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An empty database."""
    database = await SqliteDatabase.open(tmp_path / "state" / "wicket.db", Numbers())
    yield database
    await database.close()


@pytest.fixture
def journal() -> Journal:
    """The journal over the real statements."""
    numbers = Numbers()
    return Journal(audit.AuditTable(), numbers, numbers)


async def append(db: SqliteDatabase, journal: Journal, *entries: Entry) -> list[AuditRow]:
    return await db.write(lambda tx: [journal.append(tx, entry) for entry in entries])


async def test_rows_are_numbered_and_chained_within_and_across_transactions(
    db: SqliteDatabase, journal: Journal
) -> None:
    await append(db, journal, Entry("system.started"), *call(1))
    await append(db, journal, Entry("system.stopped"))
    prev = GENESIS
    rows = await db.all(audit.rows_from(1))
    for seq, row in enumerate(rows, 1):
        assert (row.seq, row.prev, row.epoch) == (seq, prev, 1)
        assert row.hash == hashlib.sha256(b"\0" + prev + row.body.encode()).digest()
        prev = row.hash
    assert len(rows) == 4


async def test_the_body_says_every_column_and_field_and_leaves_nulls_out(
    db: SqliteDatabase, journal: Journal
) -> None:
    await append(db, journal, *call(1, note="x\x1b"))
    row = (await db.all(audit.rows_from(1)))[0]
    body = msgspec.json.decode(row.body, type=dict)
    assert {name: body.get(name) for _, name in PROJECTIONS} == {
        name: getattr(row, column) for column, name in PROJECTIONS
    }
    assert body["note"] == "x\x1b"
    assert "memberId" not in body
    assert "\x1b" not in row.body


async def test_a_rolled_back_unit_leaves_no_gap(db: SqliteDatabase, journal: Journal) -> None:
    await append(db, journal, Entry("system.started"))

    def failing(tx: Tx) -> None:
        journal.append(tx, Entry("system.degraded"))
        raise Conflict("no")

    with pytest.raises(Conflict):
        await db.write(failing)
    rows = await append(db, journal, Entry("system.recovered"))
    assert (rows[0].seq, rows[0].prev) == (2, (await db.all(audit.rows_from(1)))[0].hash)


async def test_only_the_closed_list_of_kinds_is_recorded(
    db: SqliteDatabase, journal: Journal
) -> None:
    with pytest.raises(ValueError, match="no audit kind"):
        await append(db, journal, Entry("call.allowed"))
    rows = await append(db, journal, *(Entry(kind) for kind in sorted(KINDS)))
    assert [row.kind for row in rows] == sorted(KINDS)


async def test_a_float_or_a_field_that_repeats_a_column_is_refused(
    db: SqliteDatabase, journal: Journal
) -> None:
    for fields in ({"x": 1.5}, {"seq": 9}, {"agentId": "other"}, {"ref": None}):
        with pytest.raises(ValueError, match=r"float|column"):
            await append(db, journal, Entry("system.started", fields))
    assert await db.all(audit.rows_from(1)) == []


async def test_names_that_clients_choose_are_cut_alike_in_column_and_body(
    db: SqliteDatabase, journal: Journal
) -> None:
    row = (await append(db, journal, Entry("call.denied", service="s" * 300, tool="t" * 300)))[0]
    body = msgspec.json.decode(row.body, type=dict)
    assert row.service == body["service"] == "s" * 256
    assert row.tool == body["tool"] == "t" * 256


async def test_a_restored_backup_begins_a_new_epoch(db: SqliteDatabase, journal: Journal) -> None:
    rows = await append(
        db, journal, Entry("system.started"), Entry("audit.restored"), Entry("system.started")
    )
    assert [row.epoch for row in rows] == [1, 2, 2]
    assert rows[1].hash == row_hash(rows[0].hash, rows[1].body)

"""The database keeps its promise: a write is durable when it returns, or it did not happen."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.storage.rows import AT, FakeClock, agent, count, run
from wicketd.domain.errors import (
    AuditNotDurable,
    Conflict,
    SchemaTooNew,
    SecondInstance,
    StorageBroken,
)
from wicketd.domain.ports import Database, Statement, Tx
from wicketd.storage import agents, connect, meta
from wicketd.storage.db import Limits, SqliteDatabase
from wicketd.storage.files import side_files
from wicketd.storage.health import Health


def _put(number: int) -> Statement:
    return meta.put_once(f"n{number}", "x" * 2000)


async def _fill(db: SqliteDatabase) -> int:
    """Leaves no page free; gives how many rows fitted."""
    await db.maintain(lambda c: c.execute("PRAGMA max_page_count = 1"))
    for number in range(1000):
        try:
            await run(db, _put(number))
        except AuditNotDurable:
            return number
    raise AssertionError("the file never filled up")


class _Stall:
    """Holds the writer between two commits, so that what queues up meanwhile is one group."""

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db
        self._gate = threading.Event()
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> None:
        self._errand = asyncio.ensure_future(self._db.maintain(self._hold))
        await self._begun.wait()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._gate.set()
        await self._errand

    def _hold(self, _: sqlite3.Connection) -> None:
        self._loop.call_soon_threadsafe(self._begun.set)
        self._gate.wait(5)


async def _make_room(db: SqliteDatabase) -> None:
    await db.maintain(lambda c: c.execute("PRAGMA max_page_count = 1000000"))


def test_the_database_is_the_port(db: SqliteDatabase) -> None:
    port: Database = db
    assert port is db


async def test_a_write_gives_the_result_of_its_work(db: SqliteDatabase) -> None:
    assert await db.write(lambda tx: tx.run(_put(1))) == 1


async def test_a_reader_sees_what_was_written(db: SqliteDatabase) -> None:
    await run(db, meta.put("a", "1"))
    assert await db.one(meta.get("a")) == "1"
    assert await db.one(meta.get("b")) is None


async def test_a_unit_reads_its_own_writes(db: SqliteDatabase) -> None:
    def work(tx: Tx) -> list[tuple[str, str]]:
        tx.run(meta.put("p:1", "one"))
        assert tx.one(meta.get("p:1")) == "one"
        return tx.all(meta.with_prefix("p:"))

    assert await db.write(work) == [("p:1", "one")]


async def test_rows_are_streamed_one_by_one(db: SqliteDatabase) -> None:
    await run(db, *(meta.put(f"s{n:03d}", str(n)) for n in range(600)))
    seen = [key async for key, _ in db.stream(meta.with_prefix("s0"))]
    assert seen == [f"s{n:03d}" for n in range(100)]


async def test_a_stream_may_be_left_early(db: SqliteDatabase) -> None:
    await run(db, *(meta.put(f"s{n}", "") for n in range(9)))
    stream = db.stream(meta.with_prefix("s"))
    assert (await anext(stream))[0] == "s0"
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator behind the port
    assert await db.write(lambda tx: tx.run(_put(1))) == 1


@pytest.mark.requirement("P11")
async def test_writes_that_wait_together_are_committed_together(db: SqliteDatabase) -> None:
    commits = 0

    def traced(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    await db.maintain(lambda c: c.set_trace_callback(traced))
    async with _Stall(db):
        writes = [asyncio.ensure_future(run(db, _put(n))) for n in range(100)]
    await asyncio.gather(*writes)
    await db.maintain(lambda c: c.set_trace_callback(None))
    assert commits == 1
    assert len(await db.all(meta.with_prefix("n"))) == 100


async def test_a_raising_unit_is_rolled_back_alone(db: SqliteDatabase) -> None:
    def fails(tx: Tx) -> None:
        tx.run(_put(2))
        raise Conflict("no")

    results = await asyncio.gather(
        run(db, _put(1)), db.write(fails), run(db, _put(3)), return_exceptions=True
    )
    assert isinstance(results[1], Conflict)
    assert [key for key, _ in await db.all(meta.with_prefix("n"))] == ["n1", "n3"]
    assert not db.health.degraded


async def test_the_counters_of_a_raising_unit_are_dropped(db: SqliteDatabase) -> None:
    def into(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
        return meta.put(str(key[1]), ",".join(map(str, counts)))

    def counts(tx: Tx) -> None:
        tx.fold(("total", "sum"), (2, 1), into, maxima=(7,))

    def fails(tx: Tx) -> None:
        tx.fold(("total", "sum"), (100, 100), into, maxima=(100,))
        raise Conflict("no")

    def counts_more(tx: Tx) -> None:
        tx.fold(("total", "sum"), (3, 0), into, maxima=(5,))

    async with _Stall(db):
        units = [asyncio.ensure_future(db.write(work)) for work in (counts, fails, counts_more)]
    await asyncio.gather(*units, return_exceptions=True)
    assert await db.one(meta.get("sum")) == "5,1,7"


async def test_a_taken_value_is_a_conflict_and_the_unit_may_go_on(db: SqliteDatabase) -> None:
    def work(tx: Tx) -> str:
        tx.run(agents.insert(agent()))
        with pytest.raises(Conflict) as refused:
            tx.run(agents.insert(agent(id="agent-2")))
        tx.run(agents.insert(agent(id="agent-3", key="other")))
        return str(refused.value.details[0]["constraint"])

    assert await db.write(work) == "agents.key"
    assert [one.key for one in await db.all(agents.all())] == ["demo", "other"]


async def test_a_mistake_of_ours_is_no_conflict(db: SqliteDatabase) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await run(db, agents.insert(agent(key="NOT A KEY")))
    with pytest.raises(sqlite3.OperationalError):
        await run(db, Statement("INSERT INTO nowhere VALUES (1)", ()))
    assert not db.health.degraded


@pytest.mark.requirement("FC1", "FC23")
async def test_a_full_file_degrades_refuses_and_heals_unattended(db: SqliteDatabase) -> None:
    changes: list[Health] = []
    db.listen(changes.append)
    written = await _fill(db)
    assert db.health.degraded
    with pytest.raises(AuditNotDurable):
        await run(db, _put(5000))
    assert (await db.probe()).degraded
    assert len(await db.all(meta.with_prefix("n"))) == written

    await _make_room(db)
    assert not (await db.probe()).degraded
    await run(db, _put(5000))
    assert [change.degraded for change in changes] == [True, False]
    assert await db.one(meta.get("probe")) is None


async def test_a_failed_group_leaves_nothing_of_any_unit(db: SqliteDatabase) -> None:
    await db.maintain(lambda c: c.execute("PRAGMA max_page_count = 1"))
    many = [meta.put_once(f"big{n}", "x" * 4000) for n in range(300)]
    results = await asyncio.gather(
        *(run(db, *many[start : start + 100]) for start in (0, 100, 200)), return_exceptions=True
    )
    assert all(isinstance(result, AuditNotDurable) for result in results)
    assert await db.all(meta.with_prefix("big")) == []


async def test_units_queued_behind_a_failure_are_refused(db: SqliteDatabase) -> None:
    await db.maintain(lambda c: c.execute("PRAGMA max_page_count = 1"))
    big = [meta.put_once(f"f{n}", "x" * 4000) for n in range(300)]
    async with _Stall(db):
        first = asyncio.ensure_future(run(db, *big))
        await asyncio.sleep(0)
        between = asyncio.ensure_future(db.maintain(lambda _: None))
        await asyncio.sleep(0)
        behind = asyncio.ensure_future(run(db, meta.put("small", "1")))
    results = await asyncio.gather(first, between, behind, return_exceptions=True)
    assert isinstance(results[-1], AuditNotDurable)


async def test_a_write_that_is_not_durable_in_time_is_refused(path: Path, clock: FakeClock) -> None:
    db = await SqliteDatabase.open(path, clock, Limits(durable_within_s=0.05))
    async with _Stall(db):
        with pytest.raises(AuditNotDurable, match="within"):
            await run(db, _put(1))
    assert db.health.degraded
    assert not (await db.probe()).degraded
    assert await db.all(meta.with_prefix("n")) == [], "an expired unit must not run later"
    await db.close()


async def test_the_unit_of_a_cancelled_caller_still_runs(db: SqliteDatabase) -> None:
    async with _Stall(db):
        caller = asyncio.ensure_future(run(db, _put(1)))
        await asyncio.sleep(0)
        caller.cancel()
    await run(db, _put(2))
    assert len(await db.all(meta.with_prefix("n"))) == 2


async def test_a_disk_under_its_reserve_degrades(path: Path, clock: FakeClock) -> None:
    db = await SqliteDatabase.open(path, clock, Limits(disk_reserve_bytes=1 << 62))
    assert (await db.probe()).reason == "the disk is almost full"
    with pytest.raises(AuditNotDurable):
        await run(db, _put(1))
    await db.close()


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_replaced_file_degrades_until_the_restart(
    db: SqliteDatabase, path: Path, suffix: str
) -> None:
    file = path.with_name(path.name + suffix)
    file.rename(file.with_suffix(".gone"))
    health = await db.probe()
    assert health.needs_restart
    file.with_suffix(".gone").rename(file)
    assert (await db.probe()).degraded


async def test_a_visitor_from_outside_does_not_take_the_log_away(
    db: SqliteDatabase, path: Path
) -> None:
    await run(db, _put(1))
    visit = (
        "import sqlite3, sys; visitor = sqlite3.connect(sys.argv[1]);"
        " visitor.execute('SELECT count(*) FROM meta').fetchone(); visitor.close()"
    )
    subprocess.run([sys.executable, "-c", visit, str(path)], check=True, timeout=20)

    assert all(file.exists() for file in side_files(path))
    assert not (await db.probe()).degraded


async def test_health_says_since_when(db: SqliteDatabase, clock: FakeClock) -> None:
    clock.ms = AT + 5
    await _fill(db)
    assert db.health.since_ms == AT + 5


@pytest.mark.requirement("FC14")
async def test_a_second_instance_is_refused(
    db: SqliteDatabase, path: Path, clock: FakeClock
) -> None:
    with pytest.raises(SecondInstance):
        await SqliteDatabase.open(path, clock)


async def test_a_closed_database_can_be_opened_again(path: Path, clock: FakeClock) -> None:
    for number in range(2):
        db = await SqliteDatabase.open(path, clock)
        await run(db, _put(number))
        await db.close()
    db = await SqliteDatabase.open(path, clock)
    assert len(await db.all(meta.with_prefix("n"))) == 2
    await db.close()


@pytest.mark.requirement("FC10")
async def test_a_newer_schema_is_refused(path: Path, clock: FakeClock) -> None:
    db = await SqliteDatabase.open(path, clock)
    await db.maintain(lambda c: c.execute("PRAGMA user_version = 999"))
    await db.close()
    with pytest.raises(SchemaTooNew):
        await SqliteDatabase.open(path, clock)
    with pytest.raises(SchemaTooNew):
        await SqliteDatabase.open(path, clock)


async def _damage(path: Path, clock: FakeClock, table: str) -> None:
    """Overwrites the root page of one table that the start itself does not read."""
    db = await SqliteDatabase.open(path, clock)
    query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    page = await db.maintain(lambda c: c.execute(query, (table,)).fetchone()[0])
    await db.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(content)


@pytest.mark.requirement("FC10")
@pytest.mark.parametrize("table", ["accounts", "audit"])
async def test_a_damaged_table_is_refused(path: Path, clock: FakeClock, table: str) -> None:
    await _damage(path, clock, table)
    with pytest.raises(StorageBroken):
        await SqliteDatabase.open(path, clock)


async def test_a_file_that_is_no_database_is_refused(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 200)
    with pytest.raises(StorageBroken):
        await SqliteDatabase.open(path, clock)


@pytest.mark.parametrize(("table", "is_refused"), [("accounts", True), ("audit_args", False)])
async def test_a_large_file_is_checked_but_for_the_growing_tables(
    path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    *,
    is_refused: bool,
) -> None:
    await _damage(path, clock, table)
    monkeypatch.setattr("wicketd.storage.db._FULL_CHECK_BYTES", 0)
    if is_refused:
        with pytest.raises(StorageBroken):
            await SqliteDatabase.open(path, clock)
    else:
        await (await SqliteDatabase.open(path, clock)).close()


@pytest.mark.requirement("P4")
async def test_truncation_empties_the_log_and_deleted_bytes_leave_the_file(
    db: SqliteDatabase, path: Path
) -> None:
    canary = "canary-" + "7" * 40
    await run(db, meta.put("token", canary))
    await run(db, meta.delete("token"))
    assert await db.truncate_wal()
    wal, _ = side_files(path)
    assert wal.stat().st_size == 0
    assert canary.encode() not in path.read_bytes()


async def test_the_settings_of_the_house_are_in_force(db: SqliteDatabase) -> None:
    def settings(connection: sqlite3.Connection) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert await db.maintain(settings) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


_CHILD = """
import asyncio, sys
from pathlib import Path
from tests.storage.rows import FakeClock
from wicketd.storage import meta
from wicketd.storage.db import SqliteDatabase

async def main():
    db = await SqliteDatabase.open(Path(sys.argv[1]), FakeClock())
    async def client(name):
        for n in range(100000):
            await db.write(lambda tx: tx.run(meta.put_once(f"{name}.{n}", "x" * 300)))
            print(f"{name}.{n}", flush=True)
    await asyncio.gather(*(client(f"c{k}") for k in range(16)))

asyncio.run(main())
"""


@pytest.mark.requirement("P11")
async def test_kill_9_loses_no_acknowledged_row(path: Path, clock: FakeClock) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(300)]
    child.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()

    db = await SqliteDatabase.open(path, clock)
    stored = {key for key, _ in await db.all(meta.with_prefix("c"))}
    await db.close()
    assert set(acknowledged) - stored == set()


def test_the_writer_is_the_only_door(path: Path) -> None:
    path.parent.mkdir()
    connect.writer(path).close()
    reader = connect.reader(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("CREATE TABLE t (x)")
    reader.close()


async def test_counting_helper_reads_a_table(seeded: SqliteDatabase) -> None:
    assert await seeded.one(count("agents")) == 1

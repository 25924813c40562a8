"""P12: editing, deleting, reordering or truncating the log shows, given one off-box checkpoint."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate

pytestmark = pytest.mark.asyncio(loop_scope="module")
Tamper = Callable[[sqlite3.Connection], object]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Gate, Path]]:
    """A stopped daemon whose log holds calls, and a checkpoint of it kept elsewhere."""
    async with open_gate(tmp_path_factory.mktemp("p")) as gate:
        client = await gate.client(await gate.member())
        for _ in range(3):
            await client.call("desk__echo", {"text": "x"})
            await client.call("desk__erase")
        note = gate.daemon.wicket("audit", "checkpoint")["note"]
        off_box = tmp_path_factory.mktemp("box") / "checkpoint.txt"
        off_box.write_text(note)
        assert gate.daemon.stop() == 0
        yield gate, off_box


def edit_body(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET body = replace(body, 'erase', 'purge') WHERE seq = 30")


def edit_column(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET decision = 'ALLOW' WHERE decision = 'DENY'")


def delete_one(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit WHERE seq = 30")


def delete_and_close_the_gap(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit WHERE seq = 30")
    db.execute("UPDATE audit SET seq = seq - 1 WHERE seq > 30")


def swap(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET seq = -1 WHERE seq = 30")
    db.execute("UPDATE audit SET seq = 30 WHERE seq = 31")
    db.execute("UPDATE audit SET seq = 31 WHERE seq = -1")


def truncate(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit WHERE seq > 20")


def truncate_with_checkpoints(db: sqlite3.Connection) -> None:
    truncate(db)
    db.execute("DELETE FROM audit_checkpoints")


def forge_a_row(db: sqlite3.Connection) -> None:
    db.execute("UPDATE audit SET prev = zeroblob(32), hash = zeroblob(32) WHERE seq = 30")


@pytest.mark.requirement("P12")
@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (edit_body, "30"),
        (edit_column, "Column decision"),
        (delete_one, "30"),
        (delete_and_close_the_gap, "30"),
        (swap, "30"),
        (truncate, "truncated"),
        (truncate_with_checkpoints, "truncated"),
        (forge_a_row, "30"),
    ],
)
async def test_what_was_done_to_the_log_is_named(
    log: tuple[Gate, Path], tmp_path: Path, tamper: Tamper, named: str
) -> None:
    gate, checkpoint = log
    daemon = gate.daemon
    copy = tmp_path / "state"
    shutil.copytree(daemon.directory, copy, ignore=shutil.ignore_patterns("run"))
    config = copy / "wicketd.toml"
    config.write_text(config.read_text().replace(str(daemon.directory), str(copy)))
    verify = (
        "wicketd", "audit", "verify", "--config", str(config), "--checkpoint", str(checkpoint),
    )  # fmt: skip
    assert "whole" in daemon.run(*verify)

    with sqlite3.connect(copy / "wicket.db") as db:
        for trigger in ("tr_audit_update", "tr_audit_delete"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("PRAGMA foreign_keys = OFF")
        tamper(db)
    db.close()
    assert named in daemon.run(*verify, code=1)


@pytest.mark.requirement("P12")
async def test_the_running_database_refuses_the_accident(log: tuple[Gate, Path]) -> None:
    gate, _ = log
    for sql in (f"UPDATE audit SET agent_id = '{AGENT}'", "DELETE FROM audit"):  # noqa: S608
        with pytest.raises(sqlite3.IntegrityError):
            gate.edit(sql)

"""Recorded arguments do not outlive `audit.arguments_days`; the row and its proof stay."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.support.fronts import eventually
from tests.support.guarded import guarded
from tests.support.mcp_client import McpClient
from wicketd.domain.calls import Era

EXPIRE_OLDEST = (
    "UPDATE audit_args SET expires_at = 1 WHERE rowid = (SELECT min(rowid) FROM audit_args)"
)


def in_database(state: Path, statement: str) -> int:
    """What the statement counts in the daemon's database, or the number of rows it changes."""
    with closing(sqlite3.connect(state / "wicket.db")) as db, db:
        cursor = db.execute(statement)
        return int(cursor.fetchone()[0]) if cursor.description else cursor.rowcount


async def test_a_daemon_erases_arguments_whose_days_are_over_and_keeps_the_log_whole() -> None:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        state = Path(place)
        async with guarded(state) as gate:
            client = McpClient(gate.daemon.port, gate.key, Era.MODERN)
            for text in ("yesterday's", "today's"):
                assert (await client.call("desk__echo", {"text": text})).status == 200
            gate.daemon.kill()
            assert in_database(state, "SELECT count(*) FROM audit_args") == 2
            assert in_database(state, EXPIRE_OLDEST) == 1
            await gate.daemon.start()
            await eventually(lambda: in_database(state, "SELECT count(*) FROM audit_args") == 1, 20)

            assert gate.daemon.stop() == 0  # with a last checkpoint
            verify = ("audit", "verify", "--config", str(gate.daemon.config))
            assert "whole" in gate.daemon.run("wicketd", *verify)

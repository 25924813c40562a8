"""The audit log taken away while calls run: the daemon notices and stops serving.

Incident of security specification 14 ("audit file removed"): a log that is unlinked, renamed or
exchanged goes on being written to by whoever holds it open, and nobody can read what happened.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.gate import open_gate
from tests.support.mcp_client import McpClient

NOTICED_S: Final = 10.0


def unlinked(file: Path) -> None:
    """Takes the name away; the daemon's descriptor still writes."""
    file.unlink()


def renamed(file: Path) -> None:
    """Moves it out of the way."""
    file.rename(file.with_suffix(".gone"))


def exchanged(file: Path) -> None:
    """Puts a copy in its place."""
    copy = file.with_suffix(".copy")
    shutil.copy2(file, copy)
    copy.replace(file)


@pytest.mark.requirement("audit-file-removed")
@pytest.mark.parametrize("how", [unlinked, renamed, exchanged])
@pytest.mark.parametrize("name", ["wicket.db", "wicket.db-wal"])
async def test_a_log_that_is_taken_away_stops_the_calls_within_10_s(
    tmp_path: Path, how: Callable[[Path], None], name: str
) -> None:
    async with open_gate(tmp_path) as gate:
        client = await gate.client(await gate.member())
        assert (await client.call("desk__echo", {"text": "before"})).result
        calling = asyncio.ensure_future(_call_until_refused(client))
        how(gate.daemon.directory / name)
        async with asyncio.timeout(NOTICED_S):
            refused = await calling
        assert "Audit log is not writable" in refused
        assert await gate.status() == 503
        before = gate.forwarded
        answer = await client.call("desk__echo", {"text": "after"})
        assert "Audit log is not writable" in answer.error["message"]
        assert gate.forwarded == before


async def _call_until_refused(client: McpClient) -> str:
    while True:
        answer = await client.call("desk__echo", {"text": "under load"})
        if "error" in answer.json:
            return str(answer.error["message"])

"""P10: each tool call past authentication and rate limit is audited, allowed or denied."""

import os
import random
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gate import Gate, open_gate
from tests.support.mcp_client import McpClient
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALLS = 80
NAMES = (
    "desk__echo", "desk__pay", "desk__erase", "desk__secret", "desk__nothing", "desk__broken",
    "desk__refuses", "desk__fails", "vault__echo", "down__echo", "spare__echo", "nope__x", "bad",
    "wicket__status",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p")) as gate:
        yield gate


@pytest.mark.requirement("P10")
async def test_n_random_calls_leave_n_entries(gate: Gate) -> None:
    seed = int(os.environ.get("WICKET_SEED") or secrets.randbits(32))
    print(f"WICKET_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311  # chance, not secrecy
    keys = {name: await gate.member(name) for name in ("ann", "bob")}
    clients = [(name, await gate.client(key, era)) for name, key in keys.items() for era in Era]
    asked = []
    for _ in range(CALLS):
        member, client = chance.choice(clients)
        tool = chance.choice(NAMES)
        answer = await client.call(tool, {"count": chance.choice([1, 2000, "x"])})
        asked.append((member, tool, "result" in answer.json))
    entries = [
        entry
        for entry in reversed(await gate.audit())
        if entry.kind in ("call.intent", "call.denied")
    ]
    assert len(entries) == CALLS
    for (member, tool, has_result), entry in zip(asked, entries, strict=True):
        front_name = f"{entry.service}__{entry.tool}" if entry.service else entry.tool
        assert (entry.member_name, front_name) == (member, tool)
        assert entry.member_key_id == keys[member][-14:-6]
        assert entry.decision == ("ALLOW" if entry.kind == "call.intent" else "DENY")
        assert entry.duration_ms is not None
        assert entry.decision == "ALLOW" or not has_result
        decided = entry.reason_code in ("permitted", "forbidden")
        determining = entry.fields.get("determining", [])
        assert bool(determining) == decided
        assert all(one["version"] >= 1 and one["key"] for one in determining)
        assert (entry.outcome is None) == (entry.decision == "DENY")


@pytest.mark.requirement("P10")
async def test_a_flood_of_refusals_is_one_counted_row_a_minute(gate: Gate) -> None:
    stranger = McpClient(gate.port, "wkt_wrong", Era.LEGACY, "127.0.0.31")
    for _ in range(50):
        assert (await stranger.ask("ping")).status in (401, 429)
    await gate.restart()  # a stop writes what the minute has counted so far
    rows = await gate.audit(None, kind="auth.refused")
    counted = [row.fields["count"] for row in rows if row.caller_ip == "127.0.0.31"]
    assert sum(counted) == 50
    assert len(counted) <= 2  # the minute may have turned meanwhile

"""P11: the entry is durable before upstream sees a byte, the outcome before the client does.

What survives `kill -9` under load is `tests/faults`; here one kill, and a disk that refuses.
"""

import asyncio
import resource
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.support.gate import Gate, open_gate
from wicketd.domain.audit import AuditRow
from wicketd.domain.calls import Era
from wicketd.storage import audit
from wicketd.storage.offline import OfflineDatabase

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p")) as gate:
        yield gate


def on_disk(gate: Gate) -> list[AuditRow]:
    """The log as another process reads it."""
    with OfflineDatabase(gate.daemon.directory / "wicket.db") as db:
        return list(db.all(audit.rows_from(1)))


def newest(gate: Gate, kind: str) -> AuditRow:
    return next(row for row in reversed(on_disk(gate)) if row.kind == kind)


@pytest.mark.requirement("P11")
@pytest.mark.parametrize("era", list(Era))
async def test_the_intent_lies_on_the_disk_while_the_upstream_works(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    seen: list[AuditRow] = []

    async def look() -> None:
        seen.append(newest(gate, "call.intent"))

    gate.desk.during["echo"] = look
    for number in range(20):
        answer = await client.call("desk__echo", {"text": str(number)})
        closed = newest(gate, "call.outcome")
        assert answer.result
        assert seen[-1].call_id == closed.call_id
        assert (seen[-1].service, seen[-1].tool) == ("desk", "echo")
        assert msgspec.json.decode(closed.body)["outcome"] == "ok"
    assert len({row.call_id for row in seen}) == 20
    del gate.desk.during["echo"]


@pytest.mark.requirement("P11")
async def test_a_kill_leaves_an_intent_that_the_next_start_closes(gate: Gate) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    await client.call("desk__echo")
    gate.desk.arrived.clear()
    call = asyncio.get_running_loop().create_task(client.call("desk__hang"))
    await gate.desk.arrived.wait()
    gate.daemon.kill()
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await call
    intent = newest(gate, "call.intent")
    assert intent.tool == "hang"
    await gate.daemon.start()
    outcome = newest(gate, "call.outcome")
    assert outcome.call_id == intent.call_id
    assert msgspec.json.decode(outcome.body)["outcome"] == "unknown"


@pytest.mark.requirement("P11")
@pytest.mark.parametrize("era", list(Era))
async def test_a_disk_that_takes_no_byte_lets_no_call_through(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    await client.call("desk__echo")
    before, rows = gate.forwarded, len(on_disk(gate))
    process = gate.daemon.process
    assert process is not None
    limit, free = resource.RLIMIT_FSIZE, resource.RLIM_INFINITY
    resource.prlimit(process.pid, limit, (1, free))
    try:
        answers = [await client.call("desk__echo") for _ in range(5)]
    finally:
        resource.prlimit(process.pid, limit, (free, free))
    assert gate.forwarded == before
    reasons = {answer.error["data"]["wicket"]["reason"] for answer in answers}
    assert reasons == {"audit_not_writable"}
    assert len(on_disk(gate)) == rows
    await gate.healthy()
    assert (await client.call("desk__echo")).result

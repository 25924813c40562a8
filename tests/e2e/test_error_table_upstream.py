"""Product section 5, steps 13 to 17: what comes of a call that was allowed, with both settings.

Statuses are the hosted product's; under `request_errors = "jsonrpc"` they all become 200.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, BAD_TOKEN, POLICIES, Gate, open_gate
from tests.support.mcp_client import McpClient, exchange, request
from tests.support.refusals import Row, refused
from wicketd.api import endpoints
from wicketd.api.types.agents import AgentStatusSet
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
ERAS = pytest.mark.parametrize("era", list(Era))
CONNECT: Final = "ask an administrator to connect your account"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["jsonrpc", "http"])
async def gate(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Gate]:
    settings = f'[mcp]\nrequest_errors = "{request.param}"\n'
    async with open_gate(tmp_path_factory.mktemp("u"), settings) as gate:
        yield gate


def dagger(gate: Gate, status: int, message: str, outcome: str) -> Row:
    """A row whose status follows the setting."""
    follows = 'request_errors = "http"' in gate.daemon.settings
    return Row(status if follows else 200, -32603, message, outcome)


# 10, where drift is only flagged


@ERAS
@pytest.mark.requirement("FC19")
async def test_step_10_a_tool_that_a_policy_no_longer_fits(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    gate.desk.tools["stale"]["inputSchema"]["properties"] = {"old": {"type": "integer"}}
    await gate.discover()
    text = "Tool 'stale' changed at its server and awaits review by an administrator"
    await refused(gate, client.call("desk__stale"), Row(200, -32600, text, "policy_stale"))


async def test_step_10_a_corrected_policy_and_an_acknowledgement_end_it(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    wicket = gate.daemon.wicket
    (tool,) = [one for one in wicket("service", "tools", AGENT, "desk") if one["name"] == "stale"]
    with pytest.raises(AssertionError, match="Correct the policy"):
        wicket("service", "ack", AGENT, "desk", "stale", "--yes")
    wicket("policy", "save", AGENT, "stale", "-", stdin=POLICIES["Stale"].replace('"x"', "7"))
    wicket("service", "ack", AGENT, "desk", "stale", "--yes")
    assert tool["hash"] != tool["acked_hash"]
    assert (await client.call("desk__stale", {"old": 8})).result
    assert (await client.call("desk__stale", {"old": 7})).error["code"] == -32600


# 14: credentials


@ERAS
async def test_step_14_a_service_that_the_member_has_not_connected(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    row = dagger(gate, 412, f"Service 'vault' is not connected — {CONNECT}", "no_credentials")
    await refused(gate, client.call("vault__echo"), row, allowed=True)


@ERAS
async def test_step_14_a_token_that_the_upstream_refuses(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"bad-{era.value}", BAD_TOKEN), era)
    row = dagger(gate, 412, f"Service 'vault' must be reconnected — {CONNECT}", "no_credentials")
    await refused(gate, client.call("vault__echo"), row, forwarded=1)


@ERAS
async def test_step_14_a_token_with_too_few_scopes(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"few-{era.value}"), era)
    await client.call("vault__echo")
    text = f"Service 'vault' needs more access (a, b) — {CONNECT}"
    row = dagger(gate, 412, text, "no_credentials")
    await refused(gate, client.call("vault__scoped"), row, forwarded=1)


# 15: forwarding


@ERAS
@pytest.mark.parametrize(
    ("tool", "status", "message", "outcome"),
    [
        ("desk__broken", 502, "Service 'desk' could not be reached", "upstream_error"),
        ("desk__garbage", 502, "Service 'desk' sent an invalid answer", "upstream_error"),
        ("desk__redirects", 502, "Service 'desk' sent an invalid answer", "upstream_error"),
        ("slow__big", 502, "Service 'slow' sent an invalid answer", "upstream_error"),
        ("desk__flood", 502, "Service 'desk' is rate limiting", "upstream_error"),
        ("slow__hang", 504, "Service 'slow' did not answer within 1 s", "timeout"),
    ],
)
async def test_step_15_an_upstream_that_fails(
    gate: Gate, era: Era, tool: str, status: int, message: str, outcome: str
) -> None:
    client = await gate.client(await gate.member(), era)
    service, _, name = tool.partition("__")
    await client.call(f"{service}__echo")
    cancels = 1 if name == "hang" else 0
    row = dagger(gate, status, message, outcome)
    await refused(gate, client.call(tool), row, forwarded=1 + cancels)


@ERAS
async def test_step_15_an_upstream_that_nobody_answers_for(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    row = dagger(gate, 502, "Service 'down' could not be reached", "unreachable")
    await refused(gate, client.call("down__echo"), row, allowed=True)


async def test_step_15_what_goes_up_is_rebuilt_from_what_was_decided(gate: Gate) -> None:
    key = await gate.connected("rebuilt")
    client = await gate.client(key, Era.MODERN)
    spaced = b'{ "text" : "\\u0068i" }'
    await client.call("vault__echo", spaced, headers={"X-Canary": "c4n4ry", "Cookie": "a=b"})
    seen = gate.upstream.of("tools/call")[-1]
    assert seen.body["params"]["arguments"] == {"text": "hi"}
    assert key not in str(seen.headers)
    assert "c4n4ry-" not in str(seen.body)
    assert not {"x-canary", "cookie"} & {name.lower() for name in seen.headers}


# 16: the outcome; 13: the intent


async def test_steps_13_and_16_an_audit_that_cannot_be_written(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    modern = await gate.client(await gate.member(), Era.MODERN)
    await client.call("desk__echo")
    with ExitStack() as locked:

        async def lock() -> None:
            locked.enter_context(gate.unwritable())

        gate.desk.during["unwritable"] = lock
        text = "Audit log is not writable — result withheld"
        row = dagger(gate, 503, text, "withheld")
        before = gate.forwarded
        withheld = await client.call("desk__unwritable")
        row.check(withheld)
        assert gate.forwarded == before + 1
        assert (await gate.why(withheld.ref))["entry"].get("outcome") is None

        row = dagger(gate, 503, "Audit log is not writable — call refused", "refused")
        for one in (client, modern):
            answer = await one.call("desk__echo")
            row.check(answer)
            assert answer.headers["retry-after"] == "5"
            assert f"[ref {answer.ref}]" in gate.daemon.log
        denied = await client.call("desk__secret")
        row.check(denied)
        assert gate.forwarded == before + 1
        assert await gate.status() == 503
        assert (await client.ask("ping")).status == 200  # reads go on

    await gate.healthy()
    await told(gate)
    entry = (await gate.why(withheld.ref))["entry"]
    assert (entry["kind"], entry["outcome"]) == ("call.intent", "withheld")
    assert (await client.call("desk__echo")).result


async def told(gate: Gate) -> None:
    """Waits for the rows of the recovery."""
    async with asyncio.timeout(5):
        while not await gate.audit(None, kind="system.recovered"):
            await asyncio.sleep(0.05)
    assert await gate.audit(None, kind="system.degraded")


# 17: the answer


@ERAS
async def test_step_17_a_result_and_a_tool_error_pass(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    answer = await client.call("desk__echo", {"text": "hi"})
    assert answer.result["content"][0]["text"] == '{"text":"hi"}'
    assert ("resultType" in answer.result) == (era is Era.MODERN)
    failed = await client.call("desk__fails")
    assert (failed.status, failed.result["isError"]) == (200, True)
    assert await newest_outcome(gate) == "tool_error"


@ERAS
async def test_step_17_an_upstreams_own_error_passes_without_a_reference(
    gate: Gate, era: Era
) -> None:
    client = await gate.client(await gate.member(), era)
    answer = await client.call("desk__refuses")
    code = -32603 if era is Era.MODERN else -32055
    expected = {"code": code, "message": "No such\\u202e page", "data": {"page": 7}}
    assert (answer.status, answer.error) == (200, expected)
    assert await newest_outcome(gate) == "upstream_error"


async def test_step_17_a_modern_client_that_leaves_cancels_its_call(gate: Gate) -> None:
    client = await gate.client(await gate.member("leaver"), Era.MODERN)
    await client.call("desk__echo")
    gate.desk.arrived.clear()
    body = client.message("tools/call", b'{"name":"desk__hang","arguments":{},' + META + b"}")
    payload = request(body, client.headers("tools/call", "desk__hang"))
    call = asyncio.get_running_loop().create_task(exchange(gate.port, payload))
    await gate.desk.arrived.wait()
    call.cancel()
    await cancelled_in_the_audit(gate, "leaver")


async def test_step_17_a_cancelled_legacy_call_ends_without_an_answer(gate: Gate) -> None:
    client = await gate.client(await gate.member("canceller"))
    await client.call("desk__echo")
    gate.desk.arrived.clear()
    call = asyncio.get_running_loop().create_task(client.call("desk__hang"))
    await gate.desk.arrived.wait()
    note = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}'
    assert (await client.post(note, "notifications/cancelled")).status == 202
    answer = await call
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert b"result" not in answer.body
    await cancelled_in_the_audit(gate, "canceller")


@pytest.mark.requirement("FC16")
async def test_step_17_a_killed_agent_ends_its_running_calls(gate: Gate) -> None:
    client = await gate.client(await gate.member("killed"), Era.MODERN)
    await client.call("desk__echo")
    gate.desk.arrived.clear()
    call = asyncio.get_running_loop().create_task(client.call("desk__hang"))
    await gate.desk.arrived.wait()
    await switch(gate, "disabled")
    async with asyncio.timeout(2):
        answer = await call
    assert b"result" not in answer.body
    await switch(gate, "active")
    await cancelled_in_the_audit(gate, "killed")


async def switch(gate: Gate, status: Any) -> None:
    ask = AgentStatusSet(agent=AGENT, status=status)
    await gate.admin.call(endpoints.AGENT_STATUS, ask)


async def cancelled_in_the_audit(gate: Gate, member: str) -> None:
    """Waits until the member's newest call has ended as cancelled."""
    async with asyncio.timeout(5):
        while (await gate.audit(member=member, tool="hang"))[0].outcome != "cancelled":
            await asyncio.sleep(0.02)


async def newest_outcome(gate: Gate) -> str | None:
    return (await gate.audit(kind="call.intent"))[0].outcome


META: Final = (
    b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    b'"io.modelcontextprotocol/clientCapabilities":{}}'
)


async def test_a_daemon_that_stops_lets_running_calls_end_and_refuses_new_ones(gate: Gate) -> None:
    client: McpClient = await gate.client(await gate.member(), Era.MODERN)
    await client.call("desk__echo")
    gate.desk.arrived.clear()
    call = asyncio.get_running_loop().create_task(client.call("desk__hang"))
    await gate.desk.arrived.wait()
    stopping = asyncio.get_running_loop().create_task(asyncio.to_thread(gate.daemon.stop))
    row = Row(503, -32603, "Server is stopping")
    async with asyncio.timeout(5):
        while (answer := await client.ask("tools/list")).status == 200:
            pass
    row.check(answer)
    assert answer.headers["retry-after"] == "5"
    gate.desk.released.set()
    assert (await call).result
    assert await stopping == 0

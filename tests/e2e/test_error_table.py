"""Product section 5, steps 1 to 12: each row against a running daemon with a real upstream.

The rows behind these, where the upstream is asked, stand in `test_error_table_upstream.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.support.gate import AGENT, DENY_MESSAGE, Gate, open_gate
from tests.support.mcp_client import Answer, Headers, McpClient, exchange, request
from tests.support.refusals import Row, refused
from wicketd.api import endpoints
from wicketd.api.types.agents import AgentCreate, AgentStatusSet
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
ERAS = pytest.mark.parametrize("era", list(Era))
UNKNOWN = "Unknown member key — re-authenticate at the UI to get a new key"
SETTINGS = """drift = "hold"
[rate]
burst = 40
per_second = 0.2
wait_s = 0.3
in_flight = 4
"""
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("t"), SETTINGS) as gate:
        yield gate


# 1: Host and Origin


@pytest.mark.parametrize(
    ("headers", "host", "row"),
    [
        ([], "wicket.example", Row(421, -32600, "Invalid Host header")),
        ([], "127.0.0.1.example", Row(421, -32600, "Invalid Host header")),
        ([("Origin", "https://evil.example")], None, Row(403, -32600, "Invalid Origin header")),
        ([("Origin", "null")], None, Row(403, -32600, "Invalid Origin header")),
    ],
)
async def test_step_1_a_foreign_host_or_origin(
    gate: Gate, headers: list[tuple[str, str]], host: str | None, row: Row
) -> None:
    client = await gate.client(await gate.member())
    ask = request(PING, client.headers("ping") + headers, host=host or "127.0.0.1")
    answer = await refused(gate, exchange(gate.port, ask), row)
    assert answer.json["id"] is None


# 2: the key


async def test_step_2_no_authorization(gate: Gate) -> None:
    client = McpClient(gate.port, "", Era.LEGACY, "127.0.0.2")
    text = "Missing Bearer token — add your member key to the MCP client config"
    answer = await refused(
        gate, client.ask("ping", headers={"Authorization": None}), Row(401, -32600, text)
    )
    assert answer.headers["www-authenticate"] == 'Bearer realm="wicket"'
    assert answer.json["id"] is None


async def test_step_2_every_bad_key_gets_the_same_answer(gate: Gate) -> None:
    key = await gate.member()
    head, secret, tail = key.split("_")
    wrong_secret = f"{head}_{secret[1:]}{secret[0]}_{tail}"
    shapes = ["", "Bearer", f"Basic {key}", f"Bearer {key}x", "Bearer wkt_x", f"Bearer  {key}"]
    shapes += [f"Bearer {wrong_secret}", f"Bearer {key[:-1]}{'a' if key[-1] != 'a' else 'b'}", key]
    bodies = set()
    for shape in shapes:
        client = McpClient(gate.port, "", Era.LEGACY, "127.0.0.3")
        asking = client.ask("ping", headers={"Authorization": shape})
        answer = await refused(gate, asking, Row(401, -32600, UNKNOWN))
        assert answer.headers["www-authenticate"] == 'Bearer realm="wicket"'
        bodies.add(answer.body)
    assert len(bodies) == 1


async def test_step_2_a_revoked_key_and_one_of_another_daemon(gate: Gate) -> None:
    key = await gate.member("gone")
    client = await gate.client(key, source="127.0.0.4")
    assert (await client.ask("ping")).status == 200
    gate.daemon.wicket("key", "revoke", AGENT, "gone", "--reason", "test", "--yes")
    await refused(gate, client.ask("ping"), Row(401, -32600, UNKNOWN))


async def test_step_2_more_than_20_failures_a_minute(gate: Gate) -> None:
    key = await gate.member()
    stranger = McpClient(gate.port, "wkt_wrong", Era.LEGACY, "127.0.0.5")
    statuses = [(await stranger.ask("ping")).status for _ in range(20)]
    # The minute may turn once meanwhile; 21 more are over the limit of one minute anyhow.
    while (answer := await stranger.ask("ping")).status == 401 and len(statuses) < 60:
        statuses.append(401)
    assert statuses[:20] == [401] * 20
    row = Row(429, -32600, "Too many failed attempts")
    row.check(answer)
    assert answer.headers["retry-after"] == "60"

    known = await gate.client(key, source="127.0.0.5")
    assert (await known.ask("ping")).status == 200


# 3: in flight


async def test_step_3_more_requests_of_a_member_than_may_be_in_flight(gate: Gate) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    gate.desk.arrived.clear()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(client.call("desk__hang")) for _ in range(4)]
        await until_in_flight(gate, 4)
        row = Row(429, -32600, "Too many concurrent requests")
        answer = await refused(gate, client.call("desk__echo"), row)
        gate.desk.released.set()
    gate.desk.released.clear()
    assert answer.headers["retry-after"] == "1"
    assert all(task.result().status == 200 for task in running)


async def until_in_flight(gate: Gate, count: int) -> None:
    """Waits until `count` calls of `hang` have reached the upstream."""
    async with asyncio.timeout(10):
        while gate.desk.hanging < count:
            gate.desk.arrived.clear()
            await gate.desk.arrived.wait()


# 4: agent, membership, account


async def test_step_4_a_disabled_agent(gate: Gate) -> None:
    await gate.admin.call(endpoints.AGENT_CREATE, AgentCreate(key="halted", name="Halted"))
    client = await gate.client(await gate.member("hal", agent="halted"))
    await gate.admin.call(endpoints.AGENT_STATUS, AgentStatusSet(agent="halted", status="disabled"))
    row = Row(403, -32600, "Agent is disabled — ask the agent owner to enable it", "agent_disabled")
    await refused(gate, client.call("desk__echo"), row)
    entry = (await gate.audit("halted", kind="call.denied"))[0]
    assert (entry.tool, entry.decision, entry.reason_code) == (
        "desk__echo", "DENY", "agent_disabled",
    )  # fmt: skip


async def test_step_4_a_membership_that_is_not_approved(gate: Gate) -> None:
    client = await gate.client(await gate.member("pen"))
    gate.edit("UPDATE members SET state = 'pending' WHERE local_name = 'pen'")
    await until_noticed(client)
    row = Row(403, -32600, "Membership is not approved — ask the agent owner", "not_approved")
    await refused(gate, client.call("desk__echo"), row)


async def test_step_4_a_blocked_account(gate: Gate) -> None:
    client = await gate.client(await gate.member("blo"))
    gate.edit(
        "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev)"
        " VALUES ('a', 'blo@x.example', 'blocked', 0, 0, 1)"
    )
    gate.edit("UPDATE members SET account_id = 'a', local_name = NULL WHERE local_name = 'blo'")
    await until_noticed(client)
    row = Row(403, -32600, "Account is blocked", "account_blocked")
    await refused(gate, client.call("desk__echo"), row)


async def until_noticed(client: McpClient) -> None:
    """Waits until the daemon has read the key's row again: it may remember it for a second."""
    async with asyncio.timeout(3):
        while (await client.ask("ping")).status == 200:
            await asyncio.sleep(0.05)


# 5: HTTP and JSON


@pytest.mark.parametrize(
    ("method", "headers", "body", "row"),
    [
        ("PUT", {}, PING, Row(405, -32600, "Method not allowed")),
        ("POST", {"Content-Type": "text/plain"}, PING,
         Row(400, -32600, "Invalid Content-Type header")),
        ("POST", {"Content-Type": None}, PING, Row(400, -32600, "Invalid Content-Type header")),
        ("POST", {"Content-Encoding": "gzip"}, PING,
         Row(415, -32600, "Unsupported Content-Encoding — send the body as it is")),
        ("POST", {"Accept": "text/html"}, PING,
         Row(406, -32600, "Not Acceptable: Client must accept both application/json and"
                          " text/event-stream")),
        ("GET", {"Accept": "application/json"}, b"",
         Row(406, -32600, "Not Acceptable: Client must accept text/event-stream")),
        ("POST", {}, b"{", Row(400, -32700, "Parse error")),
        ("POST", {}, b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
         Row(400, -32700, "Parse error")),
        ("POST", {}, b"[" + PING + b"]", Row(400, -32600, "Body must be one JSON-RPC message")),
        ("POST", {}, b"[]", Row(400, -32600, "Body must be one JSON-RPC message")),
        ("POST", {}, b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
         Row(400, -32600, "Body must be one JSON-RPC message")),
        ("POST", {}, b'"ping"', Row(400, -32600, "Body must be one JSON-RPC message")),
    ],
)  # fmt: skip
@pytest.mark.requirement("FC5")
async def test_step_5_what_is_no_good_request(
    gate: Gate, method: str, headers: Headers, body: bytes, row: Row
) -> None:
    client = await gate.client(await gate.member())
    ask = request(body, client.headers("ping", None, headers), method=method)
    answer = await refused(gate, exchange(gate.port, ask), row)
    assert answer.json["id"] is None
    if row.status == 405:
        assert answer.headers["allow"] == "POST, GET, DELETE"


async def test_step_5_a_body_over_1_mib(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    body = PING + b" " * (1024 * 1024)
    ask = request(body, client.headers("ping"))
    answer = await exchange(gate.port, ask)
    # The byte gate ends the connection by the announced length, before there is a body to read.
    assert (answer.status, answer.body) == (413, b"")
    head = ask.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    chunked = head[: -len(body)] + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    assert (await exchange(gate.port, chunked)).status == 413


async def test_step_5_more_values_than_a_body_may_hold(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    many = b'{"text":[' + b"1," * 10_000 + b"1]}"
    await refused(gate, client.call("desk__echo", many), Row(400, -32700, "Parse error"))


# 6: eras


async def test_step_6_legacy_sessions(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    asking = client.call("desk__echo", headers={"Mcp-Session-Id": None})
    await refused(gate, asking, Row(400, -32600, "Missing session ID"))
    unknown = client.call(
        "desk__echo", headers={"Mcp-Session-Id": "mcp_sess_AAAAAAAAAAAAAAAAAAAAAA"}
    )
    await refused(gate, unknown, Row(404, -32600, "Session not found"))


@pytest.mark.requirement("FC24")
async def test_step_6_another_members_session_answers_as_if_it_did_not_exist(gate: Gate) -> None:
    owner = await gate.client(await gate.member())
    other = await gate.client(await gate.member())
    foreign = await refused(
        gate,
        other.call("desk__echo", headers={"Mcp-Session-Id": owner.session}),
        Row(404, -32600, "Session not found"),
    )
    nobody = await other.call("desk__echo", headers={"Mcp-Session-Id": "x"})
    assert foreign.json["error"] == nobody.json["error"]


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({"Mcp-Method": "tools/list"}, -32020, "Mcp-Method header does not match the request body"),
        ({"Mcp-Method": None}, -32020, "Mcp-Method header does not match the request body"),
        ({"Mcp-Name": "modern__erase"}, -32020, "Mcp-Name header does not match the request body"),
        ({"MCP-Protocol-Version": "2025-11-25"}, -32020,
         "MCP-Protocol-Version header does not match the request body"),
        ({"Mcp-Param-Region": "eu"}, -32020,
         "Mcp-Param-Region header does not match the request body"),
    ],
)  # fmt: skip
@pytest.mark.requirement("FC6")
async def test_step_6_a_modern_header_that_differs_from_the_body(
    gate: Gate, headers: Headers, code: int, message: str
) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    arguments = {"region": "us"}
    answer = await refused(
        gate, client.call("modern__mirrored", arguments, headers=headers), Row(400, code, message)
    )
    assert answer.json["id"] == 1
    good = await client.call("modern__mirrored", arguments, headers={"Mcp-Param-Region": "us"})
    assert good.status == 200


async def test_step_6_a_version_nobody_speaks_and_a_broken_meta(gate: Gate) -> None:
    client = await gate.client(await gate.member(), Era.MODERN)
    version = "2031-01-01"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {"MCP-Protocol-Version": version}
    answer = await refused(
        gate,
        raw(client, {"_meta": meta}, headers),
        Row(400, -32022, "Unsupported protocol version"),
    )
    assert answer.error["data"]["supported"] == ["2026-07-28"]
    assert answer.error["data"]["requested"] == version
    text = "Invalid params: params/_meta must be an object"
    await refused(gate, raw(client, {}, {}), Row(400, -32602, text))


async def raw(client: McpClient, params: dict[str, Any], headers: Headers) -> Answer:
    """`tools/list` with exactly these params."""
    body = client.message("tools/list", msgspec.json.encode(params))
    return await client.post(body, "tools/list", headers=headers)


# 7: methods and rate


@ERAS
async def test_step_7_an_unknown_method(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    row = Row(404 if era is Era.MODERN else 200, -32601, "Method not found")
    await refused(gate, client.ask("tools/sing"), row)


@ERAS
async def test_step_7_a_key_without_tokens_left(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    statuses = [(await client.call("nope__x")).status for _ in range(40)]
    assert set(statuses) == {200}
    row = Row(429, -32600, "Rate limit exceeded — too many requests per key")
    answer = await refused(gate, client.call("desk__echo"), row)
    assert answer.headers["retry-after"] == "5"
    assert (await client.ask("tools/list")).status == 200  # lists cost nothing


# 8 to 12: what to call, and whether it is permitted


@ERAS
@pytest.mark.parametrize("name", ["echo", "desk_echo", ""])
async def test_step_8_a_name_that_is_no_service_and_tool(gate: Gate, era: Era, name: str) -> None:
    client = await gate.client(await gate.member(), era)
    row = Row(400, -32602, "Tool name must be service__tool", "tool_name")
    await refused(gate, client.call(name), row)


@ERAS
async def test_step_9_an_unknown_service_and_one_that_is_off(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    code = -32602 if era is Era.MODERN else -32601
    row = Row(200, code, "Unknown service: nope", "unknown_service")
    await refused(gate, client.call("nope__echo"), row)
    text = "Authorization denied: service 'spare' is not enabled for agent 'ops'"
    await refused(gate, client.call("spare__echo"), Row(200, -32600, text, "service_not_enabled"))


@ERAS
@pytest.mark.requirement("FC19")
async def test_step_10_a_tool_that_is_not_in_the_catalogue(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    row = denial("nothing", reason="denied")
    await refused(gate, client.call("desk__nothing"), row)


@ERAS
@pytest.mark.requirement("FC19", "tool-rug-pull")
async def test_step_10_a_tool_that_changed_at_its_server(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    gate.desk.tools["drifts"]["inputSchema"]["properties"] = {"text": {"type": "integer"}}
    await gate.discover()
    text = "Tool 'drifts' changed at its server and awaits review by an administrator"
    await refused(gate, client.call("desk__drifts"), Row(200, -32600, text, "tool_held"))


@ERAS
@pytest.mark.parametrize(
    ("tool", "arguments", "pointer", "expected", "reason"),
    [
        ("pay", b'{"amount":"5"}', "/amount", "a number with at most 4 decimals",
         "not_representable"),
        ("pay", b'{"count":true}', "/count", "an integer of 64 bits", "not_representable"),
        ("page", b'{"page_id":"../x"}', "/page_id",
         "a text or integer that matches [a-z]{1,20}", "target_unresolved"),
    ],
)  # fmt: skip
async def test_step_11_arguments_that_do_not_fit_the_tool(
    gate: Gate, era: Era, tool: str, arguments: bytes, pointer: str, expected: str, reason: str
) -> None:
    client = await gate.client(await gate.member(), era)
    text = f"Invalid arguments for tool '{tool}': {pointer} must be {expected}"
    row = Row(200, -32602, text, reason)
    answer = await refused(gate, client.call(f"desk__{tool}", arguments), row)
    told = answer.error["data"]["wicket"]
    assert (told["pointer"], told["expected"]) == (pointer, expected)


async def test_step_11_arguments_larger_than_the_engine_takes(gate: Gate) -> None:
    client = await gate.client(await gate.member())
    shell = len(client.message("tools/call", b'{"name":"desk__pay","arguments":{"note":""}}'))
    note = b'{"note":"' + b"x" * (1024 * 1024 - shell - 8) + b'"}'
    answer = await client.call("desk__pay", note)
    assert answer.error["code"] == -32602
    assert (await gate.why(answer.ref))["entry"]["reasonCode"] == "args_too_large"


@ERAS
async def test_step_11_a_hidden_tool_says_nothing_about_its_arguments(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    asking = client.call("desk__secret", {"amount": "five"})
    await refused(gate, asking, denial("secret", reason="not_representable"))


@ERAS
async def test_step_12_no_permit_and_a_forbid_with_a_message(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.member(), era)
    await refused(gate, client.call("desk__secret"), denial("secret"))
    row = denial("erase", message=DENY_MESSAGE, reason="forbidden")
    await refused(gate, client.call("desk__erase"), row)
    await refused(gate, client.call("desk__pay", {"amount": 100.5}), denial("pay", "forbidden"))
    assert (await client.call("desk__pay", {"amount": 100})).status == 200


def denial(tool: str, reason: str = "no_permit", message: str = "") -> Row:
    text = f"Authorization denied: tool '{tool}' is not permitted for agent '{AGENT}'"
    return Row(200, -32600, f"{text}: {message}" if message else text, reason)

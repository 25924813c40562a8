"""Hostile policy text, arguments and HTTP against a running daemon.

Each is refused clearly, nothing is forwarded, the daemon lives, and what must be recorded is.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from tests.support.mcp_client import McpClient, exchange, read_answer, request
from tests.support.refusals import Row, refused
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.client import Refused
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.policies import PolicyCheck, PolicyFormat
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
PING: Final = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
PERMIT: Final = "permit (principal, action, resource) when { %s };"
UNREADABLE: Final = Row(400, -32700, "Parse error")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("h")) as gate:
        yield gate


@pytest_asyncio.fixture(loop_scope="module")
async def client(gate: Gate) -> AsyncIterator[McpClient]:
    """A client that still works when the test is over: the daemon lives."""
    client = await gate.client(await gate.member())
    yield client
    assert (await client.call("desk__echo", {"text": "alive"})).result


# policy text, by the admin API


def nested(depth: int) -> str:
    return PERMIT % ("(" * depth + "true" + ")" * depth)


def chained(depth: int) -> str:
    return PERMIT % ("if true then true else " * depth + "true")


async def refused_text(gate: Gate, text: str) -> list[str]:
    """Codes of the problems for which create, check and format all refuse a text."""
    before = (await gate.admin.call(endpoints.AGENT_SHOW, AgentRef(agent=AGENT))).policy_revision
    with pytest.raises(Refused) as refusal:
        await gate.policy("Hostile", text)
    assert refusal.value.body.code == "invalid"
    codes = [one["code"] for one in refusal.value.body.details]
    checked = await gate.admin.call(
        policy_endpoints.POLICY_CHECK, PolicyCheck(agent=AGENT, text=text)
    )
    assert [one.code for one in checked.problems] == codes
    with pytest.raises(Refused):
        await gate.admin.call(policy_endpoints.POLICY_FORMAT, PolicyFormat(agent=AGENT, text=text))
    after = (await gate.admin.call(endpoints.AGENT_SHOW, AgentRef(agent=AGENT))).policy_revision
    assert after == before
    return codes


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("text", [nested(65), nested(700), chained(65), chained(2500)])
@pytest.mark.requirement("FC21")
async def test_policy_text_nested_deeper_than_64(gate: Gate, text: str) -> None:
    assert "too_nested" in await refused_text(gate, text)


@pytest.mark.usefixtures("client")
@pytest.mark.requirement("FC21")
async def test_policy_text_of_64_kib_and_a_byte(gate: Gate) -> None:
    text = PERMIT % "true"
    padding = 64 * 1024 - len(text)
    await gate.policy("As large as it gets", text + " " * padding)
    assert await refused_text(gate, text + " " * (padding + 1)) == ["too_large"]


@pytest.mark.usefixtures("client")
@pytest.mark.requirement("FC21")
async def test_policy_text_with_a_nul(gate: Gate) -> None:
    assert "bad_character" in await refused_text(gate, PERMIT % '"\0" == "a"')


@pytest.mark.usefixtures("client")
@pytest.mark.requirement("FC21")
async def test_policy_text_with_a_lone_surrogate_is_no_json(gate: Gate) -> None:
    body = rb'{"name":"Hostile","text":"permit (principal, action, resource); // \ud800"}'
    head = (
        f"POST /v1/agents/{AGENT}/policies HTTP/1.1\r\nHost: wicket-admin\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_unix_connection(str(gate.daemon.socket))
    writer.write(head.encode() + body)
    answer = await read_answer(reader)
    writer.close()
    assert (answer.status, answer.json["code"]) == (400, "bad_request")


# arguments


@pytest.mark.parametrize("era", list(Era))
@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        (b'{"text":"a","__entity":{"type":"Wicket::Member","id":"root"}}', "/__entity"),
        (b'{"__extn":{"fn":"decimal","arg":"1.0"}}', "/__extn"),
        (b'{"extra":{"deep":[{"__entity":{"type":"Wicket::Member","id":"root"}}]}}',
         "/extra/deep/0/__entity"),
        (b'{"amount":{"__extn":{"fn":"decimal","arg":"1.0"}}}', "/amount/__extn"),
        (b'{"extra":{"__expr":"1"}}', "/extra/__expr"),
        (b'{"extra":{"\\u005f_entity":1}}', "/extra/__entity"),
    ],
)  # fmt: skip
@pytest.mark.requirement("FC22")
async def test_an_argument_that_would_forge_an_identity(
    gate: Gate, era: Era, arguments: bytes, pointer: str
) -> None:
    client = await gate.client(await gate.member(), era)
    expected = f"Invalid arguments for tool 'pay': {pointer} must be a name without leading __"
    row = Row(200, -32602, expected, "not_representable")
    await refused(gate, client.call("desk__pay", arguments), row)


@pytest.mark.parametrize(
    ("arguments", "pointer", "expected"),
    [
        (b'{"count":9223372036854775808}', "/count", "an integer of 64 bits"),
        (b'{"count":-9223372036854775809}', "/count", "an integer of 64 bits"),
        (b'{"count":1e30}', "/count", "an integer of 64 bits"),
        (b'{"amount":0.00001}', "/amount", "a number with at most 4 decimals"),
        (b'{"amount":99.99999}', "/amount", "a number with at most 4 decimals"),
        (b'{"amount":922337203685478}', "/amount", "a number with at most 4 decimals"),
        (b'{"amount":"1"}', "/amount", "a number with at most 4 decimals"),
    ],
)
@pytest.mark.requirement("FC22")
async def test_a_number_that_cedar_cannot_hold_where_a_policy_names_it(
    gate: Gate, client: McpClient, arguments: bytes, pointer: str, expected: str
) -> None:
    text = f"Invalid arguments for tool 'pay': {pointer} must be {expected}"
    row = Row(200, -32602, text, "not_representable")
    await refused(gate, client.call("desk__pay", arguments), row)


async def test_a_number_that_no_policy_names_goes_up_as_it_came(
    gate: Gate, client: McpClient
) -> None:
    assert (await client.call("desk__pay", b'{"weight":0.123456789}')).result
    assert gate.upstream.of("tools/call")[-1].body["params"]["arguments"] == {"weight": 0.123456789}


@pytest.mark.parametrize(
    "arguments",
    [
        b'{"amount":1,"amount":500}',
        b'{"extra":{"a":1,"\\u0061":2}}',
        b'{"extra":' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"extra":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"extra":"\\ud800"}',
        b'{"extra":"\xff"}',
        b'{"extra":NaN}',
        b'{"extra":1e999}',
        b'{"extra":' + b"9" * 5000 + b"}",
        b'{"extra":01}',
        b'{"extra":1}}',
    ],
)
@pytest.mark.requirement("FC5", "FC22")
async def test_arguments_that_two_parsers_could_read_differently(
    gate: Gate, client: McpClient, arguments: bytes
) -> None:
    head = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"desk__pay",'
    ask = request(head + b'"arguments":' + arguments + b"}}", client.headers("tools/call"))
    await refused(gate, exchange(gate.port, ask), UNREADABLE)


async def test_arguments_as_deep_as_they_may_be_pass(client: McpClient) -> None:
    deepest = b'{"extra":' + b"[" * 31 + b"]" * 31 + b"}"
    assert (await client.call("desk__pay", deepest)).result


# HTTP


def head_of(client: McpClient, *extra: str) -> list[str]:
    lines = ["POST /mcp HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in client.headers("ping")]
    return [*lines, *extra]


def wire(lines: list[str], body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_two_authorization_headers(gate: Gate, client: McpClient) -> None:
    text = "Unknown member key — re-authenticate at the UI to get a new key"
    for second in (f"Authorization: Bearer {client.key}", "Authorization: Bearer wkt_other"):
        client.source = "127.0.0.21"
        lines = head_of(client, second, "Connection: close", f"Content-Length: {len(PING)}")
        asking = exchange(gate.port, wire(lines, PING), source="127.0.0.21")
        await refused(gate, asking, Row(401, -32600, text))


SMUGGLED: Final = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("extra", "body", "status"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED, 400),
        (["Content-Length: 40", "Content-Length: 41"], PING, 400),
        (["Content-Length: +40"], PING, 400),
        (["Transfer-Encoding: gzip, chunked"], PING, 501),
        (["Transfer-Encoding: chunked"], b"28;x=1\r\n" + PING + b"\r\n0\r\n\r\n", 400),
        (["Transfer-Encoding: chunked"], b"28\r\n" + PING + b"\r\n0\r\nX: y\r\n\r\n", 400),
        (["Host: evil.example", "Content-Length: 40"], PING, 400),
        (["X-Fold: a", " b", "Content-Length: 40"], PING, 400),
        (["X-Nul: a\0b", "Content-Length: 40"], PING, 400),
        (["X Space: a", "Content-Length: 40"], PING, 400),
        (["Expect: 200-ok", "Content-Length: 40"], PING, 417),
        ([f"X-{n}: 1" for n in range(70)], b"", 431),
        (["X-Long: " + "a" * 17_000], b"", 431),
    ],
)
async def test_a_request_that_two_servers_could_read_differently(
    gate: Gate, client: McpClient, extra: list[str], body: bytes, status: int
) -> None:
    before = gate.forwarded
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(wire(head_of(client, *extra), body))
    async with asyncio.timeout(5):
        answered = await reader.read()
    writer.close()
    first, _, _ = answered.partition(b"\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert answered.count(b"HTTP/1.1") == 1  # nothing behind it was read as a request
    assert gate.forwarded == before


@pytest.mark.parametrize("path", ["/mcp/", "/MCP", "/%6dcp", "/mcp/../mcp", "//mcp", "/v1/agents"])
async def test_a_path_that_only_looks_like_ours(gate: Gate, client: McpClient, path: str) -> None:
    answer = await exchange(gate.port, request(PING, client.headers("ping"), path=path))
    assert answer.status in (400, 404)


@pytest.mark.parametrize("path", ["/.well-known/oauth-protected-resource", "/v1/status", "/x"])
async def test_what_is_not_served_is_404_without_a_challenge(gate: Gate, path: str) -> None:
    answer = await exchange(gate.port, request(b"", [], method="GET", path=path))
    assert answer.status == 404
    assert "www-authenticate" not in answer.headers


async def test_slow_headers_and_slow_bodies_end_while_others_are_served(
    gate: Gate, client: McpClient
) -> None:
    head = head_of(client, f"Content-Length: {len(PING)}")
    starts = {
        "nothing at all": b"",
        "half a header": wire(head)[:40],
        "half a body": wire(head, PING[:10]),
    }
    waiting = [ended_by(gate, start) for start in starts.values()]
    everyone = asyncio.gather(*waiting)
    assert (await client.ask("ping")).status == 200
    async with asyncio.timeout(14):
        nothing, header, body = await everyone
    assert nothing == b""
    assert header.startswith(b"HTTP/1.1 408 ")
    assert body.startswith(b"HTTP/1.1 408 ")


async def ended_by(gate: Gate, start: bytes) -> bytes:
    """What comes over a connection that sends `start` and then a byte a second, until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(start)
    dripping = asyncio.get_running_loop().create_task(drip(writer)) if start else None
    try:
        return await read_to_end(reader)
    finally:
        if dripping is not None:
            dripping.cancel()
        writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        await asyncio.sleep(2)
        writer.write(b" ")


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""

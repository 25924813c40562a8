"""Inputs from published CVEs and incidents that arrive at `/mcp` (security specification, 14).

Each is tried over the real port against a real upstream that counts what reaches it.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from tests.support.gate import AGENT, TOKEN, Gate, open_gate
from tests.support.mcp_client import McpClient, exchange, read_answer, request
from wicket_tui.cli import app
from wicketd.api.endpoints import ENDPOINTS
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERMIT: Final = "permit (principal, action, resource);"
PING: Final = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
ERAS: Final = (Era.LEGACY, Era.MODERN)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("c")) as gate:
        yield gate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(gate: Gate) -> str:
    return await gate.member()


@pytest.mark.requirement("CVE-2026-32871")
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "name",
    [
        "desk__../../admin",
        "desk__%2e%2e%2fadmin",
        "desk__//evil.example/mcp",
        "desk__..\\..\\admin",
        "../desk__echo",
        "https://evil.example/__echo",
    ],
)
async def test_a_name_never_becomes_part_of_the_upstreams_url(
    gate: Gate, key: str, era: Era, name: str
) -> None:
    client = await gate.client(key, era)
    before = gate.forwarded
    for method in ("tools/call", "prompts/get"):
        answer = await client.ask(method, {"name": name, "arguments": {}})
        assert answer.error["code"] in {-32600, -32601, -32602}
    assert gate.forwarded == before


@pytest.mark.requirement("CVE-2026-48710")
@pytest.mark.parametrize(
    "host",
    [
        "x/health?",
        "127.0.0.1/mcp?",
        "127.0.0.1#",
        "127.0.0.1@evil.example",
        "evil.example",
        "evil.example:8650",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost,evil.example",
        "localhost evil.example",
        "[::1",
        "[::1]evil",
        "[::1%25lo]",
        "127.0.0.1:port",
        "127.0.0.1:99999999",
        "..",
        "*",
        "%31%32%37.0.0.1",
        "xn--",
        "",
    ],
)
async def test_a_host_that_is_not_ours_reaches_nothing(gate: Gate, key: str, host: str) -> None:
    client = await gate.client(key)
    before = gate.forwarded
    ask = request(PING, client.headers("ping"), host=host)
    assert (await exchange(gate.port, ask)).status in {400, 421}
    health = request(b"", [], method="GET", path="/alive", host=host)
    assert (await exchange(gate.port, health)).status in {400, 421}
    assert gate.forwarded == before


@pytest.mark.requirement("CVE-2026-12773")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  {key}",
        "Bearer {key} ",
        "Bearer {key}x",
        "Bearer {key},{key}",
        "Basic {key}",
        "{key}",
        "Token {key}",
        "Bearer null",
        "Bearer undefined",
        "Bearer wkt_",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
        "Bearer " + "A" * 4000,
    ],
)
async def test_a_bearer_that_is_no_key_is_nobody(gate: Gate, key: str, value: str) -> None:
    client = await gate.client(key)
    before = gate.forwarded
    changes = {"Authorization": value.format(key=key)}
    ask = request(PING, client.headers("ping", None, changes))
    answer = await exchange(gate.port, ask, source="127.0.0.31")
    assert answer.status in {401, 429}
    assert b"result" not in answer.body
    assert gate.forwarded == before


@pytest.mark.requirement("well-known-bypass")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mcp?x=.well-known", 401),
        ("/mcp?/.well-known/oauth-protected-resource", 401),
        ("/x/.well-known/../mcp", 400),
        ("/.well-known/%2e%2e/mcp", 400),
        ("/.well-known/oauth-authorization-server", 404),
        ("/.well-known/oauth-protected-resource/mcp", 404),
        ("/mcp/.well-known/oauth-protected-resource", 404),
    ],
)
async def test_no_path_that_says_well_known_goes_round_the_key(
    gate: Gate, path: str, status: int
) -> None:
    headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
    ask = request(PING, headers, path=path)
    answer = await exchange(gate.port, ask, source="127.0.0.32")
    assert answer.status == status
    assert "resource_metadata" not in answer.headers.get("www-authenticate", "")


@pytest.mark.requirement("CVE-2026-33032")
async def test_no_admin_path_answers_on_the_port_with_or_without_a_key(
    gate: Gate, key: str
) -> None:
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{", "").replace("}", "")
        for headers in ([], [("Authorization", f"Bearer {key}")]):
            ask = request(b"", headers, method=endpoint.method, path=path)
            assert (await exchange(gate.port, ask)).status == 404


@pytest.mark.requirement("CVE-2026-33032")
async def test_an_agent_without_policies_and_a_member_without_groups_may_nothing(
    gate: Gate,
) -> None:
    wicket = gate.daemon.wicket
    await asyncio.to_thread(wicket, "agent", "create", "empty", "--name", "Empty", "--untrusted")
    await asyncio.to_thread(wicket, "service", "enable", "empty", "desk", "--dry-run")
    client = await gate.client(await gate.member("lone", agent="empty"), Era.MODERN)
    before = gate.forwarded
    listed = await client.ask("tools/list")
    assert [tool["name"] for tool in listed.result["tools"]] in ([], ["wicket__status"])
    assert (await client.call("desk__echo")).error
    assert gate.forwarded == before


@pytest.mark.requirement("GHSA-g53w-w6mj-hrpp")
@pytest.mark.parametrize(
    "name", ["mcp-init-host", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"]
)
async def test_no_header_moves_the_upstream(gate: Gate, key: str, name: str) -> None:
    client = await gate.client(key, Era.MODERN)
    before = gate.forwarded
    answer = await client.call(
        "desk__echo", {"text": "here"}, headers={name: "http://evil.example/mcp"}
    )
    assert answer.result
    assert gate.forwarded > before
    assert not [seen for seen in gate.upstream.seen[before:] if "evil.example" in str(seen)]


@pytest.mark.requirement("CVE-2025-64443")
@pytest.mark.parametrize("path", ["/mcp", "/alive", "/api/status"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("evil.example", None, 421),
        ("127.0.0.1", "http://evil.example", 403),
        ("127.0.0.1", "null", 403),
        ("127.0.0.1", "http://127.0.0.1.evil.example", 403),
        ("127.0.0.1", "file://", 403),
    ],
)
async def test_a_foreign_host_or_origin_is_refused_on_every_path_and_method(
    gate: Gate, key: str, path: str, method: str, host: str, origin: str | None, status: int
) -> None:
    client = await gate.client(key)
    headers = client.headers("ping", None, {"Origin": origin})
    ask = request(PING, headers, method=method, path=path, host=host)
    answer = await exchange(gate.port, ask)
    assert answer.status == status
    assert not any(name.startswith("access-control-") for name in answer.headers)


@pytest.mark.requirement("CVE-2026-27826")
async def test_no_field_of_a_request_selects_a_target(gate: Gate, key: str) -> None:
    client = await gate.client(key, Era.MODERN)
    urls = {"url": "http://169.254.169.254/", "endpoint": "http://evil.example", "text": "x"}
    changes: dict[str, str | None] = {
        "X-Upstream-Url": "http://evil.example",
        "Referer": "http://e",
    }
    before = gate.forwarded
    answer = await client.call("desk__echo", urls, headers=changes)
    assert answer.result
    assert gate.forwarded > before
    assert gate.upstream.seen[-1].headers["Host"] == f"127.0.0.1:{gate.upstream.port}"
    assert "evil.example" not in str(gate.upstream.seen[-1].headers)


@pytest.mark.requirement("batch-bypass")
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "wrap", ["[%s]", "[[%s]]", "[%s,%s]", '[{"jsonrpc":"2.0","method":"x"},%s]']
)
async def test_a_call_in_a_batch_is_no_call(gate: Gate, key: str, era: Era, wrap: str) -> None:
    client = await gate.client(key, era)
    call = client.message("tools/call", b'{"name":"desk__echo","arguments":{}}').decode()
    before = gate.forwarded
    body = (wrap.replace("%s", call)).encode()
    answer = await client.post(body, "tools/call", "desk__echo")
    assert answer.status == 400
    assert gate.forwarded == before


CONTENT_TYPES: Final = (
    "text/plain", "text/json", "application/x-json", "application/jsonx", "application/json-patch",
    "application/json;charset=utf-7", "application/json; charset=utf-16", "application/json,",
    "application/json, text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
    "multipart/form-data; boundary=x", "application/xml", "application/json\t;x",
    "application /json",
    "application/json;charset=latin1", "*/*", "application/*", "json", '"application/json"',
    "application/json;charset=", "application/json;boundary=x", "application/cbor", "text/html",
)  # fmt: skip
GOOD_TYPES: Final = (
    "application/json", "application/json; charset=utf-8", "APPLICATION/JSON",
    "application/json;charset=UTF-8", 'application/json; charset="utf-8"',
)  # fmt: skip


@pytest.mark.requirement("content-type-bypass")
@pytest.mark.parametrize("kind", [*CONTENT_TYPES, *GOOD_TYPES])
async def test_a_content_type_is_refused_or_the_policy_applies(
    gate: Gate, key: str, kind: str
) -> None:
    """`desk__secret` is denied to everybody: whatever passes as JSON is decided like JSON."""
    client = await gate.client(key)
    before = gate.forwarded
    answer = await client.call("desk__secret", {}, headers={"Content-Type": kind})
    if answer.status == 200:
        assert "Authorization denied" in answer.error["message"]
    else:
        assert answer.status == 400
    assert gate.forwarded == before


@pytest.mark.requirement("header-body-split")
@pytest.mark.parametrize(
    "changes",
    [
        {"Mcp-Name": None},
        {"Mcp-Name": "desk__erase"},
        {"Mcp-Name": "=?base64?ZGVza19fZXJhc2U=?="},
        {"Mcp-Method": None},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": "TOOLS/CALL"},
        {"MCP-Protocol-Version": "2025-11-25"},
    ],
)
async def test_headers_that_tell_another_story_than_the_body_are_refused(
    gate: Gate, key: str, changes: dict[str, str | None]
) -> None:
    client = McpClient(gate.port, key, Era.MODERN)
    before = gate.forwarded
    answer = await client.call("desk__echo", {"text": "x"}, headers=changes)
    assert answer.status == 400
    assert gate.forwarded == before


@pytest.mark.requirement("authorization-forwarded")
async def test_no_header_of_the_client_reaches_the_upstream(gate: Gate, key: str) -> None:
    client = await gate.client(await gate.connected("canary"), Era.MODERN)
    names = [
        "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Auth-Token", "X-Forwarded-For", "Via",
        "Forwarded", "X-Real-Ip", "Traceparent", "Baggage", "User-Agent", "Referer", "X-Custom",
    ]  # fmt: skip
    changes = {name: f"c4n4ry-{number}" for number, name in enumerate(names)}
    before = len(gate.upstream.seen)
    assert (await client.call("vault__echo", {"text": "x"}, headers=dict(changes))).result
    for seen in gate.upstream.seen[before:]:
        assert "c4n4ry-" not in str(seen.headers).replace(TOKEN, "")
        assert client.key not in str(seen.headers)
        assert seen.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.requirement("CVE-2026-25536")
async def test_equal_ids_of_many_clients_never_swap_answers(gate: Gate) -> None:
    keys = [await gate.member() for _ in range(8)]
    clients = [await gate.client(key, ERAS[n % 2]) for n, key in enumerate(keys)]

    async def talk(number: int, client: McpClient) -> None:
        for turn in range(12):
            client._last_id = 7  # every request of every client has one id
            nonce = f"nonce-{number}-{turn}"
            answer = await client.call("desk__echo", {"text": nonce})
            assert msgspec.json.decode(answer.result["content"][0]["text"]) == {"text": nonce}

    await asyncio.gather(*(talk(number, client) for number, client in enumerate(clients)))


@pytest.mark.requirement("CVE-2025-53365")
async def test_a_client_that_goes_away_at_any_byte_leaves_an_outcome_for_each_call(
    gate: Gate,
) -> None:
    client = McpClient(gate.port, await gate.member(), Era.MODERN)
    body = client.message(
        "tools/call",
        msgspec.json.encode({"name": "desk__echo", "arguments": {"text": "x"}, **client._meta()}),
    )
    ask = request(body, client.headers("tools/call", "desk__echo"))
    for cut in itertools.chain(range(0, len(ask), 23), [len(ask)]):
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(ask[:cut])
        await writer.drain()
        writer.transport.abort()
        del reader
    assert (await client.call("desk__echo", {"text": "after"})).result
    async with asyncio.timeout(10):
        while open_intents := await _open_intents(gate):
            await asyncio.sleep(0.05)
    assert not open_intents


async def _open_intents(gate: Gate) -> list[str]:
    return [entry.id for entry in await gate.audit(kind="call.intent") if entry.outcome is None]


@pytest.mark.requirement("tenant-mix-up")
async def test_two_members_of_one_tool_share_no_connection_and_no_result(gate: Gate) -> None:
    with_token = await gate.client(await gate.connected("has"), Era.MODERN)
    without = await gate.client(await gate.member("hasnot"), Era.MODERN)
    for turn in range(6):
        answer = await with_token.call("vault__echo", {"text": f"mine-{turn}"})
        assert f"mine-{turn}" in str(answer.result)
        refused: Any = await without.call("vault__echo", {"text": "theirs"})
        assert "is not connected" in refused.error["message"]


@pytest.mark.requirement("CVE-2026-42271")
async def test_commands_in_every_field_stay_text(gate: Gate) -> None:
    """What an administrator may send: no field takes a command, and none is run."""
    marker = gate.daemon.directory / "ran"
    evil = f"$(touch {marker})`touch {marker}`;touch {marker}"
    done = {}
    for words in (
        ["agent", "edit", AGENT, "--name", evil[:80]],
        ["agent", "disable", AGENT, "--reason", evil, "--yes"],
        ["agent", "enable", AGENT],
        ["member", "add", AGENT, evil, "--local"],
        ["service", "enable", AGENT, evil],
        ["policy", "create", AGENT, "-", "--name", evil[:120]],
        ["audit", "list", "--tool", evil],
        ["why", evil],
    ):
        line = [*words, "--json", "--socket", str(gate.daemon.socket)]
        ran = await asyncio.to_thread(CliRunner().invoke, app, line, input=PERMIT)
        done[" ".join(words[:2])] = ran.exit_code
    assert (done["agent edit"], done["agent disable"], done["policy create"]) == (0, 0, 0)
    assert not marker.exists()


async def test_the_answers_above_came_from_a_daemon_that_still_serves(gate: Gate) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(request(b"", [], method="GET", path="/api/status"))
    assert (await read_answer(reader)).status == 200
    writer.close()

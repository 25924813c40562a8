"""`proxy.front`: sessions, handshakes, lists, streams, over real sockets; the official client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.fronts import (
    MODERN,
    FrontHouse,
    Http,
    ScriptedPorts,
    connected,
    echo,
    eventually,
    initialize,
    legacy_session,
    make_caller,
    make_tool,
    modern,
    modern_headers,
    rpc,
    running_front,
)
from wicketd.domain.calls import Answer, Call, Failure
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Front
from wicketd.proxy.lists import UNAVAILABLE_KEY, ListView

SERVER_INFO = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


def message_of(chunk: bytes | None) -> Any:
    """The JSON of one event."""
    assert chunk is not None
    return msgspec.json.decode(chunk.split(b"data: ", 1)[1])


@pytest.mark.requirement("L1")
@pytest.mark.parametrize(
    ("requested", "given"),
    [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("nonsense", "2025-11-25"),
    ],
)
async def test_initialize_opens_a_session_and_answers_a_legacy_version(
    requested: str, given: str
) -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(body=initialize(requested), headers={"Mcp-Session-Id": "ignored"})
        assert got.status == 200
        assert got.headers["content-type"] == "application/json"
        session_id = got.headers["mcp-session-id"]
        assert session_id.startswith("mcp_sess_")
        assert len(session_id) == len("mcp_sess_") + 22
        result = got.json["result"]
        assert result["protocolVersion"] == given
        assert result["serverInfo"]["name"] == "wicket"
        assert len(result["instructions"]) <= 1000
        assert result["capabilities"]["tools"] == {"listChanged": True}
        assert front.ports.calls == []


@pytest.mark.parametrize(("size", "is_kept"), [(4000, True), (4100, False)])
async def test_a_session_keeps_capabilities_of_a_bounded_size(size: int, *, is_kept: bool) -> None:
    declared: JsonObject = {"experimental": {"x": "y" * size}}
    info = {"name": "test", "version": "1"}
    said: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": declared}
    opening = rpc("initialize", **said, clientInfo=info)
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(body=opening)
        session = front.sessions.find(got.headers["mcp-session-id"], make_caller("ana"))
    assert session is not None
    assert session.client.capabilities == (declared if is_kept else {})


@pytest.mark.requirement("L2")
async def test_a_session_serves_any_legacy_version_header_or_none() -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http, "2025-11-25")
        for version in ("2025-03-26", "2025-06-18", "2025-11-25"):
            sent = {**headers, "MCP-Protocol-Version": version}
            assert (await http.ask(body=rpc("ping"), headers=sent)).status == 200
        del headers["MCP-Protocol-Version"]
        assert (await http.ask(body=rpc("ping"), headers=headers)).status == 200
        call = rpc("tools/call", name="a__b", arguments={})
        await http.ask(body=call, headers=headers)
        assert front.ports.calls[0].protocol_version == "2025-11-25"
        assert front.ports.calls[0].client_name == "test"


@pytest.mark.requirement("L3")
async def test_a_request_without_a_session_is_refused() -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(body=rpc("tools/list", 4))
        assert (got.status, got.json["error"]["code"]) == (400, -32600)
        assert got.json["error"]["message"] == "Missing session ID"


@pytest.mark.requirement("L3")
async def test_another_members_session_is_as_unknown_as_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http, key="ana")
        unknown = {**headers, "Mcp-Session-Id": "mcp_sess_" + "0" * 22}
        foreign = await http.ask(body=rpc("ping"), headers=headers, key="bob")
        missing = await http.ask(body=rpc("ping"), headers=unknown, key="bob")
        assert foreign.status == missing.status == 404
        assert foreign.body == missing.body
        assert foreign.json["error"]["message"] == "Session not found"
        assert "member-bob" in caplog.text
        got = await http.ask("DELETE", headers=headers, key="bob")
        assert got.status == 404
        assert (await http.ask(body=rpc("ping"), headers=headers)).status == 200


@pytest.mark.requirement("L3")
async def test_a_rotated_key_of_the_same_member_continues_the_session() -> None:
    ports = ScriptedPorts()
    ports.callers["ana2"] = make_caller("ana", key_id="second")
    async with running_front(ports) as front, connected(front.port) as http:
        headers = await legacy_session(http, key="ana")
        assert (await http.ask(body=rpc("ping"), headers=headers, key="ana2")).status == 200


@pytest.mark.requirement("L4")
async def test_requests_are_served_before_the_client_says_it_is_initialized() -> None:
    async with running_front(None, make_tool("a__b")) as front, connected(front.port) as http:
        headers = await legacy_session(http)
        got = await http.ask(body=rpc("tools/list"), headers=headers)
        assert got.json["result"]["tools"][0]["name"] == "a__b"


@pytest.mark.requirement("L5")
@pytest.mark.parametrize(
    "method", ["initialized", "cancelled", "progress", "roots/list_changed", "invented"]
)
async def test_notifications_are_accepted_whatever_they_are(method: str) -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        got = await http.ask(body=rpc(f"notifications/{method}", None), headers=headers)
        assert (got.status, got.body) == (202, b"")


@pytest.mark.requirement("L6")
async def test_a_posted_response_is_accepted_and_dropped_if_nobody_asked() -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        reply = {"jsonrpc": "2.0", "id": "w1", "result": {}}
        assert (await http.ask(body=reply, headers=headers)).status == 202
        bad = {"jsonrpc": "2.0", "id": "w1", "result": {}, "error": {}}
        assert (await http.ask(body=bad, headers=headers)).status == 400


@pytest.mark.requirement("L7")
@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "tasks/get", "x"])
async def test_methods_that_a_legacy_client_does_not_have_are_not_found(method: str) -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        got = await http.ask(body=rpc(method, 8), headers=headers)
        assert (got.status, got.json["id"]) == (200, 8)
        assert got.json["error"]["code"] == -32601


@pytest.mark.requirement("L7")
@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ],
)
async def test_lists_that_nothing_is_in_are_empty_and_not_an_error(method: str, key: str) -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        got = await http.ask(body=rpc(method), headers=headers)
        assert got.json["result"] == {key: []}
        got = await http.ask(body=rpc(method, cursor="made up"), headers=headers)
        assert got.json["error"]["code"] == -32602


class Gate:
    """An upstream that answers when it is let."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.started = asyncio.Event()

    async def __call__(self, call: Call, front: Front) -> Answer | Failure:
        self.started.set()
        await self.go.wait()
        return await echo(call, front)


@pytest.mark.requirement("L8")
async def test_an_id_in_flight_is_refused_and_free_again_afterwards() -> None:
    gate = Gate()
    call = rpc("tools/call", 5, name="a__b", arguments={})
    async with (
        running_front(ScriptedPorts(gate)) as front,
        connected(front.port) as http,
        connected(front.port) as other,
    ):
        headers = await legacy_session(http)
        await http.send(body=call, headers=headers)
        await gate.started.wait()
        got = await other.ask(body=call, headers=headers)
        assert (got.status, got.json["error"]["code"]) == (400, -32600)
        text = {**call, "id": "5"}
        await other.send(body=text, headers=headers)
        await eventually(lambda: len(front.ports.calls) == 2)
        gate.go.set()
        assert (await http.answer()).json["id"] == 5
        assert (await other.answer()).json["id"] == "5"
        assert (await http.ask(body=call, headers=headers)).json["id"] == 5


@pytest.mark.requirement("L9")
async def test_ping_and_set_level_are_answered_here() -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        for body in (rpc("ping"), rpc("logging/setLevel", level="error")):
            assert (await http.ask(body=body, headers=headers)).json["result"] == {}
        await http.ask(body=rpc("tools/call", name="a__b", arguments={}), headers=headers)
        assert front.ports.calls[0].log_level == "error"


@pytest.mark.requirement("L10")
async def test_a_legacy_result_has_nothing_that_only_the_modern_era_knows() -> None:
    async def upstream(call: Call, front: Front) -> Answer | Failure:
        result: JsonObject = {"content": [], "resultType": "complete", "ttlMs": 1}
        return Answer(result, None, 200, 1, 2)

    tool = make_tool("a__b", outputSchema={"type": "array"})
    async with running_front(ScriptedPorts(upstream), tool) as front, connected(front.port) as http:
        headers = await legacy_session(http)
        got = await http.ask(body=rpc("tools/list"), headers=headers)
        assert set(got.json["result"]) == {"tools"}
        assert "outputSchema" not in got.json["result"]["tools"][0]
        call = rpc("tools/call", name="a__b", arguments={})
        got = await http.ask(body=call, headers=headers)
        assert got.json["result"] == {"content": []}


async def open_get(http: Http, headers: dict[str, str]) -> None:
    await http.send("GET", headers=headers)
    status, got = await http.head()
    assert (status, got["content-type"]) == (200, "text/event-stream")


@pytest.mark.requirement("L11")
async def test_a_new_get_stream_replaces_the_old_one() -> None:
    async with (
        running_front() as front,
        connected(front.port) as http,
        connected(front.port) as old,
        connected(front.port) as new,
    ):
        headers = await legacy_session(http)
        await open_get(old, headers)
        assert b"retry: 1000" in (await old.chunk() or b"")
        await open_get(new, headers)
        assert await old.chunk() is None
        await eventually(lambda: front.presences.streams == 1)


@pytest.mark.requirement("L11")
async def test_the_get_stream_carries_list_changes_once_and_can_be_resumed() -> None:
    async with (
        running_front(None, make_tool("a__b")) as front,
        connected(front.port) as http,
        connected(front.port) as stream,
    ):
        headers = await legacy_session(http)
        await http.ask(body=rpc("tools/list"), headers=headers)
        await open_get(stream, headers)
        priming = await stream.chunk() or b""
        event_id = priming.split(b"id: ")[1].split(b"\n")[0].decode()
        front.lists.view = ListView([make_tool("a__c")], [])
        front.hub.changed()
        front.hub.changed()
        chunk = await stream.chunk()
        assert message_of(chunk)["method"] == "notifications/tools/list_changed"
        stream.hang_up()
        await eventually(lambda: front.presences.streams == 0)
        async with connected(front.port) as again:
            await open_get(again, {**headers, "Last-Event-ID": event_id})
            assert await again.chunk() == chunk
        async with connected(front.port) as again:
            lost = {**headers, "Last-Event-ID": "AAAAAAAA.7"}
            got = await again.ask("GET", headers=lost)
            assert (got.status, got.json["error"]["code"]) == (400, -32600)


@pytest.mark.requirement("L12")
async def test_delete_ends_streams_and_calls_and_the_session() -> None:
    gate = Gate()
    async with (
        running_front(ScriptedPorts(gate)) as front,
        connected(front.port) as http,
        connected(front.port) as stream,
        connected(front.port) as other,
    ):
        headers = await legacy_session(other)
        await open_get(stream, headers)
        await stream.chunk()
        call = rpc("tools/call", 5, name="a__b", arguments={})
        await http.send(body=call, headers=headers)
        await gate.started.wait()
        got = await other.ask("DELETE", headers=headers)
        assert (got.status, got.body) == (200, b"")
        assert await stream.chunk() is None
        assert (await http.answer()).body == b""
        assert (await other.ask(body=rpc("ping"), headers=headers)).status == 404
        assert (await other.ask("DELETE", headers=headers)).status == 404


@pytest.mark.requirement("L13")
async def test_a_task_param_is_dropped_and_the_call_runs() -> None:
    async with running_front() as front, connected(front.port) as http:
        headers = await legacy_session(http)
        call = rpc("tools/call", name="a__b", arguments={"x": 1}, task={"ttl": 1})
        got = await http.ask(body=call, headers=headers)
        assert got.json["result"]["content"][0]["text"] == '{"x":1}'


@pytest.mark.requirement("M11")
async def test_every_modern_result_says_who_answered_and_how_long_it_holds() -> None:
    async with running_front(None, make_tool("a__b")) as front, connected(front.port) as http:
        expected = {
            "server/discover": 3_600_000,
            "tools/list": 60_000,
            "prompts/list": 60_000,
            "resources/list": 60_000,
            "resources/templates/list": 60_000,
        }
        for method, ttl_ms in expected.items():
            got = await http.ask(body=modern(method), headers=modern_headers(method))
            result = got.json["result"]
            assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
            assert result["ttlMs"] == ttl_ms
            assert result["_meta"][SERVER_INFO]["name"] == "wicket"
            assert "mcp-session-id" not in got.headers
        call = modern("tools/call", name="a__b", arguments={})
        got = await http.ask(body=call, headers=modern_headers("tools/call", "a__b"))
        assert got.json["result"]["resultType"] == "complete"
        assert SERVER_INFO in got.json["result"]["_meta"]
        assert "ttlMs" not in got.json["result"]


async def test_discover_lists_only_modern_versions() -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(
            body=modern("server/discover"), headers=modern_headers("server/discover")
        )
        assert got.json["result"]["supportedVersions"] == [MODERN]


async def test_a_partial_list_says_what_is_missing_and_holds_shorter() -> None:
    note: JsonObject = {"service": "b", "reason": "timeout"}
    async with running_front() as front, connected(front.port) as http:
        front.lists.view = ListView([make_tool("a__b")], [note])
        got = await http.ask(body=modern("tools/list"), headers=modern_headers("tools/list"))
        assert got.json["result"]["ttlMs"] == 5_000
        assert got.json["result"]["_meta"][UNAVAILABLE_KEY] == [note]
        front.lists.view = ListView([], [note])
        got = await http.ask(body=modern("tools/list"), headers=modern_headers("tools/list"))
        assert got.json["error"]["code"] == -32603


async def listed_all(http: Http, **first: Any) -> list[str]:
    names: list[str] = []
    params = first
    while True:
        body = modern("tools/list", **params)
        got = (await http.ask(body=body, headers=modern_headers("tools/list"))).json["result"]
        names += [tool["name"] for tool in got["tools"]]
        if "nextCursor" not in got:
            return names
        params = {"cursor": got["nextCursor"]}


async def test_a_long_list_comes_in_pages_and_cursors_belong_to_one_member() -> None:
    tools = [make_tool(f"a__{number:04}") for number in range(1201)]
    headers = modern_headers("tools/list")
    async with running_front(None, *tools) as front, connected(front.port) as http:
        assert await listed_all(http) == [str(tool["name"]) for tool in tools]
        cursor = (await http.ask(body=modern("tools/list"), headers=headers)).json["result"][
            "nextCursor"
        ]
        got = await http.ask(body=modern("tools/list", cursor=cursor), headers=headers, key="bob")
        assert got.json["error"]["message"] == "Invalid cursor"
        front.clock.pass_s(601)
        got = await http.ask(body=modern("tools/list", cursor=cursor), headers=headers)
        assert got.json["error"]["code"] == -32602


@pytest.mark.requirement("M13")
async def test_a_listen_stream_acknowledges_what_it_honours_and_sends_nothing_else() -> None:
    headers = modern_headers("subscriptions/listen")
    wanted = {"toolsListChanged": True, "promptsListChanged": False, "invented": True}
    async with running_front(None, make_tool("a__b")) as front, connected(front.port) as http:
        await listed_all(http)
        body = modern("subscriptions/listen", "L1", notifications=wanted)
        await http.send(body=body, headers=headers)
        assert (await http.head())[1]["content-type"] == "text/event-stream"
        first = await http.chunk() or b""
        assert b"\nid:" not in first
        note = message_of(first)
        assert note["method"] == "notifications/subscriptions/acknowledged"
        assert note["params"]["notifications"] == {"toolsListChanged": True}
        assert note["params"]["_meta"][SUBSCRIPTION] == "L1"
        front.hub.changed()  # nothing did
        front.lists.view = ListView([make_tool("a__c")], [])
        front.hub.changed()
        note = message_of(await http.chunk())
        assert note["method"] == "notifications/tools/list_changed"
        assert note["params"]["_meta"][SUBSCRIPTION] == "L1"
        http.hang_up()
        await eventually(lambda: front.presences.streams == 0)


@asynccontextmanager
async def official(front: FrontHouse, **options: Any) -> AsyncIterator[Client]:
    """The official SDK's client with a bearer key."""
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer ana"}) as http:
        transport = streamable_http_client(front.url, http_client=http)
        async with Client(transport, **options) as client:
            yield client


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
async def test_the_official_client_lists_calls_and_hears_progress(mode: str) -> None:
    async def upstream(call: Call, front: Front) -> Answer | Failure:
        for step in (1, 2):
            front.progress({"progress": step})
        return await echo(call, front)

    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with running_front(ScriptedPorts(upstream), make_tool("a__b")) as front:
        async with official(front, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["a__b"]
            result = await client.call_tool("a__b", {"x": 1}, progress_callback=hear)
            assert msgspec.to_builtins(result.content[0].text) == '{"x":1}'  # type: ignore[union-attr]
            assert heard[-1] == 2
            assert (await client.list_prompts()).prompts == []
        era = "legacy" if mode == "legacy" else "modern"
        assert front.ports.calls[0].era == era
        await eventually(lambda: front.presences.requests == 0)
        assert len(front.sessions) == 0


async def test_the_official_client_hears_list_changes_on_its_subscription() -> None:
    async with running_front(None, make_tool("a__b")) as front, official(front) as client:
        await client.list_tools()
        async with client.listen(tools_list_changed=True) as changes:
            front.lists.view = ListView([make_tool("a__c")], [])
            front.hub.changed()
            async with asyncio.timeout(5):
                await anext(changes)
            assert (await client.list_tools()).tools[0].name == "a__c"

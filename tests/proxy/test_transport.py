"""`proxy.transport` and `proxy.responder` over real sockets and the real listener."""

import asyncio
from typing import Any

import pytest
from typing_extensions import override

from tests.support.fronts import (
    Http,
    ScriptedPorts,
    connected,
    echo,
    eventually,
    legacy_session,
    make_caller,
    make_tool,
    modern,
    modern_headers,
    rpc,
    running_front,
)
from wicketd.domain.calls import Answer, Call, Caller, Failure, OutcomeStatus, Refusal
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Front

ANA = make_caller("ana")
CALL: dict[str, Any] = {"name": "github__get", "arguments": {"a": 1}}


def modern_call(request_id: int | str = 1, **extra: Any) -> JsonObject:
    return modern("tools/call", request_id, **{**CALL, **extra})


MODERN_CALL = modern_headers("tools/call", "github__get")


@pytest.mark.requirement("C2")
@pytest.mark.parametrize("path", ["/mcp/", "/MCP", "/", "/mc%70", "/mcp;a=1", "/mcpx"])
async def test_only_the_very_bytes_of_the_path_are_the_endpoint(path: str) -> None:
    async with running_front() as front, connected(front.port) as http:
        assert (await http.ask(path=path, body=rpc("ping"))).status == 404
        assert front.ports.requests == []


@pytest.mark.requirement("C2")
async def test_the_query_string_is_never_read() -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(path="/mcp?key=bob&x=1", body=modern_call(), headers=MODERN_CALL)
        assert got.status == 200
        assert front.ports.calls[0].caller.member.local_name == "ana"


@pytest.mark.parametrize(
    "path", ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"]
)
async def test_oauth_discovery_is_not_found_and_never_unauthorised(path: str) -> None:
    async with running_front() as front, connected(front.port) as http:
        assert (await http.ask("GET", path, key=None)).status == 404


@pytest.mark.requirement("C3")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:80", 200),
        ("wicket.example", 200),
        ("wicket.example:80", 200),
        ("wicket.example:8080", 421),
        ("evil.example", 421),
        ("127.0.0.2", 421),
        ("localhost.evil.example", 421),
        ("[::2]", 421),
    ],
)
async def test_a_foreign_host_is_misdirected(host: str, status: int) -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask("GET", "/alive", headers={"Host": host})
        assert got.status == status
        got = await http.ask(body=modern_call(), headers={"Host": host, **MODERN_CALL})
        assert got.status == status
        assert len(front.ports.requests) == (status == 200)
        if status == 421:
            assert got.json["error"]["message"] == "Invalid Host header"


@pytest.mark.requirement("C4")
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("https://wicket.example", 200),
        ("null", 403),
        ("https://evil.example", 403),
        ("https://wicket.example.evil.example", 403),
        ("file://localhost", 403),
        ("localhost", 403),
    ],
)
async def test_a_foreign_origin_is_refused_before_the_key(origin: str, status: int) -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(body=modern_call(), headers={"Origin": origin, **MODERN_CALL})
        assert got.status == status
        if status == 403:
            assert got.json["id"] is None
            assert front.ports.requests == []


@pytest.mark.parametrize(("state", "status"), [("ok", 200), ("degraded", 503)])
async def test_health_tells_a_word_and_no_detail(state: str, status: int) -> None:
    async with running_front(status=lambda: state) as front, connected(front.port) as http:
        got = await http.ask("GET", "/api/status", key=None)
        assert (got.status, got.json) == (status, {"status": state})
        assert (await http.ask("GET", "/alive", key=None)).status == 200
        assert (await http.ask("POST", "/alive", key=None)).headers["allow"] == "GET"


@pytest.mark.requirement("C11")
async def test_a_chunked_body_over_the_cap_is_too_large() -> None:
    async with running_front() as front, connected(front.port) as http:
        await http.send(headers={"Transfer-Encoding": "chunked"} | {"Content-Length": ""}, body=b"")
        assert (await http.answer()).status == 400
    async with running_front() as front, connected(front.port) as http:
        head = (
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ana\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        http.writer.write(head + b"".join(b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n" for _ in "ab"))
        assert (await http.head())[0] == 413
        assert front.ports.requests == []


@pytest.mark.requirement("C11")
async def test_a_body_that_does_not_come_is_timed_out() -> None:
    async with running_front(body_s=0.05) as front, connected(front.port) as http:
        await http.send(body=b"{", headers={"Content-Length": "100"})
        got = await http.answer()
        assert got.status == 408
        assert got.json["error"]["code"] == -32600


async def test_a_quick_call_is_answered_as_json() -> None:
    async with running_front() as front, connected(front.port) as http:
        got = await http.ask(body=modern_call("x"), headers=MODERN_CALL)
        assert got.headers["content-type"] == "application/json"
        assert "server" not in got.headers
        assert "date" not in got.headers
        assert got.json["id"] == "x"
        assert got.json["result"]["resultType"] == "complete"


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with running_front() as front, connected(front.port) as http:
        for number in range(3):
            got = await http.ask(body=modern_call(number), headers=MODERN_CALL)
            assert got.json["id"] == number


class Upstream:
    """Says what a test wants and answers when it is let."""

    def __init__(self) -> None:
        self.front: Front | None = None
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.cancelled = False

    async def __call__(self, call: Call, front: Front) -> Answer | Failure:
        self.front = front
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await echo(call, front)


async def test_progress_before_the_answer_commits_a_stream_that_ends_with_it() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        body = modern_call(_meta={"progressToken": "mine"})
        await http.send(body=body, headers=MODERN_CALL)
        await upstream.started.wait()
        assert upstream.front is not None
        upstream.front.progress({"progressToken": "ours", "progress": 1})
        status, headers = await http.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        first = await http.chunk()
        assert first is not None
        assert first.startswith(b"event: message\ndata: ")
        assert b'"progressToken":"mine"' in first
        upstream.go.set()
        last = await http.chunk()
        assert last is not None
        assert b'"result"' in last
        assert b"id: " not in last
        assert await http.chunk() is None


async def test_progress_without_a_token_is_dropped() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        await http.send(body=modern_call(), headers=MODERN_CALL)
        await upstream.started.wait()
        assert upstream.front is not None
        upstream.front.progress({"progressToken": "ours", "progress": 1})
        upstream.go.set()
        assert (await http.answer()).headers["content-type"] == "application/json"


async def test_a_call_that_takes_long_becomes_a_stream() -> None:
    upstream = Upstream()
    ports = ScriptedPorts(upstream)
    async with running_front(ports, commit_after_s=0.05) as front, connected(front.port) as http:
        await http.send(body=modern_call(), headers=MODERN_CALL)
        assert (await http.head())[1]["content-type"] == "text/event-stream"
        upstream.go.set()
        assert b'"result"' in b"".join([chunk async for chunk in http.chunks()])


@pytest.mark.requirement("M12")
@pytest.mark.parametrize(
    ("wanted", "level", "is_sent"),
    [
        ("warning", "error", True),
        ("warning", "warning", True),
        ("warning", "info", False),
        (None, "emergency", False),
        ("debug", "nonsense", False),
    ],
)
async def test_log_messages_come_only_at_the_level_the_request_carries(
    wanted: str | None, level: str, *, is_sent: bool
) -> None:
    upstream = Upstream()
    meta = {} if wanted is None else {"io.modelcontextprotocol/logLevel": wanted}
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        await http.send(body=modern_call(_meta=meta), headers=MODERN_CALL)
        await upstream.started.wait()
        assert upstream.front is not None
        upstream.front.log({"level": level, "data": "x"})
        upstream.go.set()
        got = await http.answer()
        assert (b"notifications/message" in got.body) is is_sent


async def test_relayed_notifications_are_bounded_in_a_second() -> None:
    upstream = Upstream()
    meta = {"io.modelcontextprotocol/logLevel": "debug"}
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        await http.send(body=modern_call(_meta=meta), headers=MODERN_CALL)
        await upstream.started.wait()
        assert upstream.front is not None
        for _ in range(500):
            upstream.front.log({"level": "info", "data": "x"})
        upstream.go.set()
        assert (await http.answer()).body.count(b"notifications/message") == 100


async def test_a_modern_client_that_hangs_up_cancels_and_the_outcome_is_stored() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front:
        async with connected(front.port) as http:
            await http.send(body=modern_call(), headers=MODERN_CALL)
            await upstream.started.wait()
            http.hang_up()
        await eventually(lambda: upstream.cancelled)
        await eventually(lambda: bool(front.ports.outcomes))
        assert front.ports.outcomes[0].status is OutcomeStatus.CANCELLED
        assert front.presences.requests == 0


async def test_a_legacy_client_that_hangs_up_cancels_nothing() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front:
        async with connected(front.port) as http:
            headers = await legacy_session(http)
            await http.send(body=rpc("tools/call", **CALL), headers=headers)
            await upstream.started.wait()
            http.hang_up()
        await asyncio.sleep(0.1)
        assert not upstream.cancelled
        upstream.go.set()
        await eventually(lambda: bool(front.ports.outcomes))
        assert front.ports.outcomes[0].status is OutcomeStatus.OK


async def test_a_legacy_result_waits_for_a_client_that_lost_its_stream() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front:
        async with connected(front.port) as http:
            headers = await legacy_session(http)
            call = rpc("tools/call", 7, _meta={"progressToken": 1}, **CALL)
            await http.send(body=call, headers=headers)
            await upstream.started.wait()
            assert upstream.front is not None
            upstream.front.progress({"progress": 1})
            await http.head()
            priming = await http.chunk()
            assert priming is not None
            event_id = priming.split(b"id: ")[1].split(b"\n")[0].decode()
            assert b"retry: 1000\ndata:\n\n" in priming
            http.hang_up()
        await asyncio.sleep(0.1)
        upstream.go.set()
        await eventually(lambda: bool(front.ports.outcomes))
        async with connected(front.port) as http:
            await http.send("GET", headers={**headers, "Last-Event-ID": event_id})
            assert (await http.head())[0] == 200
            replayed = b"".join([chunk async for chunk in http.chunks()])
            assert replayed.count(b"event: message") == 2
            assert b'"progress":1' in replayed
            assert b'"id":7' in replayed


async def test_older_revisions_get_ids_and_no_priming_event() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        headers = await legacy_session(http, "2025-06-18")
        call = rpc("tools/call", _meta={"progressToken": 1}, **CALL)
        await http.send(body=call, headers=headers)
        await upstream.started.wait()
        assert upstream.front is not None
        upstream.front.progress({"progress": 1})
        await http.head()
        first = await http.chunk()
        assert first is not None
        assert b".0\ndata: {" in first
        upstream.go.set()


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_cancelled_legacy_call_ends_without_an_answer(*, is_committed: bool) -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        headers = await legacy_session(http)
        call = rpc("tools/call", 5, _meta={"progressToken": 1}, **CALL)
        await http.send(body=call, headers=headers)
        await upstream.started.wait()
        assert upstream.front is not None
        event_id = "AAAAAAAA.0"
        if is_committed:
            upstream.front.progress({"progress": 1})
            await eventually(lambda: bool(front.sessions.of_member(ANA)[0]._streams))
            event_id = f"{next(iter(front.sessions.of_member(ANA)[0]._streams))}.0"
        async with connected(front.port) as other:
            note = rpc("notifications/cancelled", None, requestId=5)
            assert (await other.ask(body=note, headers=headers)).status == 202
        got = await http.answer()
        assert got.headers["content-type"] == "text/event-stream"
        assert b'"id":5' not in got.body
        await eventually(lambda: bool(front.ports.outcomes))
        assert front.ports.outcomes[0].status is OutcomeStatus.CANCELLED
        # or clients would come back every second for an answer that never comes
        again = await http.ask("GET", headers={**headers, "Last-Event-ID": event_id})
        assert again.status == 400


async def test_ending_a_member_stops_what_runs_for_it() -> None:
    upstream = Upstream()
    async with running_front(ScriptedPorts(upstream)) as front, connected(front.port) as http:
        await http.send(body=modern_call(), headers=MODERN_CALL)
        await upstream.started.wait()
        front.presences.end_member(front.ports.calls[0].caller.member.id)
        assert (await http.answer()).body == b""
        assert upstream.cancelled


async def test_a_bug_is_one_answer_of_fixed_text(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedPorts):
        @override
        async def take_token(self, caller: Caller) -> Refusal | None:
            raise RuntimeError("secret detail")

    async with running_front(Broken()) as front, connected(front.port) as http:
        got = await http.ask(body=modern_call(3), headers=MODERN_CALL)
        assert (got.status, got.json["id"], got.json["error"]["code"]) == (500, 3, -32603)
        assert b"secret" not in got.body
        assert "A request on /mcp failed." in caplog.text


async def test_a_drain_lets_requests_end_and_refuses_new_ones() -> None:
    upstream = Upstream()
    async with (
        running_front(ScriptedPorts(upstream), make_tool("a__b")) as front,
        connected(front.port) as http,
        connected(front.port) as other,
    ):
        listen = modern("subscriptions/listen", "L", notifications={"toolsListChanged": True})
        await other.send(body=listen, headers=modern_headers("subscriptions/listen"))
        await other.head()
        await other.chunk()
        await http.send(body=modern_call(), headers=MODERN_CALL)
        await upstream.started.wait()
        front.stop.set()
        last = await other.chunk()
        assert last is not None
        assert b'"result"' in last
        assert b'subscriptionId":"L"' in last
        assert await other.chunk() is None
        got = await other.ask(body=modern_call(), headers=MODERN_CALL)
        assert got.status == 503
        assert got.headers["retry-after"] == "5"
        assert got.json["error"]["message"] == "Server is stopping"
        upstream.go.set()
        assert (await http.answer()).json["result"]["content"]


@pytest.mark.requirement("C6")
async def test_a_member_may_open_sixteen_streams_and_another_its_own() -> None:
    listen = modern("subscriptions/listen", notifications={})
    headers = modern_headers("subscriptions/listen")
    async with running_front() as front:
        opened: list[Http] = []
        for _ in range(16):
            http = Http(*await asyncio.open_connection("127.0.0.1", front.port))
            opened.append(http)
            await http.send(body=listen, headers=headers)
            assert (await http.head())[0] == 200
        async with connected(front.port) as http:
            got = await http.ask(body=listen, headers=headers)
            assert got.status == 429
            assert "retry-after" in got.headers
            await http.send(body=listen, headers=headers, key="bob")
            assert (await http.head())[0] == 200
        for http in opened:
            http.hang_up()
        await eventually(lambda: front.presences.streams == 0)


class Elsewhere:
    """An app for the other paths: it says which one it got and counts what it waited for."""

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        self.drained = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["raw_path"])
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"rest"})

    async def drain(self) -> None:
        self.drained += 1


async def test_other_paths_go_to_the_app_behind_and_a_drain_waits_for_it() -> None:
    rest = Elsewhere()
    async with running_front(rest=rest) as front, connected(front.port) as http:
        assert (await http.ask("GET", "/agents", key=None)).body == b"rest"
        assert (await http.ask("GET", "/mcp/", key=None)).status == 200
        assert (await http.ask("GET", "/alive", key=None)).json == {"status": "alive"}
        assert (await http.ask(body=modern_call(), headers=MODERN_CALL)).status == 200
        for path in ("oauth-authorization-server", "oauth-protected-resource/mcp"):
            assert (await http.ask("GET", f"/.well-known/{path}", key=None)).status == 404
        assert rest.paths == [b"/agents", b"/mcp/"]
    assert rest.drained == 1

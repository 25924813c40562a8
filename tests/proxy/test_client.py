"""The upstream client against real servers: the SDK's in both eras, and scripted hostile ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.support.fronts import eventually
from tests.support.sdk_upstream import serve_sdk
from tests.support.upstreams import (
    NOTHING,
    STATIC,
    MemoryVerdicts,
    RecordingFront,
    Script,
    Seen,
    SystemClock,
    Tasks,
    agent,
    call,
    connector,
    serve,
    serve_raw,
    tool,
)
from wicketd.connectors.catalogue import destination
from wicketd.domain.calls import Answer, Failure, OutcomeStatus, RefusalKind
from wicketd.domain.catalogue import Connector, StdioTransport, Tool, UpstreamEra
from wicketd.domain.connections import Credential, Destination
from wicketd.domain.errors import Malformed, SignInRejected, TimedOut, Unreachable
from wicketd.domain.json import JsonObject
from wicketd.net.client import GuardedClient
from wicketd.proxy.client import Recheck, UpstreamClient
from wicketd.vault.secret import Secret

MODERN = "2026-07-28"
CONTENT: JsonObject = {"content": [{"type": "text", "text": "hi"}]}


class Bench:
    """A client with its ports."""

    def __init__(self, recheck: Recheck | None = None) -> None:
        self.tasks = Tasks()
        self.verdicts = MemoryVerdicts()
        self.front = RecordingFront()
        self.client = self.restarted(recheck)

    def restarted(self, recheck: Recheck | None = None) -> UpstreamClient:
        return UpstreamClient(GuardedClient(), self.verdicts, SystemClock(), self.tasks, recheck)

    async def send(
        self,
        to: Connector,
        credential: Credential = NOTHING,
        stored: Tool | None = None,
        **asked: Any,
    ) -> Answer | Failure:
        return await self.client.send(call(**asked), credential, self.front, to, stored)

    async def list(self, to: Connector, credential: Credential = NOTHING) -> list[str]:
        tools = await self.client.list_tools(to, agent().id, credential, deadline_s=5)
        return [str(tool["name"]) for tool in tools]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.tasks.settle()
    await made.client.close()


def rpc(seen: Seen, result: Any = None, **error: Any) -> web.Response:
    status = error.pop("status", 200)
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": seen.body.get("id")}
    body |= {"error": error} if error else {"result": result}
    return web.json_response(body, status=status)


Handler = Callable[[Seen, web.Request], Awaitable[web.StreamResponse]]


def modern(tools_call: Handler, listed: list[Any] | None = None) -> Script:
    """A server of the modern era; `tools_call` answers the calls."""

    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        match seen.rpc:
            case "server/discover":
                return rpc(seen, {"supportedVersions": [MODERN], "resultType": "complete"})
            case "tools/list":
                return rpc(seen, {"tools": listed or [], "resultType": "complete"})
            case _:
                return await tools_call(seen, request)

    return script


def legacy(
    tools_call: Handler, *, version: str = "2025-11-25", sessions: list[str] | None = None
) -> Script:
    """A server of the legacy era; it forgets a session that is taken out of `sessions`."""
    known = ["s1"] if sessions is None else sessions

    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.headers.get("MCP-Protocol-Version") == MODERN:
            return web.Response(status=400)
        if seen.rpc == "initialize":
            result = {"protocolVersion": version, "capabilities": {}, "serverInfo": {}}
            answer = rpc(seen, result)
            answer.headers["Mcp-Session-Id"] = known[-1]
            return answer
        if seen.headers.get("Mcp-Session-Id") not in known:
            return web.Response(status=404)
        if seen.body is not None and "id" not in seen.body:
            return web.Response(status=202)
        return await tools_call(seen, request)

    return script


async def ok(seen: Seen, _: web.Request) -> web.StreamResponse:
    return rpc(seen, CONTENT)


def status(code: int, **headers: str) -> Handler:
    async def answer(_: Seen, __: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, text="secret-canary", headers=named)

    return answer


def streams(*events: bytes, ends: bool = True) -> Handler:
    """`{id}` in an event becomes the id of the request."""

    async def answer(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event.replace(b"{id}", str(seen.body["id"]).encode()))
        if not ends:
            await asyncio.get_running_loop().create_future()
        return response

    return answer


def event(text: str, event_id: str = "") -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"event: message\n{head}data: {text}\n\n".encode()


ANSWER = event('{"jsonrpc":"2.0","id":{id},"result":{"content":[]}}')


def kind(outcome: Answer | Failure) -> RefusalKind:
    assert isinstance(outcome, Failure), outcome
    return outcome.refusal.kind


def bound(to: Connector, value: bytes = b"Bearer token-1") -> Credential:
    return Credential(destination(to), "authorization", Secret(value))


# --- the official SDK's server ---


@pytest.mark.parametrize("is_legacy", [False, True])
async def test_the_sdk_server_lists_and_answers_in_both_eras(
    bench: Bench, *, is_legacy: bool
) -> None:
    async with serve_sdk(is_legacy=is_legacy) as url:
        to = connector(url)
        assert await bench.list(to) == ["echo", "count"]
        answer = await bench.send(to, arguments={"text": "grüße"})
        assert isinstance(answer, Answer)
        assert answer.result is not None
        assert answer.result["structuredContent"] == {"result": "grüße"}
        found = UpstreamEra.LEGACY if is_legacy else UpstreamEra.MODERN
        assert [verdict.era for verdict in bench.verdicts.rows.values()] == [found]
        counted = await bench.send(to, name="count", arguments={"to": 3})
        assert isinstance(counted, Answer)
        await bench.tasks.settle()
        await bench.client.close()
    assert [step["progress"] for step in bench.front.progressed] == [0, 1, 2]
    assert all("progressToken" not in step for step in bench.front.progressed)


# --- era probe (4.2) ---


@pytest.mark.parametrize("code", [400, 404, 405, 406])
async def test_a_4xx_without_modern_body_means_legacy(bench: Bench, code: int) -> None:
    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc == "server/discover":
            return web.Response(status=code)
        return await legacy(ok)(seen, request)

    async with serve(script) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
        assert len(upstream.of("initialize")) == 1
        ready = upstream.of("notifications/initialized")[0]
        assert ready.headers["Mcp-Session-Id"] == "s1"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (401, RefusalKind.RECONNECT),
        (403, RefusalKind.UNREACHABLE),
        (429, RefusalKind.UPSTREAM_RATE),
        (500, RefusalKind.UNREACHABLE),
        (503, RefusalKind.UNREACHABLE),
    ],
)
async def test_a_probe_that_gives_no_verdict_stores_none(
    bench: Bench, code: int, expected: RefusalKind
) -> None:
    async with serve(status(code)) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is expected
        assert [seen.rpc for seen in upstream.seen] == ["server/discover"]
    assert bench.verdicts.rows == {}


async def test_404_to_both_handshakes_is_incompatible(bench: Bench) -> None:
    async with serve(status(404)) as upstream:
        to = connector(upstream.url)
        assert kind(await bench.send(to)) is RefusalKind.INVALID_ANSWER
        await bench.tasks.settle()
        count = len(upstream.seen)
        assert kind(await bench.send(to)) is RefusalKind.INVALID_ANSWER
        assert len(upstream.seen) == count
    assert [row.era for row in bench.verdicts.rows.values()] == [UpstreamEra.INCOMPATIBLE]


async def test_a_stored_verdict_spares_the_probe_after_a_restart(bench: Bench) -> None:
    async with serve(modern(ok)) as upstream:
        to = connector(upstream.url)
        await bench.send(to)
        await bench.client.close()
        bench.client = bench.restarted()
        assert isinstance(await bench.send(to), Answer)
        assert len(upstream.of("server/discover")) == 1


async def test_members_share_the_verdict_and_not_the_session(bench: Bench) -> None:
    async with serve(legacy(ok)) as upstream:
        to = connector(upstream.url)
        for member in ("m1", "m2", "m1"):
            assert isinstance(await bench.send(to, member=member), Answer)
        assert len(upstream.of("server/discover")) == 1
        assert len(upstream.of("initialize")) == 2


async def test_calls_at_once_share_one_probe_and_one_initialize(bench: Bench) -> None:
    async with serve(legacy(ok)) as upstream:
        to = connector(upstream.url)
        outcomes = await asyncio.gather(*(bench.send(to) for _ in range(10)))
        assert all(isinstance(outcome, Answer) for outcome in outcomes)
        assert len(upstream.of("server/discover")) == len(upstream.of("initialize")) == 1


async def test_an_upgrade_under_traffic_is_noticed(bench: Bench) -> None:
    script = legacy(ok)

    async def changing(seen: Seen, request: web.Request) -> web.StreamResponse:
        return await script(seen, request)

    async with serve(changing) as upstream:
        to = connector(upstream.url)
        assert isinstance(await bench.send(to), Answer)

        async def upgraded(seen: Seen, request: web.Request) -> web.StreamResponse:
            if seen.rpc == "initialize":
                data = {"supported": [MODERN]}
                return rpc(seen, code=-32022, message="x", data=data, status=400)
            if "Mcp-Session-Id" in seen.headers:
                return web.Response(status=404)
            return await modern(ok)(seen, request)

        script = upgraded
        await bench.client.close()
        bench.client = bench.restarted()
        assert isinstance(await bench.send(to), Answer)
    assert [row.era for row in bench.verdicts.rows.values()] == [UpstreamEra.MODERN]


async def test_a_downgrade_under_traffic_is_noticed(bench: Bench) -> None:
    script = modern(ok)

    async def changing(seen: Seen, request: web.Request) -> web.StreamResponse:
        return await script(seen, request)

    async with serve(changing) as upstream:
        to = connector(upstream.url)
        assert isinstance(await bench.send(to), Answer)
        script = legacy(ok)
        assert isinstance(await bench.send(to), Answer)
    assert [row.era for row in bench.verdicts.rows.values()] == [UpstreamEra.LEGACY]


# --- sessions and resending (4.3) ---


async def test_a_404_on_a_session_initializes_anew_and_resends_once(bench: Bench) -> None:
    sessions = ["s1"]
    async with serve(legacy(ok, sessions=sessions)) as upstream:
        to = connector(upstream.url)
        await bench.send(to)
        sessions[:] = ["s2"]
        assert isinstance(await bench.send(to), Answer)
        assert [seen.headers["Mcp-Session-Id"] for seen in upstream.of("tools/call")] == [
            "s1",
            "s1",
            "s2",
        ]
        assert len(upstream.of("initialize")) == 2


async def test_a_second_404_is_a_502(bench: Bench) -> None:
    async with serve(legacy(status(404))) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is RefusalKind.INVALID_ANSWER
        assert len(upstream.of("tools/call")) == 2


@pytest.mark.requirement("N8")
@pytest.mark.parametrize("code", [400, 409, 422, 500, 502, 503])
async def test_a_call_that_may_have_run_is_not_sent_again(bench: Bench, code: int) -> None:
    async with serve(legacy(status(code))) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Failure)
        assert len(upstream.of("tools/call")) == 1


@pytest.mark.requirement("N8")
async def test_a_connection_that_dies_after_writing_is_not_retried(bench: Bench) -> None:
    async def dies(_: Seen, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serve(modern(dies)) as upstream:
        failure = await bench.send(connector(upstream.url))
        assert kind(failure) is RefusalKind.UNREACHABLE
        assert len(upstream.of("tools/call")) == 1
    assert isinstance(failure, Failure)
    assert failure.outcome is OutcomeStatus.UNREACHABLE


async def test_an_upstream_that_is_gone_between_calls_is_unreachable(bench: Bench) -> None:
    async with serve(modern(ok)) as upstream:
        to = connector(upstream.url)
        await bench.send(to)
    assert kind(await bench.send(to)) is RefusalKind.UNREACHABLE


async def test_a_legacy_stream_is_resumed_by_its_event_id(bench: Bench) -> None:
    async def broken(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.method == "GET":
            assert seen.headers["Last-Event-ID"] == "e1"
            asked = next(each for each in upstream.seen if each.rpc == "tools/call")
            return await streams(ANSWER)(asked, request)
        return await streams(b"retry: 5\n" + event("", "e1"))(seen, request)

    async with serve(legacy(broken)) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
        assert len(upstream.of("tools/call")) == 1
        assert [seen.method for seen in upstream.seen].count("GET") == 1


@pytest.mark.requirement("N8")
@pytest.mark.parametrize("code", [200, 404])
async def test_a_stream_that_cannot_be_resumed_fails_without_resending(
    bench: Bench, code: int
) -> None:
    async def broken(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.method == "GET" and code == 404:
            return web.Response(status=404)
        return await streams(event("", "e1"))(replace(seen, body={"id": 0}), request)

    async with serve(legacy(broken)) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is RefusalKind.INVALID_ANSWER
        assert len(upstream.of("tools/call")) == 1
        assert len(upstream.of("initialize")) == 1


async def test_stale_headers_lead_to_a_new_list_and_one_resend() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"text": {"type": "string", "x-mcp-header": "Text"}},
    }
    listed = {"name": "echo", "inputSchema": schema}
    rechecked: list[JsonObject] = []

    async def recheck(_: Any, definition: JsonObject) -> Tool | None:
        rechecked.append(definition)
        return tool(schema=schema)

    async def strict(seen: Seen, _: web.Request) -> web.StreamResponse:
        if seen.headers.get("mcp-param-text") != "hi":
            return rpc(seen, code=-32020, message="x", status=400)
        return rpc(seen, CONTENT)

    async with serve(modern(strict, [listed])) as upstream:
        without, with_recheck = Bench(), Bench(recheck)
        to = connector(upstream.url)
        assert kind(await without.send(to, stored=tool())) is RefusalKind.INVALID_ANSWER
        assert isinstance(await with_recheck.send(to, stored=tool()), Answer)
        assert rechecked == [listed]
        assert len(upstream.of("tools/call")) == 3
        await without.client.close()
        await with_recheck.client.close()


# --- what is written (4.1, 4.4) ---


@pytest.mark.requirement("N3")
async def test_nothing_of_the_clients_request_reaches_the_upstream_but_the_decided_value(
    bench: Bench,
) -> None:
    async with serve(modern(ok)) as upstream:
        await bench.send(
            connector(upstream.url),
            headers={"mcp-param-canary": "canary"},
            client_name="canary",
            client_version="canary",
            progress_token="canary",
            front_id="canary",
        )
        for seen in upstream.seen:
            assert "canary" not in str(seen)
            assert set(seen.headers) <= {
                "Host",
                "Accept",
                "Accept-Encoding",
                "Content-Type",
                "Content-Length",
                "User-Agent",
                "MCP-Protocol-Version",
                "Mcp-Method",
                "Mcp-Name",
            }
        sent = upstream.of("tools/call")[0]
        assert sent.headers["Accept-Encoding"] == "identity"
        assert sent.headers["Accept"] == "application/json, text/event-stream"
        assert sent.headers["Mcp-Method"] == "tools/call"
        assert sent.headers["Mcp-Name"] == "echo"
        assert sent.body["params"]["arguments"] == {"text": "hi"}
        meta = sent.body["params"]["_meta"]
        assert meta["progressToken"] == sent.body["id"]
        assert meta["io.modelcontextprotocol/protocolVersion"] == MODERN


async def test_mirrored_arguments_are_rebuilt_from_value_and_schema(bench: Bench) -> None:
    schema: JsonObject = {
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "gone": {"type": "string", "x-mcp-header": "Gone"},
        }
    }
    async with serve(modern(ok)) as upstream:
        await bench.send(
            connector(upstream.url),
            name="ünïcode",
            arguments={"region": "süd"},
            stored=tool(schema=schema),
        )
        headers = {name.lower(): value for name, value in upstream.seen[-1].headers.items()}
        assert headers["mcp-param-region"] == "=?base64?c8O8ZA==?="
        assert "mcp-param-gone" not in headers
        assert headers["mcp-name"].startswith("=?base64?")


async def test_a_credential_is_written_to_its_own_destination(bench: Bench) -> None:
    async with serve(modern(ok)) as upstream:
        to = connector(upstream.url, credential=STATIC)
        assert isinstance(await bench.send(to, bound(to)), Answer)
        for seen in upstream.seen:
            headers = {name.lower(): value for name, value in seen.headers.items()}
            assert headers["authorization"] == "Bearer token-1"


@pytest.mark.parametrize("change", ["origin", "port", "placement", "header", "unbound", "value"])
async def test_a_credential_bound_elsewhere_is_never_written(bench: Bench, change: str) -> None:
    async with serve(modern(ok)) as upstream:
        to = connector(upstream.url, credential=STATIC)
        good = bound(to)
        here = good.destination
        assert here is not None
        wrong = {
            "origin": replace(good, destination=replace(here, origin="https://evil.example:443")),
            "port": replace(good, destination=replace(here, origin="http://127.0.0.1:1")),
            "placement": replace(good, destination=Destination(here.origin, "header:x-key")),
            "header": replace(good, header="X-Key"),
            "unbound": replace(good, destination=None),
            "value": replace(good, value=Secret(b"a\r\nX-Evil: 1")),
        }[change]
        failure = await bench.send(to, wrong)
        assert kind(failure) is RefusalKind.RECONNECT
        assert isinstance(failure, Failure)
        assert failure.outcome is OutcomeStatus.NO_CREDENTIALS
        assert upstream.seen == []


@pytest.mark.parametrize(
    ("answer", "refusal", "outcome"),
    [
        (status(401), RefusalKind.RECONNECT, OutcomeStatus.NO_CREDENTIALS),
        (status(403), RefusalKind.UNREACHABLE, OutcomeStatus.UPSTREAM_ERROR),
        (status(429), RefusalKind.UPSTREAM_RATE, OutcomeStatus.UPSTREAM_ERROR),
        (status(500), RefusalKind.UNREACHABLE, OutcomeStatus.UPSTREAM_ERROR),
        (status(202), RefusalKind.INVALID_ANSWER, OutcomeStatus.UPSTREAM_ERROR),
        (status(200), RefusalKind.INVALID_ANSWER, OutcomeStatus.UPSTREAM_ERROR),
        (
            status(302, Location="http://169.254.169.254/"),
            RefusalKind.INVALID_ANSWER,
            OutcomeStatus.UPSTREAM_ERROR,
        ),
        (
            status(200, Content_Encoding="gzip"),
            RefusalKind.INVALID_ANSWER,
            OutcomeStatus.UPSTREAM_ERROR,
        ),
    ],
)
async def test_a_status_becomes_its_failure(
    bench: Bench, answer: Handler, refusal: RefusalKind, outcome: OutcomeStatus
) -> None:
    async with serve(modern(answer)) as upstream:
        failure = await bench.send(connector(upstream.url))
        assert kind(failure) is refusal
        assert isinstance(failure, Failure)
        assert failure.outcome is outcome
        assert failure.refusal.values["service"] == "demo"
        assert "canary" not in str(failure)
        assert len(upstream.of("tools/call")) == 1


async def test_missing_scopes_are_named_from_the_challenge(bench: Bench) -> None:
    challenge = 'Bearer error="insufficient_scope", scope="repo read:org", realm="x"'
    async with serve(modern(status(403, WWW_Authenticate=challenge))) as upstream:
        failure = await bench.send(connector(upstream.url))
        assert kind(failure) is RefusalKind.SCOPES
        assert isinstance(failure, Failure)
        assert failure.refusal.values["scopes"] == "repo, read:org"


# --- answers ---


@pytest.mark.parametrize("make", [modern, legacy])
async def test_a_json_rpc_error_passes_as_it_was_sent(
    bench: Bench, make: Callable[[Handler], Script]
) -> None:
    async def fails(seen: Seen, _: web.Request) -> web.StreamResponse:
        return rpc(seen, code=-32602, message="Unknown tool", data={"x": [1]})

    async with serve(make(fails)) as upstream:
        answer = await bench.send(connector(upstream.url))
        assert isinstance(answer, Answer)
        assert answer.result is None
        assert answer.error == {"code": -32602, "message": "Unknown tool", "data": {"x": [1]}}


BODIES = [
    b'{"jsonrpc":"2.0","id":99999,"result":{}}',
    b'{"jsonrpc":"2.0","id":"{id}","result":{}}',
    b'{"jsonrpc":"2.0","result":{}}',
    b'{"jsonrpc":"2.0","id":null,"result":{}}',
    b'{"jsonrpc":"2.0","id":true,"result":{}}',
    b'{"jsonrpc":"2.0","id":{id}}',
    b'{"jsonrpc":"2.0","id":{id},"result":{},"error":{"code":1,"message":"x"}}',
    b'{"jsonrpc":"2.0","id":{id},"result":{},"method":"x"}',
    b'{"jsonrpc":"2.0","id":{id},"result":[]}',
    b'{"jsonrpc":"2.0","id":{id},"result":null}',
    b'{"jsonrpc":"2.0","id":{id},"error":{"code":"x","message":"x"}}',
    b'{"jsonrpc":"1.0","id":{id},"result":{}}',
    b'[{"jsonrpc":"2.0","id":{id},"result":{}}]',
    b'{"jsonrpc":"2.0","id":{id},"result":{"x":"\xff"}}',
    b'{"jsonrpc":"2.0","id":{id},"result":{"x":NaN}}',
    b'{"jsonrpc":"2.0","id":{id},"result":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"jsonrpc":"2.0","id":{id},"result":',
    b'{"jsonrpc":"2.0","id":{id},"result":{"resultType":"input_required"}}',
    b'{"jsonrpc":"2.0","id":{id},"result":{"resultType":"task"}}',
    b"",
    b"null",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_an_answer_that_breaks_the_protocol_is_invalid(bench: Bench, body: bytes) -> None:
    async def answer(seen: Seen, _: web.Request) -> web.StreamResponse:
        text = body.replace(b"{id}", str(seen.body["id"]).encode())
        return web.Response(body=text, content_type="application/json")

    async with serve(modern(answer)) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is RefusalKind.INVALID_ANSWER
        assert len(upstream.of("tools/call")) == 1


async def test_an_answer_that_comes_twice_is_invalid(bench: Bench) -> None:
    async with serve(modern(streams(ANSWER + ANSWER))) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is RefusalKind.INVALID_ANSWER


async def test_a_batch_is_read_from_a_2025_03_26_upstream_only(bench: Bench) -> None:
    async def batched(seen: Seen, _: web.Request) -> web.StreamResponse:
        answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": CONTENT}
        notice = {"jsonrpc": "2.0", "method": "notifications/x"}
        return web.json_response([notice, answer])

    async with serve(legacy(batched, version="2025-03-26")) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
        assert "MCP-Protocol-Version" not in upstream.of("tools/call")[0].headers
    async with serve(legacy(batched)) as upstream:
        assert kind(await bench.send(connector(upstream.url))) is RefusalKind.INVALID_ANSWER


async def test_a_foreign_answer_on_a_stream_is_dropped_and_ours_still_read(bench: Bench) -> None:
    foreign = event('{"jsonrpc":"2.0","id":12345,"result":{"stolen":1}}')
    garbage = event("not json")
    async with serve(modern(streams(foreign, garbage, ANSWER))) as upstream:
        answer = await bench.send(connector(upstream.url))
        assert isinstance(answer, Answer)
        assert answer.result == {"content": []}


async def test_progress_and_logs_reach_the_front_and_foreign_tokens_do_not(bench: Bench) -> None:
    own = (
        '{"jsonrpc":"2.0","method":"notifications/progress",'
        '"params":{"progressToken":{id},"progress":1}}'
    )
    foreign = own.replace("{id}", "12345")
    text = own.replace("{id}", '"{id}"')
    log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}'
    named = log.replace('"level"', '"logger":"db","level"')
    events = [event(each) for each in (own, foreign, text, log, named)]
    async with serve(modern(streams(*events, ANSWER))) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
    assert bench.front.progressed == [{"progress": 1}]
    loggers = [params["logger"] for params in bench.front.logged]
    assert loggers == ["demo", "demo/db"]


async def test_a_connector_without_relay_swallows_progress_and_logs(bench: Bench) -> None:
    own = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{id}}}'
    log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}'
    async with serve(modern(streams(event(own), event(log), ANSWER))) as upstream:
        await bench.send(connector(upstream.url, "relay = []"), log_level="debug")
        assert "logLevel" not in str(upstream.of("tools/call")[0].body)
    assert bench.front.progressed == bench.front.logged == []


async def test_a_notification_flood_is_cut(bench: Bench) -> None:
    own = (
        '{"jsonrpc":"2.0","method":"notifications/progress",'
        '"params":{"progressToken":{id},"progress":1}}'
    )
    async with serve(modern(streams(event(own) * 20_000, ANSWER))) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
    assert 100 <= len(bench.front.progressed) <= 1000


@pytest.mark.parametrize(
    ("method", "member"), [("ping", "result"), ("sampling/createMessage", "error")]
)
async def test_a_request_of_a_legacy_upstream_is_answered_with_what_was_declared(
    bench: Bench, method: str, member: str
) -> None:
    asked = event(f'{{"jsonrpc":"2.0","id":"q1","method":"{method}","params":{{}}}}')

    async def asking(seen: Seen, request: web.Request) -> web.StreamResponse:
        if "method" not in seen.body:
            return web.Response(status=202)
        return await streams(asked, ANSWER)(seen, request)

    async with serve(legacy(asking)) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
        await bench.tasks.settle()
        replies = [seen.body for seen in upstream.seen if seen.body and "method" not in seen.body]
        assert [(reply["id"], member in reply) for reply in replies] == [("q1", True)]


async def test_a_request_of_a_modern_upstream_is_dropped(bench: Bench) -> None:
    asked = event('{"jsonrpc":"2.0","id":"q1","method":"ping"}')
    async with serve(modern(streams(asked, ANSWER))) as upstream:
        assert isinstance(await bench.send(connector(upstream.url)), Answer)
        await bench.tasks.settle()
        assert [seen.rpc for seen in upstream.seen] == ["server/discover", "tools/call"]


# --- caps and deadlines (4.5, 4.7) ---

SMALL = "limits = { timeout_s = 1, max_result_bytes = 2048 }"


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_result_over_its_cap_is_refused_and_the_cap_named(
    bench: Bench, *, is_stream: bool
) -> None:
    async def large(seen: Seen, request: web.Request) -> web.StreamResponse:
        body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": {"x": "y" * 5000}}
        if is_stream:
            return await streams(event(msgspec.json.encode(body).decode()))(seen, request)
        return web.json_response(body)

    async with serve(modern(large)) as upstream:
        failure = await bench.send(connector(upstream.url, SMALL))
        assert kind(failure) is RefusalKind.INVALID_ANSWER
        assert isinstance(failure, Failure)
        assert failure.cap == "max_result_bytes"


async def test_an_endless_stream_ends_at_the_cap_of_an_exchange(bench: Bench) -> None:
    async def endless(_: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b": " + b"c" * 60_000 + b"\n\n")
        except ConnectionError:
            return response

    async with serve(modern(endless)) as upstream:
        failure = await bench.send(connector(upstream.url))
        assert isinstance(failure, Failure)
        assert failure.cap == "exchange_bytes"


async def test_hanging_before_during_and_after_the_head_times_out(bench: Bench) -> None:
    async def before(_: Seen, __: web.Request) -> web.StreamResponse:
        await asyncio.get_running_loop().create_future()
        return web.Response()

    async def within_body(_: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"jsonrpc"')
        await asyncio.get_running_loop().create_future()
        return response

    async def hang(answer: Handler) -> None:
        made = Bench()
        async with serve(modern(answer)) as upstream:
            failure = await made.send(connector(upstream.url, SMALL))
            assert kind(failure) is RefusalKind.UPSTREAM_TIMEOUT
            assert isinstance(failure, Failure)
            assert failure.outcome is OutcomeStatus.TIMEOUT
            assert failure.refusal.values == {"service": "demo", "seconds": "1"}
            assert failure.upstream_ms >= 900
        await made.client.close()

    comments = streams(b": ping\n\n", event("half")[:9], ends=False)
    await asyncio.gather(hang(before), hang(within_body), hang(comments))


async def test_a_time_out_tells_a_legacy_upstream_which_request_is_cancelled(bench: Bench) -> None:
    async with serve(legacy(streams(b": x\n\n", ends=False))) as upstream:
        failure = await bench.send(connector(upstream.url, SMALL))
        assert kind(failure) is RefusalKind.UPSTREAM_TIMEOUT
        await bench.tasks.settle()
        cancelled = upstream.of("notifications/cancelled")
        sent = upstream.of("tools/call")[0]
        assert [each.body["params"]["requestId"] for each in cancelled] == [sent.body["id"]]


async def test_progress_restarts_the_deadline(bench: Bench) -> None:
    own = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%d}}'

    async def slow(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(3):
            await asyncio.sleep(0.5)
            await response.write(event(own % seen.body["id"]))
        await response.write(ANSWER.replace(b"{id}", str(seen.body["id"]).encode()))
        return response

    async with serve(modern(slow)) as upstream:
        assert isinstance(await bench.send(connector(upstream.url, SMALL)), Answer)


@pytest.mark.parametrize("make", [modern, legacy])
async def test_cancelling_a_call_closes_the_stream_and_tells_a_legacy_upstream(
    bench: Bench, make: Callable[[Handler], Script]
) -> None:
    started, closed = asyncio.Event(), asyncio.Event()

    async def hanging(_: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        started.set()
        try:
            while True:
                await response.write(b": ping\n\n")
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            closed.set()
            raise

    async with serve(make(hanging)) as upstream:
        running = asyncio.get_running_loop().create_task(bench.send(connector(upstream.url)))
        await asyncio.wait_for(started.wait(), 5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(closed.wait(), 5)
        await bench.tasks.settle()
        assert len(upstream.of("notifications/cancelled")) == (1 if make is legacy else 0)


async def test_who_cancels_during_the_handshake_does_not_strand_the_others(bench: Bench) -> None:
    gate = asyncio.Event()

    async def slow(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc == "server/discover":
            await gate.wait()
        return await modern(ok)(seen, request)

    async with serve(slow) as upstream:
        to = connector(upstream.url)
        first = asyncio.get_running_loop().create_task(bench.send(to))
        second = asyncio.get_running_loop().create_task(bench.send(to))
        await eventually(lambda: bool(upstream.seen))
        first.cancel()
        gate.set()
        assert isinstance(await asyncio.wait_for(second, 5), Answer)
        assert len(upstream.of("tools/call")) == 1


async def test_a_member_has_16_calls_in_flight_and_the_next_is_turned_away(bench: Bench) -> None:
    gate = asyncio.Event()
    busy = 0

    async def waits(seen: Seen, _: web.Request) -> web.StreamResponse:
        nonlocal busy
        busy += 1
        await gate.wait()
        return rpc(seen, CONTENT)

    async with serve(modern(waits)) as upstream:
        to = connector(upstream.url)
        running = [asyncio.get_running_loop().create_task(bench.send(to)) for _ in range(16)]
        await eventually(lambda: busy == 16)
        failure = await bench.send(to)
        assert kind(failure) is RefusalKind.UNREACHABLE
        assert isinstance(failure, Failure)
        assert failure.cap == "in_flight"
        other = asyncio.get_running_loop().create_task(bench.send(to, member="other"))
        await eventually(lambda: busy == 17)
        gate.set()
        assert all(isinstance(each, Answer) for each in await asyncio.gather(*running, other))


async def test_answers_return_to_who_asked(bench: Bench) -> None:
    async def mirror(seen: Seen, _: web.Request) -> web.StreamResponse:
        nonce = seen.body["params"]["arguments"]["nonce"]
        await asyncio.sleep(nonce % 7 / 1000)
        return rpc(seen, {"nonce": nonce})

    async with serve(modern(mirror)) as upstream:
        to = connector(upstream.url)

        async def ask(nonce: int) -> None:
            member = f"m{nonce % 40}"
            answer = await bench.send(to, arguments={"nonce": nonce}, member=member)
            assert isinstance(answer, Answer)
            assert answer.result == {"nonce": nonce}

        for start in range(0, 400, 200):
            await asyncio.gather(*(ask(nonce) for nonce in range(start, start + 200)))


async def test_a_truncated_answer_is_invalid(bench: Bench) -> None:
    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
        )

    async with serve_raw(half) as url:
        assert kind(await bench.send(connector(url))) is RefusalKind.INVALID_ANSWER
    assert bench.verdicts.rows == {}


# --- listing (3.2) ---


async def test_pages_are_followed_and_a_repeated_cursor_stops(bench: Bench) -> None:
    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc != "tools/list":
            return await modern(ok)(seen, request)
        cursor = seen.body["params"].get("cursor", "0")
        listed = [{"name": f"t{cursor}", "inputSchema": {"type": "object"}}]
        following = str(min(int(cursor) + 1, 3))
        return rpc(seen, {"tools": listed, "nextCursor": following})

    async with serve(script) as upstream:
        assert await bench.list(connector(upstream.url)) == ["t0", "t1", "t2", "t3"]


async def test_5001_tools_are_refused(bench: Bench) -> None:
    many = [{"name": f"t{number}", "inputSchema": {}} for number in range(5001)]
    async with serve(modern(ok, many)) as upstream:
        with pytest.raises(Malformed) as caught:
            await bench.list(connector(upstream.url))
        assert caught.value.cap == "list"


async def test_endless_pages_stop_at_50(bench: Bench) -> None:
    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc != "tools/list":
            return await modern(ok)(seen, request)
        return rpc(seen, {"tools": [], "nextCursor": str(seen.body["id"])})

    async with serve(script) as upstream:
        assert await bench.list(connector(upstream.url)) == []
        assert len(upstream.of("tools/list")) == 50


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, SignInRejected), (500, Unreachable), (429, Unreachable), (302, Malformed)],
)
async def test_a_refused_list_is_a_named_error(
    bench: Bench, code: int, error: type[Exception]
) -> None:
    async with serve(status(code)) as upstream:
        with pytest.raises(error):
            await bench.list(connector(upstream.url))


async def test_a_list_that_takes_too_long_times_out(bench: Bench) -> None:
    async def hangs(_: Seen, __: web.Request) -> web.StreamResponse:
        await asyncio.get_running_loop().create_future()
        return web.Response()

    async with serve(hangs) as upstream:
        with pytest.raises(TimedOut):
            await bench.client.list_tools(
                connector(upstream.url), agent().id, NOTHING, deadline_s=0.1
            )
        for task in list(bench.tasks.running):
            task.cancel()


async def test_a_stdio_connector_is_not_reached_over_http(bench: Bench) -> None:
    over_pipes = replace(connector("http://127.0.0.1:1/"), transport=StdioTransport(("/bin/true",)))
    assert kind(await bench.send(over_pipes)) is RefusalKind.UNREACHABLE


async def test_forgetting_a_member_drops_its_session_only(bench: Bench) -> None:
    async with serve(legacy(ok)) as upstream:
        to = connector(upstream.url)
        await bench.send(to, member="m1")
        await bench.send(to, member="m2")
        bench.client.forget(agent().id, call(member="m1").caller.member.id)
        await bench.send(to, member="m1")
        await bench.send(to, member="m2")
        assert len(upstream.of("initialize")) == 3

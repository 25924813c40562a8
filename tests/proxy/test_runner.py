"""What only the runner can get wrong: bugs behind a handshake, timers of others, seats."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import web
from typing_extensions import override

from tests.support.fronts import eventually
from tests.support.upstreams import (
    NOTHING,
    MemoryVerdicts,
    RecordingFront,
    Seen,
    SystemClock,
    Tasks,
    call,
    connector,
    serve,
)
from wicketd.domain.calls import Answer, Failure, RefusalKind
from wicketd.domain.json import JsonObject
from wicketd.net.client import GuardedClient
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.eras import ServicePlace, Verdict


class BrokenVerdicts(MemoryVerdicts):
    """A store whose database is gone."""

    @override
    async def load(self, place: ServicePlace) -> Verdict | None:
        raise RuntimeError("database is gone")


async def answers(seen: Seen, _: web.Request) -> web.StreamResponse:
    result = {"supportedVersions": ["2026-07-28"]}
    return web.json_response({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})


async def test_a_bug_behind_the_handshake_strands_nobody() -> None:
    tasks = Tasks()
    client = UpstreamClient(GuardedClient(), BrokenVerdicts(), SystemClock(), tasks)
    async with serve(answers) as upstream:
        sending = client.send(call(), NOTHING, RecordingFront(), connector(upstream.url), None)
        outcome = await asyncio.wait_for(sending, 5)
        assert isinstance(outcome, Failure)
        assert upstream.seen == []
    assert [str(error) for error in tasks.errors] == ["database is gone"]
    await client.close()


async def test_seats_are_given_back_after_every_ending() -> None:
    """More failures, time-outs and cancellations than there are seats, then a good call."""
    mood = "fail"

    async def moody(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc == "tools/call" and mood == "fail":
            return web.Response(status=500)
        if seen.rpc == "tools/call" and mood == "hang":
            await asyncio.get_running_loop().create_future()
        return await answers(seen, request)

    tasks = Tasks()
    client = UpstreamClient(GuardedClient(), MemoryVerdicts(), SystemClock(), tasks)
    async with serve(moody) as upstream:
        to = connector(upstream.url)
        for _ in range(20):
            failure = await client.send(call(), NOTHING, RecordingFront(), to, None)
            assert isinstance(failure, Failure)
            assert failure.refusal.kind is RefusalKind.UNREACHABLE
        mood = "hang"
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.send(call(), NOTHING, RecordingFront(), to, None)
        mood = "well"
        assert isinstance(await client.send(call(), NOTHING, RecordingFront(), to, None), Answer)
    await tasks.settle()
    await client.close()


EVERYTHING: JsonObject = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
RELAY = 'relay = ["elicitation.form", "elicitation.url", "sampling", "roots"]'
FORM: JsonObject = {"message": "Who?", "requestedSchema": {"type": "object"}}


class Asking:
    """A legacy server that asks during each call, and answers it once it has the reply."""

    def __init__(self, method: str, params: JsonObject, *afterwards: JsonObject) -> None:
        self.asked = {"jsonrpc": "2.0", "id": "q1", "method": method, "params": params}
        self.afterwards = afterwards
        self.has_asked = asyncio.Event()
        self.replied = asyncio.get_running_loop().create_future()
        self.declared: list[JsonObject] = []
        self.levels: list[str] = []

    async def __call__(self, seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.headers.get("MCP-Protocol-Version") == "2026-07-28":
            return web.Response(status=400)
        if seen.rpc == "initialize":
            self.declared.append(seen.body["params"]["capabilities"])
            offers: JsonObject = {"protocolVersion": "2025-11-25", "capabilities": {"logging": {}}}
            return self._answer(seen, offers)
        if seen.rpc == "logging/setLevel":
            self.levels.append(seen.body["params"]["level"])
            return self._answer(seen, {})
        if seen.rpc == "tools/call":
            return await self._ask(seen, request)
        if seen.rpc is None:
            self.replied.set_result(seen.body)
        return web.Response(status=202)

    def _answer(self, seen: Seen, result: JsonObject) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    async def _ask(self, seen: Seen, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: " + msgspec.json.encode(self.asked) + b"\n\n")
        for message in self.afterwards:
            await self.has_asked.wait()
            await stream.write(b"data: " + msgspec.json.encode(message) + b"\n\n")
        reply = await self.replied
        result = {"jsonrpc": "2.0", "id": seen.body["id"], "result": {"reply": reply}}
        await stream.write(b"data: " + msgspec.json.encode(result) + b"\n\n")
        return stream


@dataclass
class Bench:
    """A client and the front of its calls."""

    tasks: Tasks = field(default_factory=Tasks)
    front: RecordingFront = field(default_factory=RecordingFront)

    def __post_init__(self) -> None:
        self.client = UpstreamClient(GuardedClient(), MemoryVerdicts(), SystemClock(), self.tasks)

    async def send(self, url: str, capabilities: JsonObject, extra: str = RELAY) -> Any:
        """One call; what the upstream says it was told."""
        asked = call(capabilities=capabilities, log_level="info")
        answer = await self.client.send(asked, NOTHING, self.front, connector(url, extra), None)
        assert isinstance(answer, Answer), answer
        return answer.result


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.tasks.settle()
    await made.client.close()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("roots/list", {}),
        ("sampling/createMessage", {"messages": [], "maxTokens": 1}),
        ("elicitation/create", FORM),
        ("elicitation/create", {"mode": "url", "url": "https://a.example/x", "message": "Go"}),
    ],
)
async def test_a_declared_question_reaches_the_calls_client_and_its_reply_the_server(
    bench: Bench, method: str, params: JsonObject
) -> None:
    server = Asking(method, {**params, "_meta": {"x": 1}, "task": {}})
    async with serve(server) as upstream:
        result = await bench.send(upstream.url, EVERYTHING)
    assert bench.front.asked == [{"method": method, "params": params}]
    assert result["reply"] == {"jsonrpc": "2.0", "id": "q1", "result": {"action": "accept"}}
    assert server.declared == [EVERYTHING]


@pytest.mark.parametrize(
    ("capabilities", "relay", "method", "params"),
    [
        ({}, RELAY, "roots/list", {}),
        (EVERYTHING, "relay = []", "roots/list", {}),
        (EVERYTHING, "", "sampling/createMessage", {"messages": [], "maxTokens": 1}),
        (EVERYTHING, RELAY, "sampling/createMessage", {"messages": [], "tools": []}),
        (EVERYTHING, RELAY, "elicitation/create", {"mode": "url", "url": "http://a.example/x"}),
        (EVERYTHING, RELAY, "tasks/list", {}),
    ],
)
async def test_what_was_not_declared_reaches_no_client(
    bench: Bench, capabilities: JsonObject, relay: str, method: str, params: JsonObject
) -> None:
    async with serve(Asking(method, params)) as upstream:
        result = await bench.send(upstream.url, capabilities, relay)
    assert bench.front.asked == []
    assert result["reply"]["error"]["code"] == -32601


async def test_a_question_that_the_server_takes_back_is_taken_back_from_the_client(
    bench: Bench,
) -> None:
    withdrawn: JsonObject = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": "q1"},
    }
    server = Asking("elicitation/create", FORM, withdrawn)
    bench.front.thinks = server.has_asked
    async with serve(server) as upstream:
        sending = asyncio.ensure_future(bench.send(upstream.url, EVERYTHING))
        await asyncio.wait_for(bench.front.withdrawn.wait(), 5)
        server.replied.set_result("nothing")
        assert await sending == {"reply": "nothing"}


async def test_clients_that_declare_otherwise_have_sessions_of_their_own(bench: Bench) -> None:
    server = Asking("ping", {})
    async with serve(server) as upstream:
        declarations: list[JsonObject] = [EVERYTHING, {}, {"roots": {}}, EVERYTHING]
        for capabilities in declarations:
            server.replied = asyncio.get_running_loop().create_future()
            await bench.send(upstream.url, capabilities)
    assert server.declared == [EVERYTHING, {}, {"roots": {}}]


async def test_a_server_that_logs_is_told_the_level_once_a_session(bench: Bench) -> None:
    server = Asking("ping", {})
    async with serve(server) as upstream:
        for _ in range(2):
            server.replied = asyncio.get_running_loop().create_future()
            await bench.send(upstream.url, EVERYTHING, 'relay = ["logging"]')
    assert server.levels == ["info"]


@pytest.mark.parametrize(
    ("relay", "sent"),
    [(RELAY, {"inputResponses", "requestState"}), ('relay = ["progress"]', set())],
)
async def test_what_a_client_adds_goes_only_where_questions_may_come_from(
    bench: Bench, relay: str, sent: set[str]
) -> None:
    retry = call(inputs={"k": {}}, upstream_state="s")
    async with serve(answers) as upstream:
        to = connector(upstream.url, relay)
        assert isinstance(await bench.client.send(retry, NOTHING, bench.front, to, None), Answer)
        params = upstream.of("tools/call")[0].body["params"]
    assert params.keys() & {"inputResponses", "requestState"} == sent


async def test_a_channel_takes_no_seat_of_a_call(bench: Bench) -> None:
    gate = asyncio.Event()

    async def waits(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc in {"tools/call", "subscriptions/listen"}:
            await gate.wait()
        return await answers(seen, request)

    async with serve(waits) as upstream:
        to, caller = connector(upstream.url), call().caller
        channel = asyncio.ensure_future(bench.client.listen(caller, to, NOTHING, frozenset()))
        await eventually(lambda: len(upstream.of("subscriptions/listen")) == 1)
        sending = [bench.client.send(call(), NOTHING, bench.front, to, None) for _ in range(16)]
        calls = asyncio.gather(*sending)
        await eventually(lambda: len(upstream.of("tools/call")) == 16)
        gate.set()
        assert all(isinstance(answer, Answer) for answer in await calls)
        await channel

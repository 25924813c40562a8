"""Real upstreams on loopback for tests: scripted HTTP servers, raw TCP ones, and the SDK's own."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvicorn
from aiohttp import web

from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.agents import Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.calls import Call, Caller, Era
from wicketd.domain.catalogue import Connector, Tier, TierSource, Tool
from wicketd.domain.connections import Credential
from wicketd.domain.ids import AgentId, CallId, KeyId, MemberId, PolicyRevision, Revision
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.proxy.eras import ServicePlace, Verdict
from wicketd.vault.secret import Secret


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class Tasks:
    """A Spawn that keeps its tasks and raises what they raised."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()
        self.names: list[str] = []
        self.errors: list[BaseException] = []

    def __call__(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.names.append(name)
        self.running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def settle(self) -> None:
        """Waits for what is running now."""
        while self.running:
            await asyncio.wait(self.running, timeout=5)
        assert self.errors == []


class MemoryVerdicts:
    """A VerdictStore without a database."""

    def __init__(self) -> None:
        self.rows: dict[ServicePlace, Verdict] = {}

    async def load(self, place: ServicePlace) -> Verdict | None:
        return self.rows.get(place)

    async def store(self, place: ServicePlace, verdict: Verdict) -> None:
        self.rows[place] = verdict


class RecordingFront:
    """A Front that keeps what reached it."""

    def __init__(self) -> None:
        self.progressed: list[JsonObject] = []
        self.logged: list[JsonObject] = []
        self.asked: list[JsonObject] = []
        self.completed: list[Json] = []
        self.thinks: asyncio.Event | None = None
        """Set once a question is there, which is then never answered."""
        self.withdrawn = asyncio.Event()

    def started(self, call: Call) -> None:
        pass

    def progress(self, params: JsonObject) -> None:
        self.progressed.append(params)

    def log(self, params: JsonObject) -> None:
        self.logged.append(params)

    def elicited(self, elicitation_id: Json) -> None:
        self.completed.append(elicitation_id)

    async def ask(self, questions: Mapping[str, JsonObject]) -> Mapping[str, JsonObject]:
        """The client accepts everything."""
        self.asked += questions.values()
        if self.thinks is not None:
            self.thinks.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.withdrawn.set()
        return {key: {"result": {"action": "accept"}} for key in questions}


@dataclass
class Seen:
    """A request as an upstream saw it."""

    method: str
    headers: dict[str, str]
    body: Any

    @property
    def rpc(self) -> str | None:
        """The JSON-RPC method."""
        return self.body.get("method") if isinstance(self.body, dict) else None


Script = Callable[[Seen, web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Upstream:
    """A running scripted server."""

    url: str
    port: int
    seen: list[Seen] = field(default_factory=list)

    def of(self, rpc: str) -> list[Seen]:
        """The requests with this JSON-RPC method."""
        return [seen for seen in self.seen if seen.rpc == rpc]


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[Upstream]:
    """Serves `script` on every path of a loopback port."""
    upstream = Upstream("", 0)

    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        seen = Seen(
            request.method, dict(request.headers), msgspec.json.decode(raw) if raw else None
        )
        upstream.seen.append(seen)
        return await script(seen, request)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.port = runner.addresses[0][1]
    upstream.url = f"http://127.0.0.1:{upstream.port}/mcp"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_raw(
    respond: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serves bytes: `respond` is called once a request's head has been read."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await respond(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    finally:
        server.close()


@asynccontextmanager
async def serve_asgi(app: Any, port: int = 0) -> AsyncIterator[str]:
    """Serves an ASGI application by uvicorn and gives its /mcp URL; port 0: a free one."""
    # Without the protocol number asyncio leaves Nagle's algorithm on: 40 ms an answer (measured).
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, ws="none")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # not ours
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await task


def connector(url: str, extra: str = "", credential: str = '{ kind = "none" }') -> Connector:
    """A connector file for an upstream on loopback."""
    text = f"""
key = "demo"
name = "Demo"
credential = {credential}
{extra}
[transport]
kind = "streamable-http"
url = "{url}"
allow_networks = ["127.0.0.0/8", "::1/128"]
insecure_http = true
"""
    return parse_connector(text.encode(), "test")


STATIC = '{ kind = "static", header = "Authorization", format = "Bearer {token}" }'
NOTHING = Credential(None, None, None)


def agent() -> Agent:
    """An active agent."""
    return Agent(
        id=AgentId("018f0000-0000-7000-8000-00000000000a"),
        key="a",
        name="A",
        status=AgentStatus.ACTIVE,
        disabled_reason=None,
        trust=Trust.TRUSTED,
        tz="UTC",
        session_scope=SessionScope.CONVERSATION,
        policy_revision=PolicyRevision(0),
        tags=(),
        created_by="system",
        created_at=0,
        deleted_at=None,
        rev=Revision(1),
    )


def call(name: str = "echo", arguments: JsonObject | None = None, **changes: Any) -> Call:
    """A decided call of one member."""
    values: dict[str, Any] = {
        "id": CallId("018f0000-0000-7000-8000-00000000000c"),
        "caller": Caller(
            agent=agent(),
            member=_member(changes.pop("member", "018f0000-0000-7000-8000-00000000000b")),
            key_id=KeyId("Zx81K1pA"),
            key_row="k",
            secret=Secret(b"\0" * 32),
            ip="127.0.0.1",
            user_agent="canary-agent",
        ),
        "method": "tools/call",
        "service": "demo",
        "name": name,
        "arguments": {"text": "hi"} if arguments is None else arguments,
        "era": Era.LEGACY,
        "protocol_version": "2025-11-25",
        "front_id": 7,
        "at_ms": 0,
        "sessions": (),
    }
    return Call(**{**values, **changes})


def _member(member_id: str) -> Member:
    fields = dict.fromkeys(Member.__slots__)
    return Member(**{**fields, "id": MemberId(member_id)})  # type: ignore[arg-type]  # only the id is read


def tool(name: str = "echo", schema: JsonObject | None = None) -> Tool:
    """A stored tool."""
    definition: JsonObject = {"name": name, "inputSchema": schema or {"type": "object"}}
    digest = str(hash(msgspec.json.encode(definition)))
    return Tool(name, definition, digest, Tier.READ, TierSource.CATALOGUE)

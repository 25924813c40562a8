"""A front over real sockets: listener, ASGI app and desk are ours, the ports are scripted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wicketd.domain.agents import Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    Failure,
    FrontRequest,
    Outcome,
    Refusal,
    RefusalKind,
    Reply,
)
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.connections import Credential
from wicketd.domain.ids import AgentId, KeyId, MemberId, PolicyRevision, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.policies import Decision, Reason
from wicketd.domain.ports import Front
from wicketd.net.hosts import Hosts
from wicketd.proxy.calls import handle_call
from wicketd.proxy.channels import Channels
from wicketd.proxy.door import Deadlines, Door
from wicketd.proxy.front import Desk
from wicketd.proxy.hub import Hub
from wicketd.proxy.listening import Listening
from wicketd.proxy.lists import ListView, digest
from wicketd.proxy.presence import Presences
from wicketd.proxy.responder import Surroundings
from wicketd.proxy.session_table import SessionTable
from wicketd.proxy.subscriptions import Subscriptions
from wicketd.proxy.transport import McpApp, Rest, Rules
from wicketd.server import Listener, Notifier, bind_tcp, serve
from wicketd.vault.secret import Secret

START_MS = 1_767_225_600_000


class FakeClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000

    def pass_s(self, seconds: float) -> None:
        """Moves on."""
        self.at_ms += int(seconds * 1000)


class CountingRandom:
    """Bytes that are all different and the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def bytes(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")


class Tasks:
    """A Spawn that keeps its tasks."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task


def make_caller(member: str = "ana", agent: str = "helper", key_id: str = "") -> Caller:
    """A verified caller; names make ids."""
    of_agent = AgentId(f"agent-{agent}")
    return Caller(
        agent=Agent(
            id=of_agent,
            key=agent,
            name=agent,
            status=AgentStatus.ACTIVE,
            disabled_reason=None,
            trust=Trust.TRUSTED,
            tz="UTC",
            session_scope=SessionScope.CONVERSATION,
            policy_revision=PolicyRevision(1),
            tags=(),
            created_by="admin",
            created_at=0,
            deleted_at=None,
            rev=Revision(1),
        ),
        member=Member(
            id=MemberId(f"member-{member}"),
            agent_id=of_agent,
            account_id=None,
            email=None,
            local_name=member,
            role=Role.MEMBER,
            state=MemberState.APPROVED,
            state_at=0,
            state_by="admin",
            groups=(),
            tags=(),
            created_at=0,
            rev=Revision(1),
        ),
        key_id=KeyId(key_id or f"key-{member}"),
        key_row=f"row-{member}",
        secret=Secret(b"0" * 32),
        ip="127.0.0.1",
        user_agent="test",
    )


def make_tool(name: str, **members: Any) -> JsonObject:
    """A definition as an upstream lists it."""
    return {"name": name, "inputSchema": {"type": "object"}, **members}


async def echo(call: Call, front: Front) -> Answer | Failure:
    """The upstream that answers at once with the arguments."""
    text = msgspec.json.encode(call.arguments).decode()
    return Answer({"content": [{"type": "text", "text": text}]}, None, 200, 1, len(text))


def _allow() -> Decision:
    return Decision(
        allow=True,
        reason=Reason.PERMITTED,
        determining=(),
        deny_messages=(),
        errors=(),
        shadow=None,
        request=None,
        revision=PolicyRevision(1),
        set_sha256=b"",
        schema_sha256=b"",
        eval_us=1,
    )


@dataclass
class ScriptedPorts:
    """Ports that let everybody with a known bearer in and answer by `upstream`."""

    upstream: Callable[[Call, Front], Awaitable[Answer | Failure]] = echo
    callers: dict[str, Caller] = field(
        default_factory=lambda: {"ana": make_caller("ana"), "bob": make_caller("bob")}
    )
    requests: list[FrontRequest] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    async def identify(self, request: FrontRequest) -> Caller | Refusal:
        self.requests.append(request)
        values = request.values(b"authorization")
        if not values:
            return Refusal(RefusalKind.NO_BEARER)
        caller = self.callers.get(values[0].decode().removeprefix("Bearer "))
        return caller or Refusal(RefusalKind.BAD_KEY)

    def standing(self, caller: Caller) -> Refusal | None:
        return None

    def leave(self, caller: Caller) -> None:
        pass

    async def take_token(self, caller: Caller) -> Refusal | None:
        return None

    def new_call_id(self) -> str:
        return f"01890000-0000-7000-8000-{len(self.calls):012x}"

    def now_ms(self) -> int:
        return START_MS

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        return refusal

    def mirrored_schema(self, call: Call) -> JsonObject | None:
        return None

    def open_state(self, caller: Caller, sealed: bytes) -> bytes | None:
        return sealed

    def seal_state(self, caller: Caller, content: bytes) -> bytes:
        return content

    def decide(self, call: Call) -> Decision | Refusal:
        return _allow()

    async def store_intent(self, call: Call, decision: Decision) -> Call | Refusal:
        self.calls.append(call)
        return call

    async def credentials(self, call: Call) -> Credential | Failure:
        return Credential(None, None, None)

    async def send(self, call: Call, credential: Credential, front: Front) -> Answer | Failure:
        return await self.upstream(call, front)

    async def pause(self, seconds: float) -> None:
        pass

    async def store_outcome(self, call: Call, outcome: Outcome) -> Refusal | None:
        self.outcomes.append(outcome)
        return None


class ScriptedLists:
    """A list port whose view tests change."""

    def __init__(self, *tools: JsonObject) -> None:
        self.view = ListView(list(tools), [])

    async def list_tools(self, caller: Caller) -> ListView:
        return self.view

    async def list_others(self, caller: Caller, listing: Listing) -> ListView:
        return ListView([], [])

    async def digest(self, caller: Caller, listing: Listing) -> str:
        """What the hub compares."""
        return digest(self.view)


@dataclass
class FrontHouse:
    """The running front and what a test needs to steer it."""

    port: int
    app: McpApp
    ports: ScriptedPorts
    lists: ScriptedLists
    sessions: SessionTable
    presences: Presences
    hub: Hub
    clock: FakeClock
    stop: asyncio.Event

    @property
    def url(self) -> str:
        """Of the endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"


def make_desk(lists: ScriptedLists, clock: FakeClock, tasks: Tasks) -> tuple[Desk, Hub, Presences]:
    """A desk with its neighbours; needs a running loop."""
    hub = Hub(
        lists.digest,
        timers=asyncio.get_running_loop(),
        spawn=tasks,
        clock=clock,
        random=CountingRandom(),
    )
    presences = Presences()
    sessions = SessionTable(clock, CountingRandom())
    allowed = Subscriptions(lambda _: _allow(), clock, lambda _: None)
    channels = Channels(_silent, lambda _: (), spawn=tasks, clock=clock, random=CountingRandom())
    listening = Listening(presences, hub, allowed, channels)
    return Desk(lists, sessions=sessions, listening=listening), hub, presences


async def _silent(caller: Caller, connector: Connector) -> bool:
    """No upstream has news."""
    return False


async def always_good() -> bool:
    """A probe."""
    return True


@asynccontextmanager
async def serving(listeners: Sequence[Listener]) -> AsyncIterator[asyncio.Event]:
    """Serves until the block ends; gives the event that stops it earlier."""
    stop = asyncio.Event()

    async def drain() -> None:
        for listener in listeners:
            if isinstance(listener.app, McpApp):
                await listener.app.drain()

    running = asyncio.get_running_loop().create_task(
        serve(listeners, probe=always_good, drain=drain, notifier=Notifier({}), stop=stop)
    )
    try:
        yield stop
    finally:
        stop.set()
        await running


@asynccontextmanager
async def running_front(
    ports: ScriptedPorts | None = None,
    *tools: JsonObject,
    deadlines: Deadlines | None = None,
    commit_after_s: float = 15.0,
    body_s: float = 10.0,
    status: Callable[[], str] = lambda: "ok",
    rest: Rest | None = None,
) -> AsyncIterator[FrontHouse]:
    """A front on a free port."""
    ports = ports or ScriptedPorts()
    lists, clock, tasks = ScriptedLists(*tools), FakeClock(), Tasks()
    desk, hub, presences = make_desk(lists, clock, tasks)

    def handle(request: FrontRequest, visitor: Front) -> Coroutine[Any, Any, Reply]:
        return handle_call(request, ports, desk, visitor)

    app = McpApp(
        handle,
        Rules(Hosts("http://wicket.example", is_loopback=True), body_s=body_s),
        status,
        around=Surroundings(
            presences, clock, tasks, commit_after_s=commit_after_s, watch_after_s=0.01
        ),
        rest=rest,
    )
    listening = bind_tcp("127.0.0.1", 0)
    port = listening.getsockname()[1]
    door = Door(deadlines=deadlines or Deadlines())
    async with serving([Listener(app, [listening], door)]) as stop:
        await until_connectable(port)
        sessions = desk._sessions
        yield FrontHouse(port, app, ports, lists, sessions, presences, hub, clock, stop)
    for task in list(tasks.running):
        task.cancel()


async def until_connectable(port: int, within_s: float = 5) -> None:
    """Waits for the listener."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.002)


@dataclass(frozen=True)
class Got:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class Http:
    """One raw connection; what it sends is exactly what a test wrote."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(
        self,
        method: str = "POST",
        path: str = "/mcp",
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        key: str | None = "ana",
    ) -> None:
        """Writes one request; a body that is not bytes is encoded as JSON."""
        data = (
            body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        )
        fields = {"Host": "127.0.0.1", "Accept": "application/json, text/event-stream"}
        if key is not None:
            fields["Authorization"] = f"Bearer {key}"
        if method == "POST":
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        fields |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Reads status and headers."""
        async with asyncio.timeout(5):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.split(": ", 1) for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> Got:
        """Reads one whole answer."""
        status, headers = await self.head()
        if "content-length" in headers:
            async with asyncio.timeout(5):
                body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = b"".join([chunk async for chunk in self.chunks()])
        return Got(status, headers, body)

    async def chunk(self) -> bytes | None:
        """One chunk of a stream; None at its end."""
        async with asyncio.timeout(5):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
        return data[:-2] if size else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks until the end of the stream."""
        while (chunk := await self.chunk()) is not None:
            yield chunk

    async def ask(self, *args: Any, **kwargs: Any) -> Got:
        """Sends and reads."""
        await self.send(*args, **kwargs)
        return await self.answer()

    async def closed(self, within_s: float = 5) -> bytes:
        """What still comes until the server closes."""
        async with asyncio.timeout(within_s):
            return await self.reader.read(-1)

    def hang_up(self) -> None:
        """Closes at once."""
        self.writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Http]:
    """A connection to loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Http(reader, writer)
    finally:
        writer.close()


async def eventually(holds: Callable[[], bool], within_s: float = 5) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.002)


def rpc(method: str, request_id: int | str | None = 1, **params: Any) -> JsonObject:
    """A request, or without id a notification."""
    message: JsonObject = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        message["id"] = request_id
    return message


MODERN = "2026-07-28"


def modern(method: str, request_id: int | str = 1, **params: Any) -> JsonObject:
    """A modern request with its `_meta`."""
    meta: JsonObject = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        **params.pop("_meta", {}),
    }
    return rpc(method, request_id, _meta=meta, **params)


def modern_headers(method: str, name: str | None = None) -> dict[str, str]:
    """The headers that mirror it."""
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    return headers | ({"Mcp-Name": name} if name is not None else {})


def initialize(version: str = "2025-11-25") -> JsonObject:
    """The first message of a legacy client."""
    info = {"name": "test", "version": "1"}
    return rpc("initialize", 0, protocolVersion=version, capabilities={}, clientInfo=info)


async def legacy_session(
    http: Http, version: str = "2025-11-25", key: str = "ana"
) -> dict[str, str]:
    """Opens a session and gives the headers of its requests."""
    got = await http.ask(body=initialize(version), key=key)
    assert got.status == 200, got
    return {"Mcp-Session-Id": got.headers["mcp-session-id"], "MCP-Protocol-Version": version}

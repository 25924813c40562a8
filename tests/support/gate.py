"""A gate to try: a real daemon, a real upstream behind it, an agent with policies, and its members.

Everything goes over sockets. The administrator is the typed client of the contract, `why` is the
real command; the upstream counts every request it sees.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from typer.testing import CliRunner

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.mcp_client import Answer, McpClient, exchange, read_answer, request
from tests.support.upstreams import Seen, Upstream, serve
from wicket_tui.cli import app
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types.agents import AgentCreate
from wicketd.api.types.audit import AuditEntry, AuditList
from wicketd.api.types.connections import ConnectionSet
from wicketd.api.types.members import MemberAdd, MemberRef
from wicketd.api.types.policies import PolicyCreate
from wicketd.api.types.services import Discover, ServicePut
from wicketd.domain.calls import Era

AGENT: Final = "ops"
TOKEN: Final = "upstream-token-c4n4ry"  # planted to be looked for
BAD_TOKEN: Final = "upstream-token-refused"
DENY_MESSAGE: Final = "Erasing needs a person."
POLICIES: Final = {
    "Work": (
        'permit (principal, action in Wicket::Action::"call_tool", resource)\n'
        '  unless { action == DeskMCP::Action::"secret" };\n'
    ),
    "No erasing": (
        f'@deny_message("{DENY_MESSAGE}")\n'
        'forbid (principal, action == DeskMCP::Action::"erase", resource);\n'
    ),
    "Payments": (
        'forbid (principal, action == DeskMCP::Action::"pay", resource) when {\n'
        '  (context.input has amount && context.input.amount.greaterThan(decimal("100.0")))\n'
        "  || (context.input has count && context.input.count > 1000)\n"
        '  || (context.input has note && context.input.note == "forbidden") };\n'
    ),
    "Stale": (
        'forbid (principal, action == DeskMCP::Action::"stale", resource) when {\n'
        '  context.input has old && context.input.old == "x" };\n'
    ),
}
_STATIC: Final = '{ kind = "static", header = "Authorization", format = "Bearer {token}" }'
_TARGET: Final = (
    'target = [{ entity = "Page", tools = ["page"], id = "{page_id}", pattern = "[a-z]{1,20}" }]'
)
_DECLARED: Final = 'tools = { read = ["echo"] }'
_TEXT: Final = {"type": "string"}


def _tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


def _tools() -> dict[str, dict[str, Any]]:
    tools = [
        _tool("echo", text=_TEXT),
        _tool(
            "pay",
            amount={"type": "number"},
            count={"type": "integer"},
            note=_TEXT,
            extra={},
            weight={"type": "number"},
        ),
        _tool("erase"),
        _tool("secret", amount={"type": "number"}),
        _tool("stale", old=_TEXT),
        _tool("drifts", text=_TEXT),
        _tool("page", page_id=_TEXT),
        _tool("mirrored", region={"type": "string", "x-mcp-header": "Region"}),
        *(_tool(name) for name in ("garbage", "flood", "broken", "refuses", "fails", "redirects")),
        *(_tool(name) for name in ("hang", "scoped", "big", "unwritable", "counts")),
    ]
    return {tool["name"]: tool for tool in tools}


@dataclass
class Desk:
    """The scripted MCP server; a tool's name says how it behaves."""

    tools: dict[str, dict[str, Any]] = field(default_factory=_tools)
    during: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """What happens while a tool runs, by its name."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `hang` was called."""
    hanging: int = 0
    """Calls of `hang` that wait."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets `hang` answer."""

    async def answer(self, seen: Seen, request: web.Request) -> web.StreamResponse:
        """One HTTP answer."""
        bearer = seen.headers.get("Authorization", "")
        if request.path == "/vault" and bearer != f"Bearer {TOKEN}":
            return _echoing(seen, 401)
        if seen.method != "POST" or "id" not in seen.body:
            return web.Response(status=405 if seen.method != "POST" else 202)
        if seen.rpc == "initialize":
            return _reply(seen, _initialized())
        if request.path == "/modern" and seen.rpc == "server/discover":
            return _reply(seen, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
        if seen.rpc == "tools/list":
            return _reply(seen, {"tools": list(self.tools.values())})
        if seen.rpc == "tools/call":
            return await self._call(seen)
        return _fail(seen, -32601, "Method not found")

    async def _call(self, seen: Seen) -> web.StreamResponse:
        name = seen.body["params"]["name"]
        if name in self.during:
            await self.during[name]()
        if name == "hang":
            self.hanging += 1
            self.arrived.set()
            await self.released.wait()
            self.hanging -= 1
        bad: dict[str, Callable[[], web.StreamResponse]] = {
            "garbage": lambda: web.Response(body=b"<html>", content_type="text/html"),
            "flood": lambda: _echoing(seen, 429, **{"Retry-After": "7"}),
            "broken": lambda: _echoing(seen, 500),
            "redirects": lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
            "refuses": lambda: _fail(seen, -32055, "No such\u202e page", {"page": 7}),
            "fails": lambda: _reply(seen, _content("did not work", isError=True)),
            "big": lambda: _reply(seen, _content("x" * 20_000)),
            "scoped": lambda: _echoing(
                seen,
                403,
                **{"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a b"'},
            ),
        }
        make = bad.get(name)
        text = msgspec.json.encode(seen.body["params"].get("arguments", {})).decode()
        return make() if make is not None else _reply(seen, _content(text))


def _reply(seen: Seen, result: Any) -> web.Response:
    return _json({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})


def _echoing(seen: Seen, status: int, **headers: str) -> web.Response:
    """A refusal that says back what it was sent, as careless servers do."""
    bearer = seen.headers.get("Authorization", "")
    request_id = seen.body.get("id") if isinstance(seen.body, dict) else None
    error = {"code": -32001, "message": f"no: {bearer}"}
    answer = _json({"jsonrpc": "2.0", "id": request_id, "error": error})
    answer.set_status(status)
    answer.headers.update({"X-Sent": bearer, **headers})
    return answer


def _fail(seen: Seen, code: int, message: str, data: Any = None) -> web.Response:
    error = {"code": code, "message": message, "data": data}
    return _json({"jsonrpc": "2.0", "id": seen.body["id"], "error": error})


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _content(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def _initialized() -> dict[str, Any]:
    return {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "desk", "version": "1"},
    }


@dataclass
class Gate:
    """The running whole."""

    daemon: RunningDaemon
    upstream: Upstream
    desk: Desk
    admin: AdminClient
    _members: int = 0

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.daemon.port

    @property
    def forwarded(self) -> int:
        """How many HTTP requests the upstream has seen."""
        return len(self.upstream.seen)

    async def member(self, name: str | None = None, *, agent: str = AGENT) -> str:
        """A new local member's key."""
        self._members += 1
        name = name or f"m{self._members}"
        await self.admin.call(endpoints.MEMBER_ADD, MemberAdd(agent=agent, name=name))
        issued = await self.admin.call(endpoints.KEY_ISSUE, MemberRef(agent=agent, member=name))
        return issued.text

    async def connected(self, name: str, token: str = TOKEN, service: str = "vault") -> str:
        """A new local member's key; its token of a service is stored."""
        key = await self.member(name)
        ask = ConnectionSet(agent=AGENT, member=name, service=service, token=token)
        await self.admin.call(endpoints.CONNECTION_SET, ask)
        return key

    async def client(
        self, key: str, era: Era = Era.LEGACY, *, source: str = "127.0.0.1"
    ) -> McpClient:
        """An opened client."""
        return await McpClient(self.port, key, era, source).open()

    async def policy(self, name: str, text: str, *, agent: str = AGENT) -> None:
        """A new enforced policy."""
        ask = PolicyCreate(agent=agent, name=name, text=text)
        await self.admin.call(policy_endpoints.POLICY_CREATE, ask)

    async def discover(self, service: str = "desk") -> None:
        """Lists the server's tools anew."""
        await self.admin.call(endpoints.SERVICE_DISCOVER, Discover(agent=AGENT, service=service))

    async def audit(self, agent: str | None = AGENT, **filters: Any) -> list[AuditEntry]:
        """Entries, newest first."""
        page = await self.admin.call(
            endpoints.AUDIT_LIST, AuditList(agent=agent, limit=500, **filters)
        )
        return list(page.items)

    async def why(self, ref: str) -> Any:
        """What `wicket why REF --json` prints."""
        words = ["why", ref, "--json", "--socket", str(self.daemon.socket)]
        ran = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert ran.exit_code == 0, ran.output
        return msgspec.json.decode(ran.stdout)["result"]

    async def status(self) -> int:
        """The HTTP status of `/api/status`."""
        ask = request(b"", [], method="GET", path="/api/status")
        return (await exchange(self.port, ask)).status

    async def healthy(self) -> None:
        """Waits until the daemon serves again; its probe runs every 5 s."""
        async with asyncio.timeout(15):
            while await self.status() != 200:
                await asyncio.sleep(0.1)

    async def restart(self, while_down: Callable[[], object] = lambda: None) -> None:
        """Stops the daemon as systemd does, and starts it again."""
        assert await asyncio.to_thread(self.daemon.stop) == 0
        while_down()
        await self.daemon.start()

    async def ask_raw(self, request: bytes, *, read_only: bool = False) -> Answer:
        """Sends bytes to an admin socket and reads the one answer; the request asks to close."""
        name = "admin-ro.sock" if read_only else "admin.sock"
        path = self.daemon.socket.with_name(name)
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(request)
            return await read_answer(reader)
        finally:
            writer.close()

    def edit(self, sql: str) -> None:
        """Changes the database behind the daemon's back."""
        connection = sqlite3.connect(self._database, isolation_level=None, timeout=5.0)
        connection.execute(sql)
        connection.close()

    @property
    def _database(self) -> Path:
        return self.daemon.directory / "wicket.db"

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        """No audit row becomes durable meanwhile: another process holds the database's lock."""
        other = sqlite3.connect(self._database, isolation_level=None, timeout=5.0)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
        finally:
            other.close()


def _connector(key: str, url: str, credential: str, more: str = "") -> str:
    return (
        f'key = "{key}"\nname = "{key.title()}"\ncredential = {credential}\n{more}\n'
        f'transport = {{ kind = "streamable-http", url = "{url}",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
    )


@asynccontextmanager
async def open_gate(
    directory: Path, settings: str = "", policies: dict[str, str] | None = None
) -> AsyncIterator[Gate]:
    """The whole; all services but `spare` are enabled on the agent.

    `desk` and `vault` speak a legacy revision, `modern` the newest. `slow` is `desk`
    with a time-out of 1 s and a cap of 16 KiB; nobody answers for `down` any more; the address of
    `barred` is denied.
    """
    desk = Desk()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serve(desk.answer))
        stack.callback(desk.released.set)
        down = await stack.enter_async_context(AsyncExitStack())
        gone = await down.enter_async_context(serve(Desk().answer))
        none = '{ kind = "none" }'
        limits = "limits = { timeout_s = 1, max_result_bytes = 16384 }"
        connectors = {
            "desk": _connector("desk", upstream.url, none, _TARGET),
            "slow": _connector("slow", upstream.url, none, limits),
            "vault": _connector("vault", upstream.url.replace("/mcp", "/vault"), _STATIC),
            "down": _connector("down", gone.url, none),
            "modern": _connector("modern", upstream.url.replace("/mcp", "/modern"), none),
            "barred": _connector("barred", upstream.url, _STATIC, _DECLARED).replace(
                '"127.0.0.0/8"', '"10.9.8.7/32"'
            ),
            "spare": _connector("spare", upstream.url, none),
        }
        daemon = await stack.enter_async_context(
            running_daemon(directory, settings=settings, connectors=connectors)
        )
        admin = await stack.enter_async_context(AdminClient(daemon.socket))
        gate = Gate(daemon, upstream, desk, admin)
        await _set_up(gate, POLICIES if policies is None else policies)
        await down.aclose()
        yield gate


async def _set_up(gate: Gate, policies: dict[str, str]) -> None:
    ask = AgentCreate(key=AGENT, name="Operations")
    await gate.admin.call(endpoints.AGENT_CREATE, ask)
    for service in ("desk", "slow", "vault", "down", "modern", "barred"):
        await gate.admin.call(endpoints.SERVICE_PUT, ServicePut(agent=AGENT, service=service))
    token = Discover(agent=AGENT, service="vault", bearer=TOKEN)
    await gate.admin.call(endpoints.SERVICE_DISCOVER, token)
    for name, text in policies.items():
        await gate.policy(name, text)

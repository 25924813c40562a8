"""The call path wired as `app.py` wires it, in this process: real database, policies, upstream.

The agent `demo` has the service `open` behind a scripted MCP server on loopback, and `notes` behind
the same one under a static credential.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from tests.support.calling import Calling, calling_over, listed
from tests.support.fronts import (
    CountingRandom,
    ScriptedLists,
    Tasks,
    make_desk,
    modern,
    modern_headers,
)
from tests.support.fronts import FakeClock as FrontClock
from tests.support.state import ADMIN, NOTES, OPEN, open_state, tool
from tests.support.upstreams import RecordingFront, Seen, Upstream, serve
from wicketd.domain.calls import FrontRequest, Reply
from wicketd.domain.json import Json, JsonObject
from wicketd.net.client import GuardedClient
from wicketd.proxy.calls import Others, handle_call
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.held import HeldCalls
from wicketd.proxy.member_lists import MemberLists, UpstreamTools
from wicketd.proxy.ports import Ports
from wicketd.proxy.presence import Presences
from wicketd.proxy.verdicts import StoredVerdicts
from wicketd.services.baselines import Allow
from wicketd.services.listing import Listings, Reach


@dataclass
class Server:
    """A legacy MCP server: `answers` gives the result of a tool by its name."""

    answers: dict[str, Callable[[Seen], web.StreamResponse]] = field(default_factory=dict)
    tools: list[JsonObject] = field(default_factory=lambda: list(listed()))

    async def answer(self, seen: Seen, _request: web.Request) -> web.StreamResponse:
        """One HTTP answer."""
        if seen.method != "POST" or "id" not in seen.body:
            return web.Response(status=202 if seen.method == "POST" else 405)
        if seen.rpc == "initialize":
            return said(seen, INITIALIZED)
        if seen.rpc == "tools/list":
            return said(seen, {"tools": list[Json](self.tools)})
        if seen.rpc != "tools/call":
            return web.Response(status=400)
        own = self.answers.get(seen.body["params"]["name"])
        arguments = msgspec.json.encode(seen.body["params"].get("arguments", {})).decode()
        result: JsonObject = {"content": [{"type": "text", "text": arguments}]}
        return own(seen) if own is not None else said(seen, result)


INITIALIZED: JsonObject = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "upstream", "version": "1"},
}


def said(seen: Seen, result: JsonObject) -> web.Response:
    """A JSON-RPC result."""
    answer = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


@dataclass
class Wired:
    """The whole path and what a test needs to steer it."""

    calling: Calling
    server: Server
    upstream: Upstream
    ports: Ports
    others: Others
    front: RecordingFront
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def forwarded(self) -> list[Seen]:
        """The calls that the upstream saw."""
        return self.upstream.of("tools/call")

    async def key(self, member: str = "bob") -> str:
        """A member's key; both are made at the first time."""
        if member not in self.keys:
            await self.calling.state.member("demo", member)
            _, self.keys[member] = await self.calling.state.keys.issue(ADMIN, "demo", member)
        return self.keys[member]

    async def post(self, body: JsonObject, member: str = "bob") -> Reply:
        """One modern request of a member."""
        params = body["params"]
        assert isinstance(params, dict)
        named = params.get("name")
        mirrored = modern_headers(str(body["method"]), str(named) if named else None)
        sent = {
            "authorization": f"Bearer {await self.key(member)}",
            "content-type": "application/json",
            **mirrored,
        }
        headers = tuple((name.lower().encode(), value.encode()) for name, value in sent.items())
        request = FrontRequest("POST", headers, msgspec.json.encode(body), "127.0.0.1")
        return await handle_call(request, self.ports, self.others, self.front)

    async def call(self, name: str = "open__look", member: str = "bob", **arguments: Any) -> Any:
        """The decoded answer to one call."""
        reply = await self.post(modern("tools/call", name=name, arguments=arguments), member)
        return msgspec.json.decode(reply.body)


@asynccontextmanager
async def open_wired(directory: Path, *, portal: str | None = None) -> AsyncIterator[Wired]:
    """The path over a fresh state and a running upstream."""
    server, tasks = Server(), Tasks()
    async with serve(server.answer) as upstream, open_state(directory) as state:
        state.connectors["open"] = behind(OPEN, upstream.url)
        state.connectors["notes"] = behind(NOTES, upstream.url)
        state.upstreams.lists["open"] = listed()
        state.upstreams.lists["notes"] = [tool("search_notes")]
        await state.services.reload(ADMIN)
        await state.agent()
        for key in ("open", "notes"):
            await state.services.enable(ADMIN, "demo", key, allow=Allow.ALL)
        calling = calling_over(state)
        client = UpstreamClient(GuardedClient(), StoredVerdicts(state.db), state.clock, tasks)
        reach = Reach(
            UpstreamTools(client),
            state.connections.unlocker,
            state.services.observe,
            lambda _agent, _service: None,
        )
        lists = MemberLists(
            Listings(state.snapshots, reach, state.clock, tasks),
            lambda _caller, _service: portal,
            name_max=48,
        )
        ports = Ports(
            callers=calling.callers,
            gate=calling.gate,
            snapshots=state.snapshots,
            connections=state.connections,
            upstreams=client,
            lists=lists,
            clock=state.clock,
            ids=state.desk.ids,
            portal=lambda _caller, _service: portal,
            sealer=state.sealer,
            held=HeldCalls(Presences(), tasks, CountingRandom()),
        )
        desk, _, _ = make_desk(ScriptedLists(), FrontClock(), tasks)
        yield Wired(calling, server, upstream, ports, desk, RecordingFront())
        await client.close()
        for task in list(tasks.running):
            task.cancel()


def behind(text: str, url: str) -> str:
    """A connector file whose server is on loopback."""
    lines = [
        f'transport = {{ kind = "streamable-http", url = "{url}",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }'
        if line.startswith("transport")
        else line
        for line in text.split("\n")
    ]
    return "\n".join(lines)

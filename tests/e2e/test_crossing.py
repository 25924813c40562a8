"""Many clients with the same request ids on one daemon: each gets its own answer, and no other.

Both eras before and behind, two members with a token each. The server says back what it was asked,
with which token, late and out of order, as JSON or at the end of a stream.
"""

import asyncio
import os
import random
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.guarded import Housed, connector_file, housed
from tests.support.mcp_client import Answer, McpClient
from tests.support.upstreams import STATIC, Seen, serve
from wicketd.api import endpoints
from wicketd.api.types.connections import ConnectionSet
from wicketd.api.types.services import Discover
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIENTS: Final = 50
MEMBERS: Final = 2
SERVICES: Final = ("legacy", "modern")
CALLS, CALLS_LONG = 400, 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[Housed]:
    seed = int(os.environ.get("WICKET_SEED") or secrets.randbits(32))
    print(f"WICKET_SEED={seed}")
    mirror = Mirror(random.Random(seed))  # noqa: S311  # chance, not secrecy
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with serve(mirror.answer) as upstream:
            connectors = {
                service: connector_file(
                    service, upstream.url.replace("/mcp", f"/{service}")
                ).replace('{ kind = "none" }', STATIC)
                for service in SERVICES
            }
            async with housed(Path(place), connectors, members=MEMBERS) as running:
                await connect(running)
                yield running


async def connect(house: Housed) -> None:
    """Each member's own token of each service."""
    for service in SERVICES:
        found = Discover(agent="home", service=service, bearer="token-admin")
        await house.admin.call(endpoints.SERVICE_DISCOVER, found)
        for member in range(MEMBERS):
            ask = ConnectionSet(
                agent="home", member=f"m{member}", service=service, token=f"token-{member}"
            )
            await house.admin.call(endpoints.CONNECTION_SET, ask)


class Mirror:
    """A server whose one tool says what it was asked by whom."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def answer(self, seen: Seen, request: web.Request) -> web.StreamResponse:
        """One HTTP answer."""
        if seen.method != "POST" or "id" not in seen.body:
            return web.Response(status=405 if seen.method != "POST" else 202)
        match seen.rpc:
            case "server/discover" if request.path == "/modern":
                return _reply(seen, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
            case "initialize":
                info = {"name": "mirror", "version": "1"}
                opened = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info}
                return _reply(seen, opened)
            case "tools/list":
                return _reply(seen, {"tools": [{"name": "say", "inputSchema": {"type": "object"}}]})
            case "tools/call":
                return await self._say(seen, request)
        error = {"code": -32601, "message": "Method not found"}
        return web.json_response({"jsonrpc": "2.0", "id": seen.body["id"], "error": error})

    async def _say(self, seen: Seen, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        said = {"nonce": seen.body["params"]["arguments"]["nonce"]}
        said["bearer"] = seen.headers["Authorization"].removeprefix("Bearer ")
        content = {"content": [{"type": "text", "text": msgspec.json.encode(said).decode()}]}
        if self._chance.random() < 0.5:
            return _reply(seen, content)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        token = seen.body["params"]["_meta"]["progressToken"]
        report = {"progressToken": token, "progress": 1, "message": said["nonce"]}
        for message in (
            {"jsonrpc": "2.0", "method": "notifications/progress", "params": report},
            {"jsonrpc": "2.0", "id": seen.body["id"], "result": _result(content)},
        ):
            await response.write(b"data: " + msgspec.json.encode(message) + b"\n\n")
        return response


def _result(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "resultType": "complete"}


def _reply(seen: Seen, result: dict[str, Any]) -> web.Response:
    body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": _result(result)}
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def ask_all(house: Housed, calls: int) -> None:
    """All clients at once, each counting its ids from one; the first wrong answer fails."""
    fronts = [(number % MEMBERS, list(Era)[number // MEMBERS % 2]) for number in range(CLIENTS)]
    clients = [(member, await house.client(member, era)) for member, era in fronts]
    await asyncio.gather(
        *(ask(member, client, number, calls // CLIENTS)
          for number, (member, client) in enumerate(clients))
    )  # fmt: skip


async def ask(member: int, client: McpClient, number: int, calls: int) -> None:
    for turn in range(calls):
        nonce = f"{number}-{turn}-{secrets.token_hex(4)}"
        params = {"name": f"{SERVICES[turn % 2]}__say", "arguments": {"nonce": nonce}}
        token = {"_meta": {"progressToken": turn}} if client.era is Era.LEGACY else {}
        answer = await client.ask("tools/call", {**params, **token})
        said = msgspec.json.decode(answer.result["content"][0]["text"])
        assert said == {"nonce": nonce, "bearer": f"token-{member}"}
        assert answer.json["id"] == client._last_id
        assert all(one == (turn, nonce) for one in reports(answer))


def reports(answer: Answer) -> list[tuple[int, str]]:
    """Progress on the call's stream: token and message."""
    lines = [line[6:] for line in answer.body.splitlines() if line.startswith(b"data: {")]
    params = [one["params"] for one in map(msgspec.json.decode, lines) if "params" in one]
    return [(one["progressToken"], one["message"]) for one in params]


async def test_fifty_clients_with_the_same_ids_get_their_own_answers(house: Housed) -> None:
    await ask_all(house, CALLS)


@pytest.mark.long
async def test_ten_thousand_calls_with_the_same_ids_get_their_own_answers(house: Housed) -> None:
    await ask_all(house, CALLS_LONG)

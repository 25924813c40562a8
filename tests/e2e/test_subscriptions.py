"""News of servers reach the clients they concern: lists and resources, through a running daemon.

The SDK's client and server. A subscription is decided and recorded like a read; what a policy takes
back is not told any more.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from tests.support.bridged import Bridged, Person, bridged, sdk_client, subscribe, unsubscribe
from tests.support.fronts import eventually
from tests.support.guarded import connector_file, housed
from tests.support.mcp_client import exchange, request
from tests.support.upstreams import STATIC, Seen, serve
from wicketd.api import endpoints
from wicketd.api.types.connections import ConnectionRef, ConnectionSet
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")

WATCHED = "test://watched-resource"
TOUCH = "test_touch_resource"
UPDATED = "notifications/resources/updated"
PROMPTS = "notifications/prompts/list_changed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> AsyncIterator[Bridged]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with bridged(Path(place), "old", "new") as running:
            yield running


def told(person: Person, method: str) -> list[str]:
    """The URIs, or empty texts, of the notifications of `method`."""
    said = [one for one in person.heard if getattr(one, "method", "") == method]
    return [str(getattr(one.params, "uri", "")) for one in said]


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_legacy_client_hears_of_a_resource_until_it_does_not_want_to(
    gate: Bridged, service: str
) -> None:
    ada, uri = Person(), f"{service}+{WATCHED}"
    async with sdk_client(gate, "legacy", ada) as client, asyncio.timeout(20):
        await subscribe(client, uri)
        while not told(ada, UPDATED):  # the channel opens meanwhile
            await client.call_tool(f"{service}__{TOUCH}")
        assert set(told(ada, UPDATED)) == {uri}
        await unsubscribe(client, uri)
        while not told(ada, PROMPTS):  # what was on its way before has arrived by then
            await client.call_tool(f"{service}__test_trigger_prompt_change")
            with suppress(TimeoutError):
                await eventually(lambda: bool(told(ada, PROMPTS)), 1)
        before = len(told(ada, UPDATED))
        await client.call_tool(f"{service}__{TOUCH}")
        assert len(told(ada, UPDATED)) == before


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_modern_client_hears_of_a_resource(gate: Bridged, service: str) -> None:
    uri = f"{service}+{WATCHED}"
    async with (
        asyncio.timeout(15),
        sdk_client(gate, "2026-07-28", None) as client,
        client.listen(resource_subscriptions=[uri]) as news,
    ):
        heard = asyncio.ensure_future(anext(aiter(news)))
        while not heard.done():  # the channel opens meanwhile
            await client.call_tool(f"{service}__{TOUCH}")
            await asyncio.wait([heard], timeout=0.1)
    assert heard.result() == ResourceUpdated(uri=uri)


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_list_that_changes_upstream_is_announced_and_is_new(
    gate: Bridged, service: str
) -> None:
    ada = Person()
    async with sdk_client(gate, "legacy", ada) as client, asyncio.timeout(20):
        before = {prompt.name for prompt in (await client.list_prompts()).prompts}
        await subscribe(client, f"{service}+{WATCHED}")
        while not told(ada, UPDATED):  # then the channel is open
            await client.call_tool(f"{service}__{TOUCH}")
        await client.call_tool(f"{service}__test_trigger_prompt_change")
        await eventually(lambda: bool(told(ada, PROMPTS)), 10)
        after = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert before ^ after == {f"{service}__test_extra_entry"}


async def test_a_subscription_is_decided_and_recorded_like_a_read(gate: Bridged) -> None:
    uri = f"new+{WATCHED}"
    policy = 'forbid (principal, action == Wicket::Action::"read_resource", resource);'
    async with sdk_client(gate, "legacy", Person()) as client:
        await subscribe(client, uri)
        allowed = gate.daemon.wicket("audit", "list", "--limit", "1")
        create = ("policy", "create", "home", "-", "--name", "Stop")
        made = await asyncio.to_thread(gate.daemon.wicket, *create, stdin=policy)
        with pytest.raises(MCPError, match="Authorization denied"):
            await subscribe(client, uri)
    denied = gate.daemon.wicket("audit", "list", "--limit", "1")
    assert (allowed[0]["decision"], denied[0]["decision"]) == ("ALLOW", "DENY"), made


class Bearers:
    """A legacy server that says whose credentials hold a stream open."""

    def __init__(self) -> None:
        self.open: list[str] = []

    def holds(self, bearers: list[str]) -> bool:
        """Whether these and no others do."""
        return self.open == bearers

    async def answer(self, seen: Seen, asked: web.Request) -> web.StreamResponse:
        """One HTTP answer."""
        if seen.method == "GET":
            return await self._hold(seen.headers.get("Authorization", ""), asked)
        results: dict[str | None, Any] = {
            "initialize": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "serverInfo": {"name": "bearers", "version": "1"},
            },
            "tools/list": {"tools": []},
        }
        if seen.rpc not in results:
            return web.Response(status=202 if "id" not in seen.body else 400)
        body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": results[seen.rpc]}
        return web.json_response(body)

    async def _hold(self, bearer: str, asked: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(asked)
        self.open.append(bearer)
        try:
            while True:
                await stream.write(b": still here\n\n")
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.CancelledError):
            return stream
        finally:
            self.open.remove(bearer)


async def test_a_channel_is_of_the_account_that_its_member_has_now() -> None:
    """No stream stays open under a token that was replaced or taken away."""
    server = Bearers()
    with tempfile.TemporaryDirectory() as place:
        async with serve(server.answer) as upstream:
            desk = connector_file("desk", upstream.url).replace('{ kind = "none" }', STATIC)
            async with housed(Path(place), {"desk": desk}) as house:
                client = await house.client(0, Era.LEGACY)
                stream = request(b"", client.headers(""), method="GET")
                watching = asyncio.ensure_future(exchange(client.port, stream, within_s=60))
                where = {"agent": "home", "member": "m0", "service": "desk"}
                for token in ("first", "second"):
                    connected = ConnectionSet(**where, token=token)
                    await house.admin.call(endpoints.CONNECTION_SET, connected)
                    opened = [f"Bearer {token}"]
                    await eventually(partial(server.holds, opened), 10)
                await house.admin.call(endpoints.CONNECTION_DISCARD, ConnectionRef(**where))
                await eventually(partial(server.holds, []), 10)
                watching.cancel()

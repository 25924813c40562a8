"""The fixture and the shim as they stand, without npm: what the suite's figures rest on."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.conformance.fixture import app
from tests.conformance.shim import shim
from tests.support.upstreams import Seen, Upstream, serve, serve_asgi

ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28"}


@pytest.mark.parametrize(("mode", "version"), ERAS.items())
async def test_the_fixture_serves_each_era_by_its_official_client(mode: str, version: str) -> None:
    async with serve_asgi(app()) as url, Client(streamable_http_client(url), mode=mode) as client:
        assert client.protocol_version == version
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"test_streaming_elicitation", "test_logging_tool", "test_sampling"} <= names
        assert len((await client.list_prompts()).prompts) == 5
        assert len((await client.list_resources()).resources) == 3
        assert max(map(len, names)) == 42


async def test_a_trigger_adds_an_entry_and_the_next_one_takes_it_away() -> None:
    async with serve_asgi(app()) as url, Client(streamable_http_client(url)) as client:
        counts = []
        for _ in range(3):
            counts.append(len((await client.list_tools()).tools))
            await client.call_tool("test_trigger_tool_change", {})

    assert counts[0] == counts[1] - 1 == counts[2]


@asynccontextmanager
async def echoing(body: Any) -> AsyncIterator[tuple[Upstream, str]]:
    """The shim before a server that answers `body`; and the shim's URL."""

    async def answer(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    async with serve(answer) as upstream, shim(upstream.url, "key") as url:
        yield upstream, url


async def post(url: str, message: Any, **headers: str) -> Any:
    async with aiohttp.ClientSession() as client:
        body = msgspec.json.encode(message)
        async with client.post(url, data=body, headers=headers) as answer:
            return await answer.json()


async def test_the_shim_adds_key_and_prefix_on_the_way_in() -> None:
    wanted = {"method": "tools/call", "params": {"name": "a", "arguments": {"name": "untouched"}}}
    async with echoing({}) as (upstream, url):
        sentinel = f"=?base64?{base64.b64encode(b'a').decode()}?="
        await post(url, wanted, **{"Mcp-Name": sentinel})
        await post(url, {"params": {"uri": "x://y", "ref": {"type": "ref/prompt", "name": "p"}}})

    first, second = upstream.seen
    assert first.headers["Authorization"] == "Bearer key"
    assert first.headers["Mcp-Name"] == f"=?base64?{base64.b64encode(b'c__a').decode()}?="
    assert first.body["params"] == {"name": "c__a", "arguments": {"name": "untouched"}}
    ref = {"type": "ref/prompt", "name": "c__p"}
    assert second.body["params"] == {"uri": "c+x://y", "ref": ref}


async def test_the_shim_takes_the_prefix_off_on_the_way_out() -> None:
    answer = {
        "result": {
            "tools": [{"name": "c__a"}],
            "contents": [{"uri": "c+x://y", "text": "c__a"}],
            "content": [{"type": "resource", "resource": {"uri": "c+x://y"}}],
        }
    }
    async with echoing(answer) as (_, url):
        heard = await post(url, {})

    assert heard["result"] == {
        "tools": [{"name": "a"}],
        "contents": [{"uri": "x://y", "text": "c__a"}],
        "content": [{"type": "resource", "resource": {"uri": "x://y"}}],
    }

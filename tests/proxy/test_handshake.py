from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.support.upstreams import Script, Seen, Tasks, connector, serve
from wicketd.domain.calls import Failure, RefusalKind
from wicketd.domain.catalogue import UpstreamEra
from wicketd.net.client import Guard, GuardedClient
from wicketd.proxy.exchange import Exchanges
from wicketd.proxy.handshake import Handshake, Refused
from wicketd.proxy.inbound import Message
from wicketd.proxy.lanes import Route
from wicketd.proxy.upstream_events import Session


@pytest.fixture
async def http() -> AsyncIterator[GuardedClient]:
    made = GuardedClient()
    yield made
    await made.close()


def ignored(_: UpstreamEra) -> None:
    """A late verdict."""


def handshake(http: GuardedClient, url: str) -> Handshake:
    def ignore(_: Message | None) -> None:
        pass

    endpoint = http.endpoint(url, Guard.of(("127.0.0.0/8",), insecure_http=True))
    route = Route(connector(url), endpoint, None)
    return Handshake(Exchanges(Tasks()), route, {}, "demo", ignore, {}, Tasks())


def opens(version: Any, session_id: str | None) -> Script:
    async def script(seen: Seen, _: web.Request) -> web.StreamResponse:
        if seen.rpc != "initialize":
            return web.Response(status=202)
        headers = {} if session_id is None else {"Mcp-Session-Id": session_id}
        body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": {"protocolVersion": version}}
        return web.json_response(body, headers=headers)

    return script


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
@pytest.mark.parametrize("session_id", [None, "abc-123"])
async def test_any_legacy_version_opens_a_session(
    http: GuardedClient, version: str, session_id: str | None
) -> None:
    async with serve(opens(version, session_id)) as upstream:
        opened = await handshake(http, upstream.url).open(1, 5)
        assert opened == Session(session_id, version)
        assert [seen.rpc for seen in upstream.seen] == ["initialize", "notifications/initialized"]
        assert upstream.seen[0].body["params"]["capabilities"] == {}


@pytest.mark.parametrize(
    ("version", "session_id"),
    [
        ("2024-11-05", None),
        ("2026-07-28", None),
        (5, None),
        ("2025-11-25", "a b"),
        ("2025-11-25", "x" * 1025),
    ],
)
async def test_another_version_or_a_strange_session_id_is_refused(
    http: GuardedClient, version: Any, session_id: str | None
) -> None:
    async with serve(opens(version, session_id)) as upstream:
        opened = await handshake(http, upstream.url).open(1, 5)
        assert isinstance(opened, Refused)
        assert opened.failure.refusal.kind is RefusalKind.INVALID_ANSWER
        assert len(upstream.seen) == 1


async def test_the_code_of_a_refusal_is_kept(http: GuardedClient) -> None:
    async def script(seen: Seen, _: web.Request) -> web.StreamResponse:
        error = {"code": -32022, "message": "x"}
        body = {"jsonrpc": "2.0", "id": seen.body["id"], "error": error}
        return web.json_response(body, status=400)

    async with serve(script) as upstream:
        opened = await handshake(http, upstream.url).open(1, 5)
        assert isinstance(opened, Refused)
        assert opened.code == -32022


async def test_a_dead_upstream_gives_no_verdict(http: GuardedClient) -> None:
    async with serve(opens("2025-11-25", None)) as upstream:
        url = upstream.url
    assert isinstance(await handshake(http, url).probe(1, ignored), Failure)


async def test_a_page_that_is_no_mcp_server_gives_no_verdict_but_an_invalid_answer(
    http: GuardedClient,
) -> None:
    async def page(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    async with serve(page) as upstream:
        found = await handshake(http, upstream.url).probe(1, ignored)
    assert isinstance(found, Failure)
    assert found.refusal.kind is RefusalKind.INVALID_ANSWER


async def test_discover_is_asked_as_the_modern_revision_wants_it(http: GuardedClient) -> None:
    async def script(seen: Seen, _: web.Request) -> web.StreamResponse:
        result = {"supportedVersions": ["2026-07-28"]}
        return web.json_response({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})

    async with serve(script) as upstream:
        assert await handshake(http, upstream.url).probe(1, ignored) is UpstreamEra.MODERN
        headers = upstream.seen[0].headers
        assert headers["Mcp-Method"] == "server/discover"
        assert "Mcp-Name" not in headers

"""OAuth requests keep their caps and deadlines, follow nothing and dial no denied address."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.support.oauth_server import Mode, Scripted, serve_oauth
from tests.support.upstreams import Seen, serve
from wicketd.domain.errors import Malformed, TimedOut, Unreachable
from wicketd.net.client import Guard, GuardedClient
from wicketd.oauth import token
from wicketd.oauth.client import DISCOVERY_BYTES_MAX, LOOPBACK, OAuthHttp
from wicketd.oauth.token import AuthMethod, ClientAuth
from wicketd.vault.secret import Secret

FORM = token.refresh_request(
    ClientAuth("c", None, AuthMethod.NONE),
    refresh_token=Secret(b"rt"),
    resource="https://r.example",
)


@pytest.fixture
async def http() -> AsyncIterator[OAuthHttp]:
    made = OAuthHttp(GuardedClient(), loopback_http=True)
    yield made
    await made.close()


async def test_metadata_is_fetched(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        answer = await http.get_json(f"{server.url}/.well-known/oauth-authorization-server")
    assert (answer.status, answer.headers["content-type"]) == (
        200,
        "application/json; charset=utf-8",
    )
    assert server.issuer.encode() in answer.body


async def test_a_form_arrives_as_it_was_built(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        answer = await http.post_form(f"{server.url}/token", FORM)
        (asked,) = server.token_requests
    assert answer.status == 401
    assert asked.form["refresh_token"] == "rt"
    assert {"Cookie", "User-Agent"}.isdisjoint(asked.headers)


async def test_a_json_document_is_posted(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        answer = await http.post_json(f"{server.url}/register", {"redirect_uris": ["https://a"]})
        assert answer.status == 201
        assert [client.redirect_uris for client in server.clients.values()] == [["https://a"]]


async def test_a_document_at_the_cap_is_read_and_one_above_is_not(http: OAuthHttp) -> None:
    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        return web.Response(body=b" " * (DISCOVERY_BYTES_MAX + int(request.query["over"])))

    async with serve(script) as upstream:
        answer = await http.get_json(f"{upstream.url}?over=0")
        assert len(answer.body) == DISCOVERY_BYTES_MAX
        with pytest.raises(Malformed) as refusal:
            await http.get_json(f"{upstream.url}?over=1")
    assert refusal.value.cap == "oauth_bytes"


async def test_a_token_answer_above_its_cap_is_refused(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        server.scripted.append(Scripted(body=b" " * (64 * 1024 + 1)))
        with pytest.raises(Malformed):
            await http.post_form(f"{server.url}/token", FORM)


async def test_a_redirect_is_not_followed(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        headers = {"Location": f"{server.url}/elsewhere"}
        server.scripted.append(Scripted(status=307, headers=headers))
        with pytest.raises(Malformed):
            await http.post_form(f"{server.url}/token", FORM)
        assert server.requests == [("POST", "/token")]


async def test_a_connection_that_drops_is_never_tried_again(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        server.scripted.append(Scripted(is_dropped=True))
        with pytest.raises(Unreachable) as refusal:
            await http.post_form(f"{server.url}/token", FORM)
        assert refusal.value.is_written
        assert len(server.token_requests) == 1


async def test_a_refused_connection_says_that_nothing_was_written(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        url = server.url
    with pytest.raises(Unreachable) as refusal:
        await http.post_form(f"{url}/token", FORM)
    assert not refusal.value.is_written


async def test_a_silent_server_is_given_up_at_the_read_deadline() -> None:
    http = OAuthHttp(GuardedClient(), loopback_http=True, read_s=0.1)
    async with serve_oauth(Mode.STRICT) as server:
        server.before_redeeming.clear()
        with pytest.raises(TimedOut) as refusal:
            await http.post_form(f"{server.url}/token", FORM)
        assert refusal.value.is_written
    await http.close()


async def test_a_dripping_server_is_given_up_at_the_total_deadline() -> None:
    async def script(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    http = OAuthHttp(GuardedClient(), loopback_http=True, read_s=0.2, total_s=0.5)
    async with serve(script) as upstream:
        with pytest.raises(TimedOut):
            await http.get_json(upstream.url)
    await http.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://example.com:{port}/",
        "http://[::1",
    ],
)
async def test_loopback_is_not_dialled_without_the_setting(url: str) -> None:
    http = OAuthHttp(GuardedClient())
    async with serve_oauth(Mode.STRICT) as server:
        with pytest.raises(Unreachable):
            await http.get_json(url.format(port=server.url.rpartition(":")[2]))
        assert server.requests == []
    await http.close()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://example.com/", "https://169.254.169.254/", "http://[::1"]
)
async def test_the_setting_opens_loopback_alone(http: OAuthHttp, url: str) -> None:
    with pytest.raises(Unreachable) as refusal:
        await http.get_json(url)
    assert not refusal.value.is_written


async def test_the_sixth_request_of_a_discovery_is_not_sent(http: OAuthHttp) -> None:
    async with serve_oauth(Mode.STRICT) as server:
        run = http.discovery(Guard(), "https://mcp.example")
        for _ in range(5):
            await run.get(f"{server.url}/.well-known/x")
        with pytest.raises(Malformed) as refusal:
            await run.get(f"{server.url}/.well-known/x")
        assert refusal.value.cap == "discovery_requests"
        assert len(server.requests) == 5


async def test_a_connectors_networks_are_open_for_its_own_origin_only() -> None:
    http = OAuthHttp(GuardedClient())
    async with serve_oauth(Mode.STRICT) as own, serve_oauth(Mode.STRICT) as other:
        run = http.discovery(LOOPBACK, f"{own.url}/mcp")
        assert (await run.get(f"{own.url}/.well-known/x")).status == 200
        for url in (f"{other.url}/.well-known/x", "http://[::1"):
            with pytest.raises(Unreachable):
                await run.get(url)
        assert other.requests == []
    await http.close()

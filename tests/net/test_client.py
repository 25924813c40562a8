import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from tests.support.upstreams import Seen, serve, serve_raw
from wicketd.domain.errors import Malformed, Unreachable
from wicketd.net.client import Guard, GuardedClient, Response

LOOPBACK = Guard.of(("127.0.0.0/8", "::1/128"), insecure_http=True)
PLAIN = Guard(insecure_http=True)
HEADERS = {"Accept-Encoding": "identity"}


class ScriptedResolver(AbstractResolver):
    """Gives each answer in turn, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=0, proto=0, flags=0)
            for ip in answer
        ]

    @override
    async def close(self) -> None:
        pass


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    made = GuardedClient()
    yield made
    await made.close()


async def get(client: GuardedClient, url: str, guard: Guard = LOOPBACK) -> Response:
    return await client.endpoint(url, guard).request("GET", HEADERS)


async def hello(_: Seen, __: web.Request) -> web.StreamResponse:
    return web.Response(text="hello")


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.2",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "localhost",
    "localhost.",
]


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.requirement("N11")
async def test_no_spelling_of_loopback_is_dialled(client: GuardedClient, host: str) -> None:
    async with serve(hello) as upstream:
        with pytest.raises(Unreachable) as caught:
            await get(client, f"http://{host}:{upstream.port}/", PLAIN)
        assert not caught.value.is_written
        assert upstream.seen == []


async def test_a_name_that_resolves_to_a_denied_address_is_not_dialled() -> None:
    client = GuardedClient(resolver=ScriptedResolver(["127.0.0.1"]))
    async with serve(hello) as upstream:
        with pytest.raises(Unreachable):
            await get(client, f"http://innocent.example:{upstream.port}/", PLAIN)
        assert upstream.seen == []
    await client.close()


@pytest.mark.parametrize("answer", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
async def test_a_mixed_answer_is_refused_whole(answer: list[str]) -> None:
    """127.0.0.1 is opened and would answer; its denied companion refuses the answer."""
    client = GuardedClient(resolver=ScriptedResolver(answer))
    only_one = Guard.of(("127.0.0.1/32",), insecure_http=True)
    async with serve(hello) as upstream:
        with pytest.raises(Unreachable):
            await get(client, f"http://mixed.example:{upstream.port}/", only_one)
        assert upstream.seen == []
    await client.close()


async def test_a_rebinding_name_is_checked_at_each_connection() -> None:
    """The first answer is opened by the file, the second one is not."""
    resolver = ScriptedResolver(["127.0.0.1"], ["127.0.0.2"])
    client = GuardedClient(resolver=resolver)
    only_one = Guard.of(("127.0.0.1/32",), insecure_http=True)

    async def once(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(text="x", headers={"Connection": "close"})

    async with serve(once) as upstream:
        url = f"http://rebind.example:{upstream.port}/"
        (await get(client, url, only_one)).close()
        pool = next(iter(client._pools.values()))
        assert isinstance(pool.connector, aiohttp.TCPConnector)
        pool.connector.clear_dns_cache()
        with pytest.raises(Unreachable):
            await get(client, url, only_one)
        assert len(upstream.seen) == 1
    assert resolver.asked == 2
    await client.close()


async def test_opened_networks_hold_for_their_own_host_and_port_only(
    client: GuardedClient,
) -> None:
    async with serve(hello) as opened, serve(hello) as other:
        response = await get(client, opened.url)
        assert await response.read(100, "x") == b"hello"
        response.close()
        with pytest.raises(Unreachable):
            await get(client, other.url, PLAIN)
        assert other.seen == []


async def test_http_needs_insecure_http(client: GuardedClient) -> None:
    with pytest.raises(Unreachable, match="https"):
        client.endpoint("http://example.com/", Guard())


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass@example.com/",
        "https://example.com/#x",
        "https:///x",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://exa mple/",
        "https://[::1",
    ],
)
async def test_a_strange_url_is_refused(client: GuardedClient, url: str) -> None:
    with pytest.raises(Unreachable):
        client.endpoint(url, Guard())


async def test_the_origin_is_written_with_its_port(client: GuardedClient) -> None:
    assert client.endpoint("https://API.Example.com/mcp", Guard()).origin == (
        "https://api.example.com:443"
    )
    assert client.endpoint("https://[2606:4700::1111]/", Guard()).origin == (
        "https://[2606:4700::1111]:443"
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
@pytest.mark.requirement("N11")
async def test_a_redirect_to_a_metadata_service_is_an_error(
    client: GuardedClient, status: int
) -> None:
    async def away(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "http://169.254.169.254/latest"})

    async with serve(away) as upstream:
        with pytest.raises(Malformed, match="redirect"):
            await get(client, upstream.url)
        assert len(upstream.seen) == 1


async def test_an_encoded_answer_is_refused(client: GuardedClient) -> None:
    async def packed(_: Seen, __: web.Request) -> web.StreamResponse:
        body = gzip.compress(b"0" * 10_000_000)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with serve(packed) as upstream:
        with pytest.raises(Malformed, match="encoded"):
            await get(client, upstream.url)


async def test_no_cookie_is_kept_and_no_header_is_added(client: GuardedClient) -> None:
    async def cookie(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(text="x", headers={"Set-Cookie": "a=b; Path=/"})

    async with serve(cookie) as upstream:
        for _ in range(2):
            (await get(client, upstream.url)).close()
        for seen in upstream.seen:
            assert set(seen.headers) <= {"Host", "Accept", "Accept-Encoding"}


async def test_a_proxy_of_the_environment_is_not_used(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    async with serve(hello) as upstream:
        response = await get(client, upstream.url)
        assert await response.read(100, "x") == b"hello"
        response.close()


@pytest.mark.parametrize("has_length", [True, False])
async def test_a_body_over_its_cap_is_cut_off(client: GuardedClient, *, has_length: bool) -> None:
    async def large(_: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if has_length:
            response.content_length = 10_000_000_000
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    async with serve(large) as upstream:
        response = await get(client, upstream.url)
        with pytest.raises(Malformed) as caught:
            await response.read(100_000, "max_result_bytes")
        response.close()
        assert caught.value.cap == "max_result_bytes"


def _sends(data: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return respond


async def test_a_head_over_32_kib_is_refused(client: GuardedClient) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(
        b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(40)
    )
    async with serve_raw(_sends(head + b"Content-Length: 0\r\n\r\n")) as url:
        with pytest.raises(Malformed):
            await get(client, url)


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 200 OK\r\nContent-", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 99999 X\r\n\r\n"],
)
async def test_a_broken_head_is_a_named_failure(client: GuardedClient, data: bytes) -> None:
    async with serve_raw(_sends(data)) as url:
        with pytest.raises((Unreachable, Malformed)) as caught:
            await get(client, url)
        assert caught.value.is_written


async def test_a_truncated_body_is_malformed(client: GuardedClient) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with serve_raw(_sends(data)) as url:
        response = await get(client, url)
        with pytest.raises(Malformed, match="broke off"):
            await response.read(1000, "x")
        response.close()


async def test_a_refused_connection_says_that_nothing_was_written(client: GuardedClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        await get(client, f"http://127.0.0.1:{port}/")
    assert not caught.value.is_written


async def test_a_connection_that_is_never_accepted_times_out_as_a_cap() -> None:
    class NeverAnswers(ScriptedResolver):
        @override
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            await asyncio.get_running_loop().create_future()
            return []

    client = GuardedClient(resolver=NeverAnswers([]), connect_timeout_s=0.05)
    with pytest.raises(Unreachable) as caught:
        await get(client, "http://slow.example/", PLAIN)
    assert caught.value.cap == "connect"
    await client.close()


async def test_connections_are_kept_between_requests(client: GuardedClient) -> None:
    ports: set[int] = set()

    async def peer(_: Seen, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="x")

    async with serve(peer) as upstream:
        endpoint = client.endpoint(upstream.url, LOOPBACK)
        for _ in range(5):
            response = await endpoint.request("POST", HEADERS, b"{}")
            await response.read(10, "x")
            response.close()
    assert len(ports) == 1


async def test_a_large_body_is_sent_without_a_warning(client: GuardedClient) -> None:
    async def size(_: Seen, request: web.Request) -> web.StreamResponse:
        return web.Response(text=str(request.content_length))

    async with serve(size) as upstream:
        body = b'"' + b"x" * 2_000_000 + b'"'
        response = await client.endpoint(upstream.url, LOOPBACK).request("POST", HEADERS, body)
        assert await response.read(100, "x") == b"2000002"
        response.close()

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.support.upstreams import Seen, Tasks, serve, serve_raw
from wicketd.domain.errors import Malformed
from wicketd.net.client import Endpoint, Guard, GuardedClient
from wicketd.proxy.exchange import Exchanges
from wicketd.proxy.inbound import Message
from wicketd.proxy.outbound import Outgoing

OUTGOING = Outgoing({"Content-Type": "application/json"}, b'{"id":1}', 1)
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'
SSE = {"Content-Type": "text/event-stream"}


class Ears:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Message | None] = []

    def __call__(self, message: Message | None) -> None:
        self.heard.append(message)


@pytest.fixture
async def http() -> AsyncIterator[GuardedClient]:
    made = GuardedClient()
    yield made
    await made.close()


def at(http: GuardedClient, url: str) -> Endpoint:
    return http.endpoint(url, Guard.of(("127.0.0.0/8",), insecure_http=True))


async def test_the_connection_of_a_finished_stream_is_kept(http: GuardedClient) -> None:
    ports: set[object] = set()

    async def stream(_: Seen, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        response = web.StreamResponse(headers=SSE)
        await response.prepare(request)
        await response.write(b"data: " + ANSWER + b"\n\n")
        await asyncio.sleep(0.01)
        return response

    tasks = Tasks()
    async with serve(stream) as upstream:
        for _ in range(3):
            heard = await Exchanges(tasks).ask(at(http, upstream.url), OUTGOING, Ears(), 1000)
            assert heard.answer is not None
            await tasks.settle()
    assert len(ports) == 1


async def test_a_server_that_never_ends_its_stream_loses_the_connection(
    http: GuardedClient,
) -> None:
    closed = asyncio.Event()

    async def stream(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        writer.write(head + b"data: " + ANSWER + b"\n\n")
        try:
            while True:
                writer.write(b": more\n\n" * 1000)
                await writer.drain()
        except ConnectionError:
            closed.set()

    tasks = Tasks()
    async with serve_raw(stream) as url:
        heard = await Exchanges(tasks).ask(at(http, url), OUTGOING, Ears(), 1000)
        assert heard.answer is not None
        await asyncio.wait_for(closed.wait(), 5)
        await tasks.settle()


async def test_what_is_not_our_answer_goes_to_the_listener(http: GuardedClient) -> None:
    async def stream(_: Seen, request: web.Request) -> web.StreamResponse:
        body = b'data: {"jsonrpc":"2.0","method":"x"}\n\ndata: no\n\ndata: ' + ANSWER + b"\n\n"
        return web.Response(body=body, headers=SSE)

    ears = Ears()
    async with serve(stream) as upstream:
        await Exchanges(Tasks()).ask(at(http, upstream.url), OUTGOING, ears, 1000)
    assert [message and message.method for message in ears.heard] == ["x", None]


async def test_a_stream_of_nothing_but_line_ends_is_given_up(http: GuardedClient) -> None:
    lines = 249_990

    async def stream(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\n" * lines + b"data: " + ANSWER + b"\n\n", headers=SSE)

    async with serve(stream) as upstream:
        asking = Exchanges(Tasks())
        assert (await asking.ask(at(http, upstream.url), OUTGOING, Ears(), 1000)).answer
        lines = 250_001
        with pytest.raises(Malformed) as caught:
            await asking.ask(at(http, upstream.url), OUTGOING, Ears(), 1000)
    assert caught.value.cap == "exchange_lines"


@pytest.mark.parametrize("media_type", ["text/html", "application/xml", "text/event-streams"])
async def test_another_media_type_is_malformed(http: GuardedClient, media_type: str) -> None:
    async def page(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(body=ANSWER, content_type=media_type)

    async with serve(page) as upstream:
        with pytest.raises(Malformed):
            await Exchanges(Tasks()).ask(at(http, upstream.url), OUTGOING, Ears(), 1000)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_the_body_of_a_refused_credential_is_not_read(
    http: GuardedClient, status: int
) -> None:
    async def echo(_: Seen, __: web.Request) -> web.StreamResponse:
        return web.Response(body=ANSWER, content_type="application/json", status=status)

    async with serve(echo) as upstream:
        heard = await Exchanges(Tasks()).ask(at(http, upstream.url), OUTGOING, Ears(), 1000)
    assert (heard.answer, heard.size_bytes) == (None, 0)

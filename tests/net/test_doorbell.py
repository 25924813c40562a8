"""The doctor's look at the public address, as a client elsewhere would ask."""

import pytest
from aiohttp import web

from tests.support.daemon import free_port
from tests.support.upstreams import Seen, serve
from wicketd.net import doorbell


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, '{"status":"ok"}', None),
        (503, '{"status":"degraded"}', None),
        (502, "Bad Gateway", "another program answers there (502)."),
        (200, "x" * 5000, "The answer is larger than its cap."),
    ],
)
async def test_only_the_answer_of_a_wicketd_is_good(
    status: int, text: str, said: str | None
) -> None:
    async def answer(_seen: Seen, request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("GET", "/api/status")
        return web.Response(status=status, text=text)

    async with serve(answer) as site:
        heard = await doorbell.ring(site.url.removesuffix("/mcp"))
    assert heard == said


async def test_where_nobody_listens_it_says_so() -> None:
    assert await doorbell.ring(f"http://127.0.0.1:{free_port()}") == (
        "No connection could be made."
    )

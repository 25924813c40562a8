"""docs/reverse-proxy.md, with the proxies it names: streams arrive, addresses are right.

The tool `count` goes on only when the client has heard its report: an answer that is held back
anywhere never ends.
"""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx2
import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.browser import Browser
from tests.support.guarded import Guarded, guarded
from tests.support.reverse_proxy import BARE, NAME, caddy, nginx

CALLER = "127.0.0.5"
FORGED = "203.0.113.9"
TRUSTING = '[http]\ntrusted_proxies = ["127.0.0.1"]\n'
Proxy: TypeAlias = Callable[[Path, int], AbstractAsyncContextManager[int]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Site:
    """A daemon, the port of the proxy in front of it, and the address it should see."""

    gate: Guarded
    port: int
    seen: str


@asynccontextmanager
async def served(settings: str) -> AsyncIterator[tuple[Guarded, Path]]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        proxy = Path(place) / "proxy"
        proxy.mkdir()
        async with guarded(Path(place), settings=settings, public_url=f"https://{NAME}") as running:
            yield running, proxy


@asynccontextmanager
async def behind_bare_nginx() -> AsyncIterator[Site]:
    """Debian's defaults, and a daemon that was told nothing: it sees the proxy, no claim."""
    async with (
        served("") as (gate, place),
        nginx(place, gate.daemon.port, BARE) as port,
    ):
        yield Site(gate, port, "127.0.0.1")


@asynccontextmanager
async def behind(proxy: Proxy) -> AsyncIterator[Site]:
    async with served(TRUSTING) as (gate, place), proxy(place, gate.daemon.port) as port:
        yield Site(gate, port, CALLER)


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[lambda: behind(nginx), behind_bare_nginx, lambda: behind(caddy)],
    ids=["nginx", "bare nginx", "Caddy"],
)
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with request.param() as running:
        yield running


@asynccontextmanager
async def through(site: Site, mode: str, **headers: str) -> AsyncIterator[Client]:
    """The SDK's client at CALLER's address, by the public name."""
    known = {"Authorization": f"Bearer {site.gate.key}", "Host": NAME, **headers}
    wire = httpx2.AsyncHTTPTransport(local_address=CALLER)
    async with httpx2.AsyncClient(headers=known, timeout=30, transport=wire) as http:
        url = f"http://127.0.0.1:{site.port}/mcp"
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_stream_arrives_report_by_report(site: Site, mode: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        site.gate.waits.heard.release()

    async with through(site, mode) as client:
        done = await client.call_tool("desk__count", {"to": 3}, progress_callback=hear)

    assert ([report[0] for report in heard], done.is_error) == ([1, 2, 3], False)


async def test_the_callers_address_is_right_and_a_claimed_one_is_not_believed(site: Site) -> None:
    async with through(site, "2026-07-28", **{"X-Forwarded-For": FORGED}) as client:
        await client.call_tool("desk__echo", {"text": "hello"})

    (newest,) = site.gate.daemon.wicket("audit", "list", "--limit", "1")
    assert newest["callerIp"] == site.seen


async def test_the_portal_is_served_by_the_public_name(site: Site) -> None:
    async with httpx2.AsyncClient(headers={"Host": NAME}) as http:
        page = await http.get(f"http://127.0.0.1:{site.port}/signin")
    assert (page.status_code, page.headers["strict-transport-security"]) == (
        200, "max-age=31536000"
    )  # fmt: skip


async def test_the_portal_takes_forms_of_the_public_name_alone(site: Site) -> None:
    browser = Browser(site.port, NAME)
    fields = {**browser.get("/signin").form("/signin").fields, "email": "ann@example.org"}
    foreign = browser.post("/signin", fields, {"Origin": f"http://{NAME}"})
    assert (foreign.status, "did not come from a page of ours" in foreign.text) == (403, True)
    own = browser.post("/signin", fields, {"Origin": f"https://{NAME}"})
    assert own.status == 303

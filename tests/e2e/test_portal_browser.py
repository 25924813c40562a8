"""A person with a real browser, scripts off: from the invitation to the first allowed call.

Debian's Chromium at 360x640 and 1280x800, light and dark, on every page of the way: a screenshot
each (into WICKET_SCREENSHOTS, if set), the rules of `support.accessibility`, no wider than the
window, at most 30 KB, nothing asked of anybody but the portal. `tools/packages.sh browser` installs
the browser; where it cannot be had this is not run, and says so.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from playwright.async_api import Page, Response, Route, async_playwright

from tests.support.accessibility import PROBLEMS
from tests.support.daemon import ROOT, free_port
from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.packages import require
from tests.support.portal import MAIL, Person, Portal, running_portal
from tests.support.protected import ProtectedUpstream, serve_protected

TOKEN = "notes-token-c4n4ry"
SIZES = ((360, 640), (1280, 800))
SCHEMES = ("light", "dark")
ANN = "ann@example.org"
LOOPBACK = "[oauth]\nloopback_http = true\n"
CALENDAR = 'key = "calendar"\nname = "Calendar"'
PAGE_MAX = 30 * 1024


@dataclass
class Eyes:
    """Looks at every page in each size and colour scheme, and keeps pictures."""

    page: Page
    directory: Path
    seen: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def watch(self, origin: str) -> None:
        """Notes what is loaded from elsewhere, and how large our pages are."""

        async def weigh(response: Response) -> None:
            if response.request.resource_type == "document" and response.status != 303:
                self.sizes[response.url] = len(await response.body())

        def loaded(response: Response) -> None:
            if not response.url.startswith((origin, "data:")):
                self.foreign.append(response.url)
            else:
                self.pending.append(asyncio.ensure_future(weigh(response)))

        self.pending: list[asyncio.Future[None]] = []
        self.page.on("response", loaded)

    async def look(self, name: str) -> None:
        """Takes four pictures of the page as it is and asserts that it breaks no rule."""
        for width, height in SIZES:
            await self.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two literals
                number = len(self.seen) // 4 + 1
                picture = f"{number:02d}-{name}-{width}-{scheme}.png"
                self.seen.append(picture)
                await self.page.screenshot(path=self.directory / picture, full_page=True)
                problems: Any = await self.page.evaluate(PROBLEMS)
                assert problems == [], (picture, problems)


@asynccontextmanager
async def notes_server(port: int) -> AsyncIterator[None]:
    """The demo's MCP server, which wants a token."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "contrib" / "demo" / "notes_server.py"),
        str(port),
        env={**os.environ, "NOTES_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield
    finally:
        process.kill()
        await process.wait()


def connectors(port: int, upstream: ProtectedUpstream) -> dict[str, str]:
    """The files of that server and of one that wants a sign-in."""
    calendar = upstream.connector().replace('key = "notes"\nname = "Notes"', CALENDAR)
    notes = (
        'key = "notes"\nname = "Notes"\n'
        f'transport = {{ kind = "streamable-http", url = "http://127.0.0.1:{port}/mcp",'
        ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
        'credential = { kind = "static", header = "Authorization", format = "Bearer {token}",'
        ' hint_url = "https://notes.example.test/tokens" }\n'
    )
    return {"notes": notes, "calendar": calendar}


@asynccontextmanager
async def browsing(portal: Portal, directory: Path) -> AsyncIterator[Eyes]:
    """A browser without scripts on the portal."""
    origin = f"http://127.0.0.1:{portal.daemon.port}"
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = require("chromium", "browser")
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        eyes = Eyes(page, directory)
        eyes.watch(origin)
        try:
            yield eyes
        finally:
            await browser.close()


async def press(page: Page, text: str) -> None:
    """Presses the button or link that says this."""
    await page.locator("a, button", has_text=text).first.click()


async def sign_in(person: Person, eyes: Eyes) -> None:
    """The code by mail, typed by hand."""
    page, before = eyes.page, len(person.mails())
    await eyes.look("sign-in")
    await press(page, "Mail me a code")
    await eyes.look("code")
    await page.fill("#code", "0000-0000")
    await press(page, "Sign in")
    await eyes.look("wrong-code")
    await page.fill("#code", await asyncio.to_thread(person.mailed_code, before))
    await press(page, "Sign in")


async def enrol(person: Person, eyes: Eyes) -> None:
    """The authenticator app, its secret typed from the page."""
    page = eyes.page
    await eyes.look("second-factor")
    secret = await page.locator(".secret").inner_text()
    person.secret = secret.replace(" ", "")
    await page.fill("#code", person.app_code())
    await press(page, "Turn it on")
    await eyes.look("backup-codes")
    assert await page.locator(".codes li").count() == 10
    await press(page, "I have saved them")


async def sign_in_with_provider(eyes: Eyes, provider: AuthorizationServer) -> None:
    """Consent, the way to the provider and back, and keeping the account."""
    page, place = eyes.page, f"{provider.url}/**"
    await page.locator("li", has_text="Calendar").locator(".button").first.click()
    await eyes.look("consent")

    async def stay(route: Route) -> None:
        await route.fulfill(status=204)  # the page leaves by itself after a second

    await page.route(place, stay)
    await press(page, "Go on to")
    await page.wait_for_selector("text=You are being taken")
    await eyes.look("on-to-the-provider")
    await page.unroute(place)
    await press(page, "Go to")
    await page.wait_for_selector("text=Keep this connection?")
    await eyes.look("keep-connection")
    await press(page, "Keep it")
    assert "The account is connected" in await page.inner_text("main")


async def call_tool(url: str, key: str) -> str:
    """What the official client gets for one call with the key."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport) as client:
            result = await client.call_tool("notes__search_notes", {"query": "wicket"})
            return str(getattr(result.content[0], "text", ""))


async def test_a_member_walks_from_the_invitation_to_the_first_allowed_call(
    tmp_path: Path,
) -> None:
    pictures = Path(os.environ.get("WICKET_SCREENSHOTS", str(tmp_path / "pictures")))
    pictures.mkdir(parents=True, exist_ok=True)
    port, home = free_port(), tmp_path / "d"
    home.mkdir()
    async with (
        asyncio.timeout(240),
        notes_server(port),
        serve_oauth(Mode.STRICT) as provider,
        serve_protected(provider) as upstream,
        running_portal(
            home, settings=MAIL + LOOPBACK, connectors=connectors(port, upstream)
        ) as portal,
        browsing(portal, pictures) as eyes,
    ):
        page = eyes.page

        async def wicket(*arguments: str, stdin: str | None = None) -> None:
            await asyncio.to_thread(portal.daemon.wicket, *arguments, stdin=stdin)

        await wicket("service", "discover", "demo", "notes", "--token-stdin", stdin=TOKEN)
        person = portal.person(ANN)
        await page.goto(portal.invite(ANN))
        await eyes.look("invitation")
        await press(page, f"Sign in as {ANN}")
        await sign_in(person, eyes)
        await press(page, "Accept the invitation")
        await eyes.look("agent-waiting")
        await press(page, "Your agents")
        await eyes.look("agents")
        await wicket("member", "approve", "demo", ANN)
        await press(page, "Demo agent")
        agent = urlsplit(page.url).path
        await sign_in_with_provider(eyes, provider)
        await page.locator("li", has_text="Notes").locator(".button").first.click()
        await page.fill("#token", TOKEN)
        await eyes.look("token")
        await press(page, "Save the token")
        await eyes.look("agent-connected")
        await press(page, "Make the key")
        await enrol(person, eyes)
        await eyes.look("key")
        await press(page, "Make the key and show it")
        await eyes.look("key-shown")
        key = await page.locator(".secret").inner_text()
        assert "welcome" in await call_tool(portal.daemon.url, key)
        await press(page, "I have saved it")
        await eyes.look("agent-ready")
        await press(page, "Activity")
        await eyes.look("activity")
        assert "notes__search_notes" in await page.inner_text("main")
        assert "allowed" in await page.inner_text("main")
        for path, name in (
            (f"{agent}/sessions", "sessions"),
            (f"{agent}/key", "key-replace"),
            (f"{agent}/key/revoke", "key-revoke"),
            (f"{agent}/services/notes/disconnect", "disconnect"),
            (f"{agent}/leave", "leave"),
            ("/account", "account"),
            ("/account/mfa/codes", "new-codes"),
            ("/nowhere", "not-found"),
        ):
            await page.goto(f"http://127.0.0.1:{portal.daemon.port}{path}")
            await eyes.look(name)
        await press(page, "Sign out")
        await eyes.look("signed-out")
        await asyncio.gather(*eyes.pending)
        assert {urlsplit(url).netloc for url in eyes.foreign} == {urlsplit(provider.url).netloc}
    assert {url: size for url, size in eyes.sizes.items() if size > PAGE_MAX} == {}

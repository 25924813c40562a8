"""CVE-2026-27124 over the real port: two browsers, each with its own session, swap a callback.

Counterpart: `test_cve_2026_27124_browser_binding`, at the service. Removal tried: without
`web_session_id` in `storage.oauth_flows.take` Ann's second browser redeems the code of her first.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import Browser, Seen
from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.portal import MAIL, Person, Portal, running_portal
from tests.support.protected import serve_protected
from tests.support.sign_ins import at_provider

CALLBACK = "/oauth/callback/notes"
LOOPBACK = MAIL + "[oauth]\nloopback_http = true\n"


@dataclass
class Pair:
    """Ann and Eve, both members, each in a browser of her own."""

    portal: Portal
    server: AuthorizationServer
    ann: Person
    eve: Person
    agent: str

    def begin(self, person: Person) -> str:
        """Consents on the page and gives the link to the provider."""
        path = f"{self.agent}/services/notes/connect"
        person.browser.get(path)
        seen = person.browser.submit(path)
        assert seen.status == 200, seen.text
        return next(link for link in seen.links if link.startswith(self.server.url))

    async def back(self, browser: Browser, query: bytes) -> Seen:
        """A browser comes back from the provider."""
        return await asyncio.to_thread(browser.get, f"{CALLBACK}?{query.decode()}")

    async def reasons(self) -> list[str]:
        """Why callbacks were refused, newest first."""
        rows = await asyncio.to_thread(self.portal.audited, "oauth.refused")
        return [row["reasonCode"] for row in rows]


@asynccontextmanager
async def pair(directory: Path) -> AsyncIterator[Pair]:
    """Runs everything; both have joined."""
    async with (
        serve_oauth(Mode.STRICT) as server,
        serve_protected(server) as upstream,
        running_portal(
            directory, settings=LOOPBACK, connectors={"notes": upstream.connector()}
        ) as portal,
    ):
        ann, agent = await asyncio.to_thread(portal.member, "ann@example.org")
        eve, _ = await asyncio.to_thread(portal.member, "eve@example.org")
        yield Pair(portal, server, ann, eve, agent)


@pytest.mark.requirement("CVE-2026-27124")
async def test_what_one_browser_began_no_other_finishes(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        link = await asyncio.to_thread(two.begin, two.ann)
        query = await at_provider(link)
        second = Person(two.portal.daemon, two.ann.address, two.portal.browser())
        await asyncio.to_thread(second.sign_in)
        for browser in (two.eve.browser, second.browser, two.portal.browser()):
            seen = await two.back(browser, query)
            assert seen.status == 403
            assert "Confirm" not in seen.text
        assert two.server.token_requests == []
        found = await asyncio.to_thread(two.portal.daemon.wicket, "connection", "list", "demo")
        assert found == []
        assert sorted(await two.reasons()) == ["no_session", "other_browser", "other_member"]
        seen = await two.back(two.ann.browser, query)
        assert seen.status == 200
        kept = await asyncio.to_thread(two.ann.browser.submit, CALLBACK, answer="keep")
        assert kept.status == 303
        again = await two.back(two.ann.browser, query)
        assert again.status == 403
        assert len(two.server.token_requests) == 1


async def test_an_attackers_own_code_is_not_put_into_anothers_browser(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        link = await asyncio.to_thread(two.begin, two.eve)
        query = await at_provider(link)
        seen = await two.back(two.ann.browser, query)
        assert seen.status == 403
        assert two.server.token_requests == []

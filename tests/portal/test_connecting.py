"""Connecting at a provider, over the real port: consent, two browsers, replay, keep or discard.

Removal tried by hand, which turned a test here red: the record of a browser without a session.
The checks of state, browser and issuer are removed one by one in tests/security and
tests/services/test_oauth_flows.py.
"""

import asyncio
import http.client
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.support.browser import Browser, Seen, path_of
from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.portal import MAIL, Person, Portal, running_portal
from tests.support.protected import ProtectedUpstream, serve_protected

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOOPBACK = "[oauth]\nloopback_http = true\n"
_REFRESH = re.compile(r'http-equiv="refresh" content="1; url=([^"]+)"')


@dataclass
class Scene:
    """A portal whose service `notes` signs in at a strict provider."""

    portal: Portal
    provider: AuthorizationServer
    upstream: ProtectedUpstream
    members: int = 0

    def member(self) -> tuple[Person, str]:
        """A new approved member, and the path of the agent's page."""
        self.members += 1
        return self.portal.member(f"m{self.members}@example.org")

    def exchanges(self) -> int:
        """How many codes were sent to the provider's token endpoint."""
        return self.provider.requests.count(("POST", "/token"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    directory: Path = tmp_path_factory.mktemp("connecting")
    async with serve_oauth(Mode.STRICT) as provider, serve_protected(provider) as upstream:
        files = {"notes": upstream.connector()}
        async with running_portal(directory, settings=MAIL + LOOPBACK, connectors=files) as portal:
            yield Scene(portal, provider, upstream)


def begin(person: Person, agent: str) -> str:
    """Agrees on the consent page; gives the provider's URL."""
    path = f"{agent}/services/notes/connect"
    shown = person.browser.get(path)
    assert shown.status == 200, shown.text
    seen = person.browser.submit(path)
    assert seen.status == 200, seen.text
    found = _REFRESH.search(seen.html)
    assert found is not None
    url = unescape(found[1])
    assert url in [unescape(link) for link in seen.links]
    return url


def at_provider(url: str) -> str:
    """The way through the provider; gives the path that it sends the browser back to."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return path_of(answer.headers["Location"])


def callback_form(seen: Seen) -> str:
    return next(form.action for form in seen.forms if form.action.startswith("/oauth/"))


async def test_consent_names_what_is_asked_and_the_way_back_connects(scene: Scene) -> None:
    await asyncio.to_thread(_connects, scene)


def _connects(scene: Scene) -> None:
    person, agent = scene.member()
    consent = person.browser.get(f"{agent}/services/notes/connect")
    assert "127.0.0.1" in consent.text
    assert f"http://127.0.0.1:{scene.portal.daemon.port}/oauth/callback/notes" in consent.text
    url = begin(person, agent)
    asked = parse_qs(urlsplit(url).query)
    assert asked["resource"] == [scene.upstream.url]
    assert asked["code_challenge_method"] == ["S256"]
    back = person.browser.get(at_provider(url))
    assert back.status == 200
    assert "Keep this connection?" in back.text
    kept = person.browser.go(callback_form(back), answer="keep")
    assert "The account is connected" in kept.text
    assert "not sealed yet" in kept.text


async def test_what_is_discarded_leaves_no_connection(scene: Scene) -> None:
    await asyncio.to_thread(_discards, scene)


def _discards(scene: Scene) -> None:
    person, agent = scene.member()
    back = person.browser.get(at_provider(begin(person, agent)))
    gone = person.browser.go(callback_form(back), answer="discard")
    assert "Nothing was kept" in gone.text
    assert "not connected" in person.browser.get(agent).text
    assert person.browser.post(callback_form(back), back.forms[0].fields).status in {404, 410}


@pytest.mark.parametrize("thief", ["no session", "another member", "same member elsewhere"])
async def test_begun_in_one_browser_and_finished_in_another_redeems_nothing(
    scene: Scene, thief: str
) -> None:
    await asyncio.to_thread(_two_browsers, scene, thief)


def _two_browsers(scene: Scene, thief: str) -> None:
    person, agent = scene.member()
    other: Browser = scene.portal.browser()
    if thief == "another member":
        other = scene.member()[0].browser
    elif thief == "same member elsewhere":
        first, person.browser = person.browser, other
        person.sign_in()
        person.browser = first
    path = at_provider(begin(person, agent))
    before, refused = scene.exchanges(), len(scene.portal.audited("oauth.refused"))
    seen = other.get(path)
    assert seen.status == 403
    assert scene.exchanges() == before
    assert len(scene.portal.audited("oauth.refused")) == refused + 1
    assert "not connected" in person.browser.get(agent).text


async def test_a_state_works_once_and_an_unknown_one_never(scene: Scene) -> None:
    await asyncio.to_thread(_replays, scene)


def _replays(scene: Scene) -> None:
    person, agent = scene.member()
    path = at_provider(begin(person, agent))
    assert person.browser.get(path).status == 200
    before = scene.exchanges()
    for again in (
        path,
        "/oauth/callback/notes?state=" + "A" * 43 + "&code=x",
        "/oauth/callback/notes",
        path + "&state=x",
        path.replace("/notes", "/other"),
        path + "&x=" + "a" * 4096,
    ):
        assert person.browser.get(again).status == 403
    assert scene.exchanges() == before


async def test_an_error_of_the_provider_is_told_in_our_words(scene: Scene) -> None:
    scene.provider.denies = "access_denied"
    try:
        await asyncio.to_thread(_is_denied, scene)
    finally:
        scene.provider.denies = None


def _is_denied(scene: Scene) -> None:
    person, agent = scene.member()
    path = at_provider(begin(person, agent)) + "&error_description=%3Cscript%3Eevil"
    seen = person.browser.get(path)
    assert seen.status == 422
    assert "evil" not in seen.html


async def test_a_stranger_with_made_up_states_cannot_fill_the_log(scene: Scene) -> None:
    await asyncio.to_thread(_strangers, scene)


def _strangers(scene: Scene) -> None:
    before = len(scene.portal.audited("oauth.refused"))
    for number in range(5):
        path = f"/oauth/callback/notes?code=x&state={number:043d}"
        assert scene.portal.browser().get(path).status == 403
    assert len(scene.portal.audited("oauth.refused")) == before

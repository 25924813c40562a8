"""P18: portal sessions never open `/mcp`: a mailbox alone gives no access to tools.

Everything that a member's browser holds or is shown is sent to the endpoint as a bearer token, as a
cookie, as Basic and as a query, and each is refused as a stranger is: cookies, mailed and backup
codes, the app's codes and secret, form tokens, the invitation. Only the member key opens it.

Removal tried by hand, which turned a test here red: a cookie taken for the credential where there
is no Authorization header (`services.callers.identify`).
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.browser import Browser, Seen
from tests.support.portal import Person, Portal, standing_portal

LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}


@dataclass
class Scene:
    """A member with everything there is, and what it holds by name."""

    portal: Portal
    person: Person
    key: str
    held: dict[str, str]
    tries: int = 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing_portal(tmp_path_factory.mktemp("p18")) as portal:
        person = portal.person()
        invitation = portal.invite()
        mailed = person.ask_for_code()
        prelogin = person.browser.cookies["wicket-pre"]
        form_before = person.browser.page.form("/signin/code") if person.browser.page else None
        person.browser.go("/signin/code", code=mailed)
        agent = person.join_signed_in(invitation)
        portal.daemon.wicket("member", "approve", "demo", person.address)
        first_session = person.browser.cookies["wicket"]
        key = person.make_key(agent)
        form_after = person.browser.get("/account").form("/account")
        assert form_before is not None
        held = {
            "session cookie": person.browser.cookies["wicket"],
            "session cookie before the second factor": first_session,
            "pre-login cookie": prelogin,
            "mailed code": mailed,
            "backup code": person.backup_codes[0],
            "app code": person.app_code(),
            "app secret": person.secret,
            "form token before sign-in": form_before.fields["csrf"],
            "form token": form_after.fields["csrf"],
            "invitation": invitation.rpartition("/")[2],
            "session id": form_after.fields["session"],
            "key without its checksum": key[:-6],
        }
        yield Scene(portal, person, key, held)


def ask(scene: Scene, headers: dict[str, str], path: str = "/mcp") -> Seen:
    """One try, each from an address of its own: the throttle of failures must not answer."""
    scene.tries += 1
    browser = Browser(scene.portal.daemon.port, ip=f"203.0.113.{scene.tries}")
    return browser.request("POST", path, LIST, {**HEADERS, **headers})


def ways(value: str) -> Iterator[tuple[dict[str, str], str]]:
    """How a value may be brought along: headers and path."""
    basic = base64.b64encode(f"{value}:{value}".encode()).decode()
    yield {"Authorization": f"Bearer {value}"}, "/mcp"
    yield {"Authorization": f"Bearer wkt_{value}"}, "/mcp"
    yield {"Authorization": f"Basic {basic}"}, "/mcp"
    yield {"Cookie": f"wicket={value}; __Host-wicket={value}"}, "/mcp"
    yield {"Cookie": f"wicket={value}", "Authorization": "Bearer "}, "/mcp"
    yield {}, f"/mcp?access_token={value}"


NAMES = (
    "session cookie",
    "session cookie before the second factor",
    "pre-login cookie",
    "mailed code",
    "backup code",
    "app code",
    "app secret",
    "form token before sign-in",
    "form token",
    "invitation",
    "session id",
    "key without its checksum",
)


@pytest.mark.requirement("P18")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_portal_opens_the_endpoint(scene: Scene, name: str) -> None:
    for headers, path in ways(scene.held[name]):
        assert ask(scene, headers, path).status in {400, 401}, (name, headers)


@pytest.mark.requirement("P18")
def test_even_the_key_opens_nothing_where_browsers_put_things(scene: Scene) -> None:
    for headers, path in (
        ({"Cookie": f"wicket={scene.key}"}, "/mcp"),
        ({"Cookie": f"Authorization=Bearer {scene.key}"}, "/mcp"),
        ({}, f"/mcp?access_token={scene.key}"),
    ):
        assert ask(scene, headers, path).status == 401


@pytest.mark.requirement("P18")
def test_everything_that_is_held_was_tried(scene: Scene) -> None:
    assert tuple(scene.held) == NAMES
    assert all(scene.held.values())


@pytest.mark.requirement("P18")
def test_all_cookies_together_open_nothing_and_the_key_does(scene: Scene) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in scene.person.browser.cookies.items())
    refused = ask(scene, {"Cookie": cookies, "Origin": scene.person.browser.origin})
    assert refused.status == 401
    admitted = ask(scene, {"Authorization": f"Bearer {scene.key}"})
    assert admitted.status != 401

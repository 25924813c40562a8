"""Who gets in at all, over the real port and generated from the app's own table of routes.

Removals tried by hand, each turned a test here red: the check of the form token, of the form's
origin, of Host, of who a route admits.
"""

import itertools

import pytest

from tests.support.browser import Browser
from tests.support.portal import Person, Portal
from wicketd.portal.app import ROUTES
from wicketd.portal.forms import MAX_FORM
from wicketd.portal.pages import Auth, Route

AGENT = "018f0000-0000-7000-8000-00000000000a"
PARTS = {"{agent}": AGENT, "{service}": "notes", "{token}": "A" * 64}
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SNAPSHOT = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
CASES = [
    (route, method)
    for route in ROUTES
    for method, handler in (("GET", route.get), ("POST", route.post))
    if handler is not None
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def path_of(route: Route) -> str:
    """The path with values in its parts."""
    path = route.path
    for part, value in PARTS.items():
        path = path.replace(part, value)
    return path


@pytest.fixture(scope="module")
def ann(portal: Portal) -> Person:
    """Somebody who is signed in, with everything shown that has to be."""
    person, _ = portal.member("ann@example.org")
    person.enrol()
    return person


@pytest.mark.parametrize(("route", "method"), CASES)
def test_every_answer_has_the_same_headers(portal: Portal, route: Route, method: str) -> None:
    seen = Browser(portal.daemon.port).request(method, path_of(route), b"", FORM)
    assert {name: seen.headers.get(name) for name in SNAPSHOT} == SNAPSHOT
    assert "strict-transport-security" not in seen.headers
    assert "server" not in seen.headers
    assert not [name for name in seen.headers if name.startswith("access-control")]
    for cookie in seen.set_cookies:
        assert "; Path=/; HttpOnly; SameSite=Lax" in cookie


@pytest.mark.parametrize(("route", "method"), CASES)
def test_without_credentials_nothing_opens(portal: Portal, route: Route, method: str) -> None:
    browser = Browser(portal.daemon.port, ip="203.0.113.9")
    browser.get("/signin")
    token = browser.page.form("/signin").fields["csrf"] if browser.page else ""
    sent = {**FORM, "Origin": browser.origin}
    seen = browser.request(method, path_of(route), f"csrf={token}".encode(), sent)
    if route.needs(method) is not Auth.ANYBODY:
        assert seen.status == 401
        assert "Sign in" in seen.text
    elif method == "POST" and route.path != "/signin":
        assert seen.status == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("evil.example", "", 421),
        ("wicket.evil.example:8650", "", 421),
        ("127.0.0.1.evil.example", "", 421),
        ("", "https://evil.example", 403),
        ("", "http://127.0.0.1.evil.example", 403),
        ("", "file://", 403),
    ],
)
@pytest.mark.parametrize(("route", "method"), CASES)
def test_a_foreign_host_or_origin_gets_no_page(
    ann: Person, route: Route, method: str, host: str, origin: str, status: int
) -> None:
    browser = Browser(ann.daemon.port, host, cookies=dict(ann.browser.cookies))
    seen = browser.request(method, path_of(route), b"", {**FORM, "Origin": origin})
    assert seen.status == status
    assert "ann@example.org" not in seen.html
    assert not seen.set_cookies


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Origin": "http://127.0.0.1:{port}"}, 303),
        ({"Origin": "", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
    ],
)
def test_a_form_comes_from_our_origin(ann: Person, sent: dict[str, str], status: int) -> None:
    token = ann.browser.get("/account").form("/account").fields["csrf"]
    headers = {name: value.format(port=ann.daemon.port) for name, value in sent.items()}
    seen = ann.browser.post("/account", {"csrf": token}, headers)
    assert seen.status == status


@pytest.mark.parametrize(
    ("referer", "status"),
    [
        ("", 303),
        ("http://127.0.0.1:{port}/account", 303),
        ("http://evil.example/account", 403),
        ("http://127.0.0.1:{port}.evil.example/", 403),
        ("http://[/", 403),
        ("about:blank", 403),
    ],
)
def test_a_text_browser_says_where_it_comes_from_or_nothing(
    ann: Person, referer: str, status: int
) -> None:
    token = ann.browser.get("/account").form("/account").fields["csrf"]
    headers = {"Origin": "", "Referer": referer.format(port=ann.daemon.port)}
    assert ann.browser.post("/account", {"csrf": token}, headers).status == status
    assert ann.browser.post("/account", {"csrf": "x" * 43}, headers).status == 403


def test_a_form_needs_the_token_of_its_own_path_and_session(portal: Portal, ann: Person) -> None:
    mine = ann.browser.get("/account").form("/account").fields["csrf"]
    bob, _ = portal.member("bob@example.org")
    foreign = bob.browser.get("/account").form("/account").fields["csrf"]
    elsewhere = ann.browser.get("/account").form("/sign-out").fields["csrf"]
    for token in ("", "x", foreign, elsewhere, mine[:-1], mine + "A"):
        seen = ann.browser.post("/account", {"csrf": token})
        assert seen.status == 403, token
        assert "Nothing was done" in seen.text
    assert ann.browser.post("/account", {}).status == 403
    assert ann.browser.post("/account", {"csrf": mine}).status == 303


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"csrf=a&csrf=b", {}, 400),
        (b"csrf=%FF", {}, 400),
        (b'{"csrf":"a"}', {"Content-Type": "application/json"}, 400),
        (b"csrf=a", {"Content-Type": "text/plain"}, 400),
        (b"csrf=a", {"Content-Type": "multipart/form-data; boundary=x"}, 400),
        (b"csrf=a", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"}, 400),
        (b"csrf=" + b"a" * MAX_FORM, {}, 413),
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused(
    ann: Person, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {**FORM, "Origin": ann.browser.origin, **headers}
    assert ann.browser.request("POST", "/account", body, sent).status == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_not_served(ann: Person, method: str) -> None:
    sent = {"Origin": ann.browser.origin, "X-HTTP-Method-Override": "POST"}
    seen = ann.browser.request(method, "/account", None, sent)
    assert seen.status == 405
    assert seen.headers["allow"] == "GET, POST"


def test_a_member_key_is_no_credential_here(portal: Portal) -> None:
    person, agent = portal.member("keyed@example.org")
    key = person.make_key(agent)
    stranger = Browser(portal.daemon.port)
    for headers in ({"Authorization": f"Bearer {key}"}, {"Cookie": f"wicket={key[:43]}"}):
        assert stranger.get("/agents", headers).status == 401


def test_unknown_and_foreign_pages_look_the_same(portal: Portal, ann: Person) -> None:
    portal.daemon.wicket("agent", "create", "private", "--name", "Private agent")
    foreign = portal.daemon.wicket("agent", "show", "private")["id"]
    shapes = set()
    for agent, tail in itertools.product(
        (foreign, AGENT), ("", "/key", "/activity", "/sessions", "/leave", "/services/notes/token")
    ):
        seen = ann.browser.get(f"/agents/{agent}{tail}")
        shapes.add((seen.status, seen.text))
    unknown = ann.browser.get("/nowhere")
    assert shapes == {(404, unknown.text)}


def test_the_sixty_first_form_of_a_minute_is_refused(portal: Portal) -> None:
    browser = Browser(portal.daemon.port, ip="203.0.113.77")
    browser.get("/signin")
    statuses = [browser.post("/signin", {"csrf": "x"}).status for _ in range(61)]
    assert statuses == [403] * 60 + [429]
    assert Browser(portal.daemon.port, ip="203.0.113.78").post("/signin", {}).status == 403


def test_the_stylesheet_is_kept_for_ever_under_its_own_name(portal: Portal) -> None:
    browser = Browser(portal.daemon.port)
    seen = browser.get("/signin")
    sheet = next(given["href"] for tag, given in seen.tags if given.get("rel") == "stylesheet")
    got = browser.get(sheet)
    assert (got.status, got.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser.get("/static/0123456789abcdef.css").status == 404

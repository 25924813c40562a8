"""P15 in the portal: what is one member's, another of the same agent neither sees nor changes."""

import pytest

from tests.support.portal import Person, Portal

TOKEN = "ann-token-c4n4ry"


@pytest.fixture(scope="module")
def pair(portal: Portal) -> tuple[Person, Person, str]:
    """Ann with everything, Bob with nothing, and the path of their agent."""
    ann, agent = portal.member("ann@example.org")
    ann.browser.get(f"{agent}/services/notes/token")
    ann.browser.submit(f"{agent}/services/notes/token", token=TOKEN)
    ann.make_key(agent)
    bob, _ = portal.member("bob@example.org")
    return ann, bob, agent


@pytest.mark.requirement("P15")
@pytest.mark.parametrize(
    "tail", ["", "/activity", "/sessions", "/services/notes/token", "/services/notes/disconnect"]
)
def test_no_page_of_one_shows_anything_of_the_other(
    pair: tuple[Person, Person, str], tail: str
) -> None:
    ann, bob, agent = pair
    key_id = ann.browser.get(agent).text.partition("wkt_…_")[2][:8]
    assert len(key_id) == 8
    seen = bob.browser.get(f"{agent}{tail}")
    for secret in (key_id, "ann@example.org", TOKEN):
        assert secret not in seen.html


@pytest.mark.requirement("P15")
def test_a_reference_of_the_other_finds_nothing(
    portal: Portal, pair: tuple[Person, Person, str]
) -> None:
    _, bob, agent = pair
    portal.daemon.wicket("member", "add", "demo", "local-one", "--local")
    for row in portal.daemon.wicket("audit", "list", "--limit", "200"):
        if row.get("ref"):
            seen = bob.browser.get(f"{agent}/activity?ref={row['ref']}")
            assert "Nothing of yours fits" in seen.text
    for cursor in ("0", "1", "9999999999", "-1", "x" * 40, "1e9"):
        seen = bob.browser.get(f"{agent}/activity?before={cursor}")
        assert seen.status == 200
        assert "ann@example.org" not in seen.html


@pytest.mark.requirement("P15")
def test_one_cannot_end_a_session_of_the_other(pair: tuple[Person, Person, str]) -> None:
    ann, bob, _ = pair
    session = ann.browser.get("/account").form("/account").fields["session"]
    form = bob.browser.get("/account").form("/account")
    seen = bob.browser.post("/account", {**form.fields, "session": session})
    assert seen.status == 404
    assert ann.browser.get("/agents").status == 200


@pytest.mark.requirement("P15")
def test_no_page_shows_a_token_or_a_key_again(pair: tuple[Person, Person, str]) -> None:
    ann, _, agent = pair
    for tail in ("", "/key", "/activity", "/sessions", "/services/notes/token", "/key/revoke"):
        seen = ann.browser.get(f"{agent}{tail}")
        assert TOKEN not in seen.html
        assert "wkt_" not in seen.html.replace("wkt_…", "").replace("begins with wkt_", "")


@pytest.mark.requirement("P15")
def test_what_one_leaves_stays_with_the_other(portal: Portal) -> None:
    carl, agent = portal.member("carl@example.org")
    dora, _ = portal.member("dora@example.org")
    carl.browser.get(f"{agent}/leave")
    left = carl.browser.go(f"{agent}/leave")
    assert "You left the agent" in left.text
    assert carl.browser.get(agent).status == 404
    assert dora.browser.get(agent).status == 200

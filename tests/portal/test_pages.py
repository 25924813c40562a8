"""What the pages do: services, the key, leaving, activity; and hostile text in all of them."""

import re

import pytest

from tests.support.portal import Person, Portal, key_in

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7777*7777}}"


@pytest.fixture(scope="module")
def ann(portal: Portal) -> tuple[Person, str]:
    """A member with a second factor, and the path of its agent."""
    person, agent = portal.member("ann@example.org")
    person.enrol()
    return person, agent


def test_a_token_is_saved_and_never_echoed(ann: tuple[Person, str]) -> None:
    person, agent = ann
    path = f"{agent}/services/notes/token"
    for token in ("", "with blank inside", "ümlaut", "x" * 8193):
        person.browser.get(path)
        seen = person.browser.submit(path, token=token)
        assert seen.status == 422, token[:10]
        field = next(given for tag, given in seen.tags if given.get("id") == "token")
        assert (field["type"], field.get("value", "")) == ("password", "")
        assert "problem" in field["aria-describedby"].split()
    person.browser.get(path)
    saved = person.browser.go(path, token="good-token")
    assert "The token is saved" in saved.text
    assert "not sealed yet" in saved.text
    person.browser.get(f"{agent}/services/notes/disconnect")
    gone = person.browser.go(f"{agent}/services/notes/disconnect")
    assert "is disconnected" in gone.text
    assert "good-token" not in gone.html


def test_the_key_is_shown_once_rotated_lost_and_revoked(portal: Portal) -> None:
    person, agent = portal.member("keys@example.org")
    first = person.make_key(agent)
    assert person.browser.page is not None
    again = person.browser.post(f"{agent}/key", person.first_form)
    assert again.status == 409
    assert "shown" in again.text
    assert first not in again.html
    person.browser.get(f"{agent}/key")
    wrong = person.browser.submit(f"{agent}/key", way="rotate", old=first[:-1] + "x")
    assert wrong.status == 422
    assert first not in wrong.html
    rotated = person.browser.submit(f"{agent}/key", way="rotate", old=first)
    second = key_in(rotated)
    assert second != first
    person.browser.get(f"{agent}/key")
    form = person.browser.page.form(f"{agent}/key").fields
    lost = person.browser.submit(f"{agent}/key", way="lost")
    third = key_in(lost)
    assert third not in {first, second}
    assert person.browser.post(f"{agent}/key", {**form, "way": "lost"}).status == 409
    person.browser.get(f"{agent}/key/revoke")
    revoked = person.browser.go(f"{agent}/key/revoke")
    assert "Your key is revoked" in revoked.text
    assert person.browser.get(f"{agent}/key/revoke").status == 409
    assert {row["kind"] for row in portal.daemon.wicket("audit", "list", "--limit", "200")} >= {
        "key.issued",
        "key.rotated",
        "key.reset_lost",
        "key.revoked",
    }


def test_who_is_not_approved_gets_no_key(portal: Portal) -> None:
    person = portal.person("early@example.org")
    agent = person.join(portal.invite("early@example.org"))
    person.enrol()
    assert person.browser.get(f"{agent}/key").status == 403
    token = person.browser.get("/account").form("/account").fields["csrf"]
    assert person.browser.post(f"{agent}/key", {"csrf": token, "way": "first"}).status == 403


def test_a_key_asks_for_the_second_factor_first(portal: Portal) -> None:
    person, agent = portal.member("bare@example.org")
    seen = person.browser.get(f"{agent}/key")
    assert seen.status == 303
    assert seen.location.startswith("/account/mfa/setup?next=")


def test_activity_has_an_empty_text_and_filters(ann: tuple[Person, str]) -> None:
    person, agent = ann
    shown = person.browser.get(f"{agent}/activity")
    assert "You were approved" in shown.text
    assert "an administrator" not in shown.text
    none = person.browser.get(f"{agent}/activity?decision=deny&service=notes")
    assert "Nothing of yours fits" in none.text
    chosen = [given for tag, given in none.tags if tag == "option" and "selected" in given]
    assert [given["value"] for given in chosen] == ["deny", "notes"]
    for query in ("decision=x", "service=nothing", "ref=%00%ff", "before=abc", "a=1&a=2", "%zz"):
        assert person.browser.get(f"{agent}/activity?{query}").status in {200, 400}


def test_backup_codes_are_replaced_only_with_a_code_of_the_app(ann: tuple[Person, str]) -> None:
    person, _ = ann
    person.browser.get("/account/mfa/codes")
    refused = person.browser.submit("/account/mfa/codes", code=person.backup_codes[-1])
    assert refused.status == 422
    shown = person.browser.submit("/account/mfa/codes", code=person.app_code())
    assert shown.status == 200
    assert person.backup_codes[0] not in shown.html


@pytest.mark.parametrize("value", [XSS, "a\u202eb\u200f", "Ünïcode 🗝"])
def test_hostile_names_are_text_on_every_page(portal: Portal, value: str) -> None:
    key = f"named-{len(value)}"
    try:
        portal.daemon.wicket("agent", "create", key, "--name", value[:80])
    except AssertionError:
        assert "\u202e" in value  # refused at the door already
        return
    address = f"{key}@example.org"
    person = portal.person(address)
    link = portal.invite(address, agent=key)
    path = "/join/" + link.rpartition("/")[2]
    pages = [person.browser.get(path)]
    agent = person.join(link)
    tails = ("", "/activity", "/sessions", "/leave")
    pages += [person.browser.get(f"{agent}{tail}") for tail in tails]
    pages.append(person.browser.get("/agents"))
    for page in pages:
        assert page.status == 200
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "img", "iframe", "object", "style"}
        assert not [given for _, given in page.tags if any(name.startswith("on") for name in given)]
        assert "60481729" not in page.html
        assert re.search(r"style=|javascript:", page.html) is None


@pytest.mark.parametrize(
    "email", ["<b>x</b>@example.org", 'a"onmouseover="x@example.org', "x@" + "a" * 300]
)
def test_hostile_addresses_are_text_in_the_field(portal: Portal, email: str) -> None:
    browser = portal.browser()
    browser.get("/signin")
    seen = browser.go("/signin", email=email)
    assert not {tag for tag, _ in seen.tags} & {"b", "script"}
    assert not [given for _, given in seen.tags if "onmouseover" in given]

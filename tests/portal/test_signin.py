"""Signing in, over the real port: codes, invitations, second factor, sessions."""

import re

import pytest

from tests.support.browser import Browser, path_of
from tests.support.portal import MAIL_OFF, Portal, standing_portal


def shape(html: str) -> str:
    """A page without what is different in every one: form tokens and the address itself."""
    return re.sub(r'value="[^"]*"|[\w.+-]+@[\w.-]+', "", html)


def test_a_known_and_an_unknown_address_get_the_same_page(portal: Portal) -> None:
    portal.invite("known@example.org")
    pages = []
    for address in ("known@example.org", "nobody@example.org"):
        browser = portal.browser()
        browser.get("/signin")
        seen = browser.go("/signin", email=address)
        pages.append((seen.status, sorted(seen.headers), shape(seen.html)))
    assert pages[0] == pages[1]


def test_a_malformed_address_is_told_beside_its_field(portal: Portal) -> None:
    browser = portal.browser()
    browser.get("/signin")
    seen = browser.submit("/signin", email="ann@")
    assert seen.status == 422
    field = next(given for tag, given in seen.tags if given.get("id") == "email")
    assert field["aria-invalid"] == "true"
    assert "problem" in field["aria-describedby"].split()
    assert field["value"] == "ann@"


def test_an_invitation_leads_through_sign_in_to_the_agent(portal: Portal) -> None:
    person = portal.person("walk@example.org")
    link = path_of(portal.invite("walk@example.org"))
    shown = person.browser.get(link)
    assert shown.status == 200
    assert "Demo agent" in shown.text
    assert "walk@example.org" in shown.text
    code = person.ask_for_code(next(one for one in shown.links if one.startswith("/signin")))
    back = person.browser.go("/signin/code", code=code.lower().replace("-", " "))
    assert "Accept the invitation" in back.text
    joined = person.browser.submit(link)
    assert joined.status == 303
    assert "You accepted the invitation" in person.browser.get(joined.location).text
    assert person.browser.get(link).status == 410


def test_whoever_is_signed_in_as_another_address_cannot_accept(portal: Portal) -> None:
    person = portal.person("other@example.org")
    person.join(portal.invite("other@example.org"))
    link = path_of(portal.invite("meant@example.org"))
    shown = person.browser.get(link)
    assert shown.status == 403
    assert link not in [form.action for form in shown.forms]
    assert [entry["kind"] for entry in portal.audited("invite.mismatch")] == ["invite.mismatch"]
    account = person.browser.get("/account").form("/account").fields["csrf"]
    assert person.browser.post(link, {"csrf": account}).status == 403


@pytest.mark.parametrize("token", ["x", "A" * 64, "../mcp", "%00"])
def test_a_made_up_invitation_is_not_found(portal: Portal, token: str) -> None:
    assert portal.browser().get(f"/join/{token}").status in {400, 404}


def test_a_wrong_code_says_how_many_tries_are_left_and_the_sixth_is_too_late(
    portal: Portal,
) -> None:
    person = portal.person("tries@example.org")
    portal.invite("tries@example.org")
    code = person.ask_for_code()
    for left in (4, 3, 2, 1):
        seen = person.browser.submit("/signin/code", code="0000-0000")
        assert seen.status == 422
        assert f"{left} tr" in seen.text
    person.browser.submit("/signin/code", code="0000-0000")
    last = person.browser.submit("/signin/code", code=code)
    assert last.status == 422
    assert "Ask for a new one" in last.text
    assert person.browser.get("/agents").status == 401


def test_a_code_works_only_in_the_browser_that_asked_for_it(portal: Portal) -> None:
    person = portal.person("two@example.org")
    portal.invite("two@example.org")
    code = person.ask_for_code()
    thief = portal.browser()
    thief.follow("/signin/code?email=two%40example.org")
    assert thief.submit("/signin/code", code=code).status == 422
    assert person.browser.submit("/signin/code", code=code).status == 303


def test_a_session_gets_a_new_id_at_sign_in_and_after_the_second_factor(portal: Portal) -> None:
    person = portal.person("fixed@example.org")
    planted = "A" * 43
    person.browser.cookies["wicket"] = planted
    person.join(portal.invite("fixed@example.org"))
    first = person.browser.cookies["wicket"]
    assert first != planted
    assert "wicket-pre" not in person.browser.cookies
    person.enrol()
    second = person.browser.cookies["wicket"]
    assert second != first
    old = Browser(portal.daemon.port, cookies={"wicket": first})
    assert old.get("/agents").status == 401


def test_an_enrolled_account_sees_nothing_before_its_second_factor(portal: Portal) -> None:
    person = portal.person("owes@example.org")
    agent = person.join(portal.invite("owes@example.org"))
    person.enrol()
    person.browser.get("/account")
    person.browser.go("/sign-out")
    code = person.ask_for_code()
    landed = person.browser.go("/signin/code", code=code)
    assert "Your second factor" in landed.text
    for path in ("/agents", agent, f"{agent}/key", "/account", "/account/mfa/codes"):
        seen = person.browser.get(path)
        assert (seen.status, seen.location.partition("?")[0]) == (303, "/signin/mfa")
    assert person.browser.get("/account/mfa/setup").location == "/signin/mfa"
    person.browser.follow("/agents")
    wrong = person.browser.submit("/signin/mfa", code="000000")
    assert wrong.status == 422
    right = person.browser.go("/signin/mfa", code=person.backup_codes[0])
    assert "Your agents" in right.text
    person.browser.get("/account")
    person.browser.go("/sign-out")
    person.browser.go("/signin/code", code=person.ask_for_code())
    again = person.browser.submit("/signin/mfa", code=person.backup_codes[0])
    assert again.status == 422


def test_five_wrong_codes_lock_the_second_factor_and_tell_until_when(portal: Portal) -> None:
    person = portal.person("locked@example.org")
    person.join(portal.invite("locked@example.org"))
    person.enrol()
    person.browser.follow("/signin/mfa")
    statuses = [person.browser.submit("/signin/mfa", code="000000").status for _ in range(5)]
    assert statuses[:4] == [422] * 4
    seen = person.browser.submit("/signin/mfa", code=person.backup_codes[0])
    assert seen.status == 429
    assert "looked at from" in seen.text
    assert seen.headers["retry-after"] == "60"


def test_signing_out_ends_the_session_not_only_the_cookie(portal: Portal) -> None:
    person = portal.person("out@example.org")
    person.join(portal.invite("out@example.org"))
    kept = dict(person.browser.cookies)
    person.browser.get("/sign-out")
    seen = person.browser.submit("/sign-out")
    assert (seen.status, seen.location) == (303, "/signin")
    assert "wicket" not in person.browser.cookies
    assert Browser(portal.daemon.port, cookies=kept).get("/agents").status == 401


def test_the_account_page_signs_out_other_browsers(portal: Portal) -> None:
    person = portal.person("many@example.org")
    person.join(portal.invite("many@example.org"))
    first, person.browser = person.browser, portal.browser()
    person.sign_in()
    shown = person.browser.get("/account")
    assert shown.html.count("Sign out that browser") == 1
    token = shown.form("/account").fields["csrf"]
    assert person.browser.post("/account", {"csrf": token}).status == 303
    assert first.get("/agents").status == 401
    assert person.browser.get("/agents").status == 200


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example/", "/mcp", "/signin"])
def test_signing_in_leads_to_pages_of_ours_only(portal: Portal, onward: str) -> None:
    name = f"onward-{len(onward)}-{onward.count('/')}@example.org"
    person = portal.person(name)
    portal.invite(name)
    code = person.ask_for_code(f"/signin?next={onward}")
    seen = person.browser.submit("/signin/code", code=code, next=onward)
    assert (seen.status, seen.location) == (303, "/agents")


def test_without_mail_a_link_signs_in_once_and_an_app_from_then_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("off")
    with standing_portal(directory, settings=MAIL_OFF) as portal:
        person = portal.person("home@example.org")
        link = path_of(portal.invite("home@example.org"))
        assert "home@example.org" in person.browser.get(link).text
        assert person.browser.get(link).status == 200
        seen = person.browser.submit(link)
        assert (seen.status, seen.location.partition("?")[0]) == (303, "/account/mfa/setup")
        assert portal.browser().get(link).status == 410
        assert person.browser.get("/agents").location.startswith("/account/mfa/setup")
        person.enrol()
        listed = person.browser.get("/agents")
        assert "Accept the invitation" in listed.text
        joined = person.browser.submit("/agents")
        assert joined.location.startswith("/agents/")
        unknown, known = portal.browser(), portal.browser()
        pages = []
        for browser, address in ((unknown, "nobody@example.org"), (known, "home@example.org")):
            browser.get("/signin")
            browser.go("/signin", email=address)
            refused = browser.submit("/signin/mfa", code="123456")
            pages.append((refused.status, shape(refused.html)))
        assert pages[0] == pages[1]
        assert pages[0][0] == 422
        assert "Your agents" in known.go("/signin/mfa", code=person.backup_codes[0]).text

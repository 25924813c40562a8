"""`portal.session`: cookies and form tokens."""

import json
from typing import Any

import pytest

from tests.support.state import INSTALL_ID, CountedRandom
from wicketd.portal.session import Cookies, FormTokens, Holder, prelogin_token
from wicketd.vault import keyring
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

TOKEN = Secret(b"A" * 43)
OTHER = Secret(b"B" * 43)


def tokens_of(ring: Any, random: CountedRandom) -> FormTokens:
    bound = keyring.parse(json.dumps(ring).encode()).bind(INSTALL_ID)
    return FormTokens(Sealer(bound, INSTALL_ID, random))


def make_tokens() -> FormTokens:
    random = CountedRandom()
    return tokens_of(json.loads(keyring.generate("2026-11-24T00:00:00Z", random)), random)


def test_cookies_on_https_are_bound_to_the_host() -> None:
    cookies = Cookies(is_https=True)
    assert cookies.start(TOKEN) == (
        b"__Host-wicket=" + b"A" * 43 + b"; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=604800"
    )
    assert cookies.start_prelogin(TOKEN).startswith(b"__Host-wicket-pre=")
    assert cookies.end() == b"__Host-wicket=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"


def test_cookies_of_plain_http_have_plain_names() -> None:
    cookies = Cookies(is_https=False)
    assert (cookies.session, cookies.prelogin) == ("wicket", "wicket-pre")
    assert b"Secure" not in cookies.start(TOKEN)


def test_a_cookie_is_read_by_its_whole_name() -> None:
    shown = Cookies(is_https=True).read([(b"cookie", b"x=1; __Host-wicket=" + b"A" * 43)])
    assert shown.session == TOKEN
    assert shown.prelogin is None
    plain = Cookies(is_https=True).read([(b"cookie", b"wicket=" + b"A" * 43)])
    assert plain.session is None


@pytest.mark.parametrize(
    "text",
    [
        b"wicket=" + b"A" * 42,
        b"wicket=" + b"A" * 44,
        b"wicket=" + b"*" * 43,
        b"wicket=" + b"A" * 43 + b"; wicket=" + b"B" * 43,
        b"wicket",
        b"",
    ],
)
def test_a_cookie_of_another_shape_or_twice_counts_as_absent(text: bytes) -> None:
    assert Cookies(is_https=False).read([(b"cookie", text)]).session is None


def test_a_form_token_opens_its_own_form_only() -> None:
    tokens, holder = make_tokens(), Holder("session", TOKEN)
    minted = tokens.mint(holder, "/account")
    assert tokens.is_right(minted, holder, "/account")
    assert not tokens.is_right(minted, holder, "/account/mfa/codes")
    assert not tokens.is_right(minted, Holder("session", OTHER), "/account")
    assert not tokens.is_right(minted, Holder("pre-login", TOKEN), "/account")
    assert not tokens.is_right("", holder, "/account")
    assert not tokens.is_right(minted + "\u00e9", holder, "/account")


def test_a_form_token_made_before_a_rotation_of_keys_still_opens_its_form() -> None:
    random = CountedRandom()
    first = json.loads(keyring.generate("2026-11-24T00:00:00Z", random))
    second = json.loads(keyring.generate("2026-12-01T00:00:00Z", random, "k2"))
    holder = Holder("session", TOKEN)
    minted = tokens_of(first, random).mint(holder, "/account")
    second["keys"] += [{**first["keys"][0], "state": "decrypt"}]
    after = tokens_of(second, random)
    assert after.is_right(minted, holder, "/account")
    assert after.mint(holder, "/account") != minted


def test_a_token_before_sign_in_has_the_shape_of_the_cookie() -> None:
    made = prelogin_token(bytes(32))
    text = b"wicket-pre=" + made.reveal()
    assert Cookies(is_https=False).read([(b"cookie", text)]).prelogin == made

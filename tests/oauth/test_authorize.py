"""The link to the provider: what it asks for, and that it is built from the parsed endpoint."""

from urllib.parse import parse_qs, urlsplit

import pytest

from wicketd.domain.errors import Malformed
from wicketd.oauth import authorize
from wicketd.oauth.authorize import AuthorizationRequest

REQUEST = AuthorizationRequest(
    client_id="wicket & co",
    redirect_uri="https://wicket.test/oauth/callback/notes",
    scopes=("read", "write:all"),
    state="s" * 43,
    verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    resource="https://mcp.test/mcp",
)


def test_the_challenge_is_the_one_of_the_standard() -> None:
    assert authorize.challenge(REQUEST.verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_state_and_verifier_have_their_lengths_and_alphabet() -> None:
    assert len(authorize.state(bytes(range(authorize.STATE_BYTES)))) == 43
    verifier = authorize.verifier(bytes([0xFB, 0xFF] * 24))
    assert len(verifier) == 64
    assert set(verifier) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_every_parameter_stands_in_the_link_and_the_endpoints_own_query_is_kept() -> None:
    url = authorize.url("https://as.test/authorize?tenant=1%202", REQUEST)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "as.test", "/authorize")
    assert parts.query.startswith("tenant=1%202&")
    assert parse_qs(parts.query, strict_parsing=True) == {
        "tenant": ["1 2"],
        "response_type": ["code"],
        "client_id": ["wicket & co"],
        "redirect_uri": [REQUEST.redirect_uri],
        "scope": ["read write:all"],
        "state": [REQUEST.state],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
        "resource": [REQUEST.resource],
    }


@pytest.mark.parametrize("own", ["client_id=evil", "state=", "request_uri=x", "Xx=1&resource=y"])
def test_an_endpoint_that_sets_one_of_our_parameters_is_refused(own: str) -> None:
    with pytest.raises(Malformed):
        authorize.url(f"https://as.test/authorize?{own}", REQUEST)

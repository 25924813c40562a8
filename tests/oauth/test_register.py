"""How Wicket becomes a client: the order of ways, what it asks for, which answers it takes."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from wicketd.domain.errors import Malformed
from wicketd.oauth import register
from wicketd.oauth.discovery import AuthorizationServer
from wicketd.oauth.register import Way
from wicketd.oauth.token import ClientAuth
from wicketd.vault.secret import Secret

BARE = AuthorizationServer(
    issuer="https://as.test",
    authorization_endpoint="https://as.test/a",
    token_endpoint="https://as.test/t",
)
OPEN = replace(BARE, registration_endpoint="https://as.test/r", auth_methods=("none",))
REDIRECT = "https://wicket.test/oauth/callback/notes"
DOCUMENT = "https://wicket.test/oauth/client.json"


def way(
    server: AuthorizationServer, *, has_client: bool = False, pre: bool = False, doc: bool = False
) -> Way:
    """The way that is taken."""
    document = DOCUMENT if doc else None
    return register.way(server, has_client=has_client, is_preregistered=pre, document=document)


def read(status: int = 201, server: AuthorizationServer = OPEN, **fields: Any) -> ClientAuth:
    """Reads a registration's answer."""
    return register.read_answer(status, msgspec.json.encode(fields), server, Secret)


def test_the_ways_are_tried_in_their_order() -> None:
    documents = replace(OPEN, takes_documents=True)
    assert way(documents, has_client=True, doc=True) is Way.STORED
    assert way(documents, doc=True) is Way.DOCUMENT
    assert way(documents) is Way.DYNAMIC
    assert way(OPEN, doc=True) is Way.DYNAMIC
    assert way(BARE, doc=True) is Way.ASK_ADMIN


def test_where_the_file_wants_an_admins_app_nothing_is_registered() -> None:
    assert way(OPEN, pre=True) is Way.ASK_ADMIN
    assert way(OPEN, pre=True, has_client=True) is Way.STORED


def test_a_registration_asks_for_exactly_what_a_flow_needs() -> None:
    assert register.registration(OPEN, REDIRECT, ("a", "b")) == {
        "client_name": "Wicket",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
        "scope": "a b",
    }


def test_on_loopback_the_application_is_native_and_a_secret_is_taken_if_there_must_be_one() -> None:
    fields = register.registration(BARE, "http://127.0.0.1:8650/oauth/callback/notes", ())
    assert fields["application_type"] == "native"
    assert fields["token_endpoint_auth_method"] == "client_secret_basic"
    assert "scope" not in fields


def test_a_public_client_is_read() -> None:
    client = read(client_id="c1", token_endpoint_auth_method="none", client_secret="unused")
    assert (client.client_id, client.secret, client.method) == ("c1", None, "none")


def test_a_confidential_client_is_read_and_its_secret_does_not_print() -> None:
    client = read(server=BARE, client_id="c1", client_secret="canary-secret")
    assert client.secret == Secret(b"canary-secret")
    assert client.method == "client_secret_basic"
    assert "canary" not in repr(client)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (400, {"client_id": "c"}),
        (302, {"client_id": "c"}),
        (201, {}),
        (201, {"client_id": ""}),
        (201, {"client_id": "a "}),
        (201, {"client_id": "a\tb"}),
        (201, {"client_id": "c" * 3000}),
        (201, {"client_id": "c", "client_secret": "a\nb"}),
        (201, {"client_id": "c", "token_endpoint_auth_method": "private_key_jwt"}),
        (201, {"client_id": 7}),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(status: int, fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(status, **fields)


def test_an_answer_that_is_no_json_is_refused() -> None:
    with pytest.raises(Malformed):
        register.read_answer(201, b"<html>", OPEN, Secret)


def test_a_secret_is_shown_in_a_way_that_the_provider_takes() -> None:
    assert register.method_for(BARE, has_secret=True) == "client_secret_basic"
    post = replace(BARE, auth_methods=("client_secret_post", "tls_client_auth"))
    assert register.method_for(post, has_secret=True) == "client_secret_post"
    assert register.method_for(post, has_secret=False) == "none"
    with pytest.raises(Malformed):
        register.method_for(OPEN, has_secret=True)


@pytest.mark.parametrize(
    ("public_url", "is_on", "expected"),
    [
        ("https://wicket.test", True, DOCUMENT),
        ("https://wicket.test", False, None),
        ("http://wicket.test", True, None),
        ("https://localhost", True, None),
        (None, True, None),
    ],
)
def test_a_client_document_needs_the_switch_and_a_public_address(
    public_url: str | None, is_on: bool, expected: str | None
) -> None:
    assert register.document_url(public_url, is_on=is_on) == expected


def test_the_document_is_its_own_client_id() -> None:
    fields = msgspec.json.decode(register.document(DOCUMENT, (REDIRECT,)))
    assert fields["client_id"] == DOCUMENT
    assert fields["redirect_uris"] == [REDIRECT]
    assert fields["token_endpoint_auth_method"] == "none"

"""Token requests carry what they must, and every answer has exactly one meaning."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.oauth import token
from wicketd.oauth.token import AuthMethod, ClientAuth, Form, Meaning, TokenAnswer, TokenError
from wicketd.vault.secret import Secret

PUBLIC = ClientAuth("client 1", None, AuthMethod.NONE)
BASIC = ClientAuth("client 1", Secret(b"s:e/c%ret"), AuthMethod.BASIC)
POST = ClientAuth("client 1", Secret(b"s:e/c%ret"), AuthMethod.POST)
RESOURCE = "https://mcp.example/mcp?x=1"
GOOD: dict[str, Any] = {"access_token": "at", "token_type": "Bearer"}


def fields(form: Form) -> dict[str, str]:
    parsed = parse_qs(form.body.decode("ascii"), strict_parsing=True, keep_blank_values=True)
    assert all(len(values) == 1 for values in parsed.values())
    return {name: values[0] for name, values in parsed.items()}


def parsed(document: Any, status: int = 200, **headers: str) -> TokenAnswer | TokenError:
    return token.parse(status, headers, json.dumps(document).encode())


def answer(**changes: Any) -> TokenAnswer:
    given_answer = parsed({**GOOD, **changes})
    assert isinstance(given_answer, TokenAnswer)
    return given_answer


def refresh(auth: ClientAuth = PUBLIC) -> Form:
    return token.refresh_request(auth, refresh_token=Secret(b"rt+1/="), resource=RESOURCE)


def test_a_refresh_names_the_resource_and_asks_for_no_scope() -> None:
    assert fields(refresh()) == {
        "grant_type": "refresh_token",
        "refresh_token": "rt+1/=",
        "resource": RESOURCE,
        "client_id": "client 1",
    }


def test_a_code_is_redeemed_with_verifier_redirect_and_resource() -> None:
    form = token.code_request(
        PUBLIC,
        code=Secret(b"c&1"),
        verifier=Secret(b"v~1"),
        redirect_uri="https://wicket.example/oauth/callback/github",
        resource=RESOURCE,
    )
    assert fields(form) == {
        "grant_type": "authorization_code",
        "code": "c&1",
        "code_verifier": "v~1",
        "redirect_uri": "https://wicket.example/oauth/callback/github",
        "resource": RESOURCE,
        "client_id": "client 1",
    }


def test_a_revocation_names_the_token_and_its_kind() -> None:
    form = token.revocation_request(PUBLIC, token=Secret(b"rt"), hint="refresh_token")
    assert fields(form) == {
        "token": "rt",
        "token_type_hint": "refresh_token",
        "client_id": "client 1",
    }


def test_a_basic_secret_stands_encoded_in_the_header_alone() -> None:
    form = refresh(BASIC)
    scheme, _, pair = form.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"client%201:s%3Ae%2Fc%25ret")
    assert not {"client_id", "client_secret"} & set(fields(form))


def test_a_post_secret_stands_in_the_body_alone() -> None:
    form = refresh(POST)
    assert fields(form)["client_secret"] == "s:e/c%ret"
    assert fields(form)["client_id"] == "client 1"
    assert "Authorization" not in form.headers


def test_a_form_never_prints_a_secret() -> None:
    assert "rt+1" not in repr(refresh(BASIC))
    assert "Basic" not in repr(refresh(BASIC))


def test_no_connection_is_kept_for_a_token_request() -> None:
    assert refresh().headers["Connection"] == "close"


def test_a_whole_answer_is_read() -> None:
    found = answer(refresh_token="rt", scope="a b", expires_in=3600, id_token="a.b.c")
    assert found.access_token.reveal() == b"at"
    assert found.refresh_token is not None
    assert found.refresh_token.reveal() == b"rt"
    assert (found.scope, found.expires_in) == ("a b", 3600)


def test_an_answer_never_prints_a_token() -> None:
    assert "canary" not in repr(answer(access_token="canary", refresh_token="canary"))


@pytest.mark.parametrize("spelling", ["bearer", "BEARER", "Bearer"])
def test_the_token_type_may_be_spelt_in_any_case(spelling: str) -> None:
    assert answer(token_type=spelling).access_token.reveal() == b"at"


@pytest.mark.parametrize("absent", ["refresh_token", "scope", "expires_in"])
def test_null_is_as_good_as_absent(absent: str) -> None:
    assert getattr(answer(**{absent: None}), absent) is None


@pytest.mark.parametrize("seconds", [1, 10**8])
def test_lifetimes_within_bounds_are_taken(seconds: int) -> None:
    assert answer(expires_in=seconds).expires_in == seconds


@pytest.mark.parametrize("size", [1, 16 * 1024])
def test_tokens_within_bounds_are_taken(size: int) -> None:
    assert len(answer(access_token="x" * size).access_token.reveal()) == size


@pytest.mark.parametrize(
    "change",
    [
        {"token_type": "mac"},
        {"token_type": None},
        {"token_type": 1},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 1},
        {"access_token": "two words"},
        {"access_token": "line\nend"},
        {"access_token": "ünicode"},
        {"access_token": "x" * (16 * 1024 + 1)},
        {"refresh_token": ""},
        {"refresh_token": "two words"},
        {"refresh_token": ["rt"]},
        {"scope": 'a"b'},
        {"scope": ["a"]},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": 10**8 + 1},
        {"expires_in": "3600"},
        {"expires_in": 3600.0},
        {"expires_in": True},
    ],
)
def test_a_good_status_with_a_bad_answer_leaves_us_in_doubt(change: dict[str, Any]) -> None:
    assert parsed({**GOOD, **change}) == TokenError(Meaning.IN_DOUBT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"access_token=at&token_type=bearer",
        b'{"access_token":"at","access_token":"b","token_type":"bearer"}',
        b'{"error":"bad_refresh_token"}',
        b'{"access_token":"at","token_type":"bearer","pad":"' + b"x" * 65_536 + b'"}',
    ],
)
def test_a_good_status_without_an_answer_leaves_us_in_doubt(body: bytes) -> None:
    assert token.parse(200, {}, body) == TokenError(Meaning.IN_DOUBT)


@pytest.mark.parametrize("status", [201, 204, 206])
def test_another_success_is_no_answer(status: int) -> None:
    assert parsed(GOOD, status) == TokenError(Meaning.IN_DOUBT)


def test_only_invalid_grant_with_400_means_that_the_tokens_are_gone() -> None:
    assert parsed({"error": "invalid_grant"}, 400) == TokenError(Meaning.GONE, "invalid_grant")
    for status in (401, 403, 404, 422):
        assert parsed({"error": "invalid_grant"}, status) == TokenError(
            Meaning.REFUSED, "invalid_grant"
        )
    for status in (200, 429, 500, 503):
        found = parsed({"error": "invalid_grant"}, status)
        assert isinstance(found, TokenError)
        assert found.meaning is Meaning.IN_DOUBT


@pytest.mark.parametrize(
    "code", ["invalid_client", "unauthorized_client", "invalid_target", "invalid_scope"]
)
@pytest.mark.parametrize("status", [400, 401])
def test_a_refusal_keeps_its_code(code: str, status: int) -> None:
    assert parsed({"error": code}, status) == TokenError(Meaning.REFUSED, code)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"error":1}', b'{"error":"<b>"}', b'{"error":"' + b"a" * 65 + b'"}']
)
def test_text_of_the_server_is_no_error_code(body: bytes) -> None:
    assert token.parse(403, {}, body) == TokenError(Meaning.REFUSED, None)


def test_an_error_larger_than_the_cap_has_no_code() -> None:
    body = b'{"error":"invalid_grant","pad":"' + b"x" * 65_536 + b'"}'
    assert token.parse(400, {}, body) == TokenError(Meaning.REFUSED, None)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_overloaded_server_may_say_when_to_come_back(status: int) -> None:
    found = token.parse(status, {"retry-after": "7"}, b"")
    assert found == TokenError(Meaning.IN_DOUBT, None, "7")


NOW_MS = 1_795_564_800_000  # 2026-11-25 00:00:00 UTC


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("30", 30),
        ("601", 600),
        ("9" * 5_000, 600),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("Wed, 25 Nov 2026 00:01:00 GMT", 60),
        ("Wed, 25 Nov 2026 00:01:00 -0000", 60),
        ("Tue, 24 Nov 2026 00:00:00 GMT", 0),
        ("Thu, 25 Nov 2027 00:00:00 GMT", 600),
        ("Wed, 99 Nov 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_ten_minutes(
    value: str | None, seconds: int | None
) -> None:
    assert token.retry_after_s(value, NOW_MS) == seconds


@given(st.integers(100, 599), st.binary(max_size=300), st.text(max_size=40))
def test_any_answer_has_a_meaning(status: int, body: bytes, header: str) -> None:
    found = token.parse(status, {"retry-after": header}, body)
    assert isinstance(found, TokenAnswer | TokenError)
    if isinstance(found, TokenError):
        token.retry_after_s(found.retry_after, NOW_MS)


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80),
    st.text(max_size=40),
)
def test_a_form_gives_back_every_value(value: str, resource: str) -> None:
    form = token.refresh_request(PUBLIC, refresh_token=Secret(value.encode()), resource=resource)
    assert fields(form)["refresh_token"] == value
    assert fields(form)["resource"] == resource

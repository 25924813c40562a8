"""Token requests and what their answers mean. Pure: no connection, no clock, no store.

Counterpart: `oauth.client` sends the forms. Tokens are opaque: nothing here looks inside one.
Source: RFC 6749, 2.3.1, 4.1.3, 5 and 6; RFC 8707 (`resource`); security spec, 5 and 6.4 (5).
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from wicketd.domain.json import Json, JsonObject
from wicketd.domain.secret import SecretBytes
from wicketd.oauth.answers import json_object

ANSWER_BYTES_MAX: Final = 64 * 1024
TOKEN_BYTES_MAX: Final = 16 * 1024
EXPIRES_IN_MAX_S: Final = 10**8
RETRY_AFTER_MAX_S: Final = 600
_VISIBLE: Final = frozenset(map(chr, range(0x21, 0x7F)))
_SCOPE: Final = _VISIBLE - {'"', "\\"} | {" "}
_CODE_CHARS_MAX: Final = 64


class AuthMethod(StrEnum):
    """How a client proves itself at the token endpoint."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """Our registration with one issuer. `secret` None: a public client."""

    client_id: str
    secret: SecretBytes | None
    method: AuthMethod


@dataclass(frozen=True, slots=True)
class Form:
    """One POST, ready to write; both parts hold secrets."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Meaning(StrEnum):
    """What a failed token request says about the refresh token that was sent (security spec, 5)."""

    GONE = "gone"
    """400 `invalid_grant`: the only answer after which the tokens are worthless."""
    REFUSED = "refused"
    """Another 4xx: the server looked at the request and redeemed nothing."""
    IN_DOUBT = "in_doubt"
    """429, 5xx, time-out, or an answer that is none: the token may have been redeemed."""
    UNSENT = "unsent"
    """No connection was made; `parse` never says so, the sender does."""


@dataclass(frozen=True, slots=True)
class TokenError:
    """A failed token request. `code`: the server's error code, if it is a plain word."""

    meaning: Meaning
    code: str | None = None
    retry_after: str | None = None
    """The header as sent; see `retry_after_s`."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A valid answer. `expires_in`: seconds of life of the access token, if the server says so."""

    access_token: SecretBytes
    refresh_token: SecretBytes | None
    scope: str | None
    expires_in: int | None


class _Held:
    """A token on its way out of the parser; never prints."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.encode("ascii")

    def reveal(self) -> bytes:
        """The token itself."""
        return self._value


def code_request(
    auth: ClientAuth, *, code: SecretBytes, verifier: SecretBytes, redirect_uri: str, resource: str
) -> Form:
    """Redeems an authorization code; `verifier` proves that we asked for it (RFC 7636)."""
    fields = {
        "grant_type": "authorization_code",
        "code": _text(code),
        "code_verifier": _text(verifier),
        "redirect_uri": redirect_uri,
        "resource": resource,
    }
    return _form(auth, fields)


def refresh_request(auth: ClientAuth, *, refresh_token: SecretBytes, resource: str) -> Form:
    """Asks for new tokens for the same `resource`; no scope, so the grant keeps what it has."""
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": _text(refresh_token),
        "resource": resource,
    }
    return _form(auth, fields)


def revocation_request(auth: ClientAuth, *, token: SecretBytes, hint: str) -> Form:
    """Revokes a token (RFC 7009). `hint`: `access_token` or `refresh_token`."""
    return _form(auth, {"token": _text(token), "token_type_hint": hint})


def parse(status: int, headers: Mapping[str, str], body: bytes) -> TokenAnswer | TokenError:
    """What a token endpoint's answer means. `headers`: lower-case names; `body`: the whole one.

    Source: security spec, 6.4 (5) for a good one and the table of section 5 for the rest.
    """
    if status == 200:
        answer = _answer(body) if len(body) <= ANSWER_BYTES_MAX else None
        return answer if answer is not None else TokenError(Meaning.IN_DOUBT)
    code, retry_after = _error_code(body), headers.get("retry-after")
    if status == 400 and code == "invalid_grant":
        return TokenError(Meaning.GONE, code)
    if 400 <= status < 500 and status != 429:
        return TokenError(Meaning.REFUSED, code)
    return TokenError(Meaning.IN_DOUBT, code, retry_after)


def retry_after_s(value: str | None, now_ms: int) -> int | None:
    """How long a server asks to be left alone, 0 to 600 s; None if it does not say.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    seconds = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp()) - now_ms // 1000
    return min(max(seconds, 0), RETRY_AFTER_MAX_S)


def _form(auth: ClientAuth, fields: dict[str, str]) -> Form:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/x-www-form-urlencoded",
        # A kept-alive connection that the server has just closed would leave us in doubt.
        "Connection": "close",
    }
    secret = auth.secret
    if auth.method is AuthMethod.BASIC and secret is not None:
        # Form encoding (RFC 6749, 2.3.1) without its `+` for a blank, which not every server reads.
        pair = f"{quote(auth.client_id, safe='')}:{quote(secret.reveal(), safe='')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"
    else:
        fields["client_id"] = auth.client_id
        if auth.method is AuthMethod.POST and secret is not None:
            fields["client_secret"] = _text(secret)
    return Form(MappingProxyType(headers), urlencode(fields).encode("ascii"))


def _text(secret: SecretBytes) -> str:
    return secret.reveal().decode("utf-8")


def _answer(body: bytes) -> TokenAnswer | None:
    try:
        return _valid(json_object(body))
    except ValueError:
        return None


def _valid(answer: JsonObject) -> TokenAnswer:
    token_type = answer.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise ValueError("not a bearer token")
    refresh_token = answer.get("refresh_token")
    return TokenAnswer(
        access_token=_token(answer.get("access_token")),
        refresh_token=None if refresh_token is None else _token(refresh_token),
        scope=_scope(answer.get("scope")),
        expires_in=_expires_in(answer.get("expires_in")),
    )


def _token(value: Json) -> SecretBytes:
    if not isinstance(value, str) or not 0 < len(value) <= TOKEN_BYTES_MAX:
        raise ValueError("no token")
    if not _VISIBLE.issuperset(value):
        raise ValueError("a token that could not stand in a header")
    return _Held(value)


def _scope(value: Json) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _SCOPE.issuperset(value):
        raise ValueError("no scope")
    return value


def _expires_in(value: Json) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= EXPIRES_IN_MAX_S:
        raise ValueError("no lifetime")
    return value


def _error_code(body: bytes) -> str | None:
    """The code alone: descriptions are the server's text and go nowhere."""
    if len(body) > ANSWER_BYTES_MAX:
        return None
    try:
        code = json_object(body).get("error")
    except ValueError:
        return None
    if not isinstance(code, str) or not 0 < len(code) <= _CODE_CHARS_MAX:
        return None
    return code if code.replace("_", "").isalnum() and code.isascii() else None

"""How Wicket becomes a client of a provider. Pure.

The order is fixed: an app that an admin registered, a client document at our own URL if that is
switched on, dynamic registration, and then the admin is asked.
Source: security spec, 6.2; RFC 7591; draft-ietf-oauth-client-id-metadata-document.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wicketd.domain.errors import Malformed
from wicketd.domain.json import JsonObject
from wicketd.domain.secret import SecretBytes
from wicketd.net.addresses import is_loopback_host
from wicketd.oauth.answers import json_object
from wicketd.oauth.discovery import AuthorizationServer
from wicketd.oauth.token import AuthMethod, ClientAuth

CLIENT_NAME: Final = "Wicket"
DOCUMENT_PATH: Final = "/oauth/client.json"
_CLIENT_ID_CHARACTERS_MAX: Final = 2_048
_SECRET_CHARACTERS_MAX: Final = 4_096


class Way(StrEnum):
    """How the client id of a flow is come by."""

    STORED = "stored"
    DOCUMENT = "document"
    DYNAMIC = "dynamic"
    ASK_ADMIN = "ask_admin"


class _Answer(msgspec.Struct, frozen=True):
    client_id: str
    client_secret: str | None = None
    token_endpoint_auth_method: str | None = None


def way(
    server: AuthorizationServer,
    *,
    has_client: bool,
    is_preregistered: bool,
    document: str | None,
) -> Way:
    """The first way that is open.

    `has_client`: one is stored for this very issuer; `is_preregistered`: the connector file says
    that only an admin's own app will do; `document`: our client document's URL if it is public and
    switched on.
    """
    if has_client:
        return Way.STORED
    if is_preregistered:
        return Way.ASK_ADMIN
    if document is not None and server.takes_documents:
        return Way.DOCUMENT
    if server.registration_endpoint is not None:
        return Way.DYNAMIC
    return Way.ASK_ADMIN


def method_for(server: AuthorizationServer, *, has_secret: bool) -> AuthMethod:
    """How a client shows itself at the token endpoint.

    Raises:
        Malformed: the provider offers none of the ways that we speak.
    """
    if not has_secret:
        return AuthMethod.NONE
    for method in (AuthMethod.BASIC, AuthMethod.POST):
        if method in server.auth_methods:
            return method
    raise Malformed("The provider takes client secrets in no way that Wicket speaks.")


def registration(
    server: AuthorizationServer, redirect_uri: str, scopes: tuple[str, ...]
) -> JsonObject:
    """The document of a dynamic registration (RFC 7591, 2).

    A public client is asked for where the provider knows them: no secret, nothing to keep.
    """
    has_secret = AuthMethod.NONE not in server.auth_methods
    fields: JsonObject = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method_for(server, has_secret=has_secret),
        "application_type": _application_type(redirect_uri),
    }
    if scopes:
        fields["scope"] = " ".join(scopes)
    return fields


def read_answer(
    status: int, body: bytes, server: AuthorizationServer, wrap: Callable[[bytes], SecretBytes]
) -> ClientAuth:
    """The client that a dynamic registration made (RFC 7591, 3.2.1). `wrap`: makes a secret.

    Raises:
        Malformed: it was refused, or the answer cannot be used.
    """
    if status not in {200, 201}:
        raise Malformed("The provider refused to register Wicket as a client.")
    try:
        answer = msgspec.convert(json_object(body), _Answer)
    except ValueError:
        # The error would quote the answer, which holds a secret.
        raise Malformed("The provider's answer to the registration cannot be read.") from None
    if not is_client_id(answer.client_id):
        raise Malformed("The provider registered Wicket under an unusable client id.")
    text = answer.client_secret or None
    if answer.token_endpoint_auth_method == AuthMethod.NONE:
        text = None
    if text is not None and not is_secret(text):
        raise Malformed("The provider gave Wicket an unusable client secret.")
    method = method_for(server, has_secret=text is not None)
    if answer.token_endpoint_auth_method not in {None, method}:
        raise Malformed("The provider registered Wicket for a way to authenticate it never listed.")
    return ClientAuth(
        answer.client_id, None if text is None else wrap(text.encode("ascii")), method
    )


def document(url: str, redirect_uris: tuple[str, ...]) -> bytes:
    """The client document at our own URL, which is its client id, JSON."""
    return msgspec.json.encode(
        {
            "client_id": url,
            "client_name": CLIENT_NAME,
            "redirect_uris": list(redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": AuthMethod.NONE,
        }
    )


def document_url(public_url: str | None, *, is_on: bool) -> str | None:
    """The URL of our client document, if it is switched on and providers can reach it."""
    parts = urlsplit(public_url or "")
    if not is_on or parts.scheme != "https" or is_loopback_host(parts.hostname or ""):
        return None
    return f"{public_url}{DOCUMENT_PATH}"


def is_client_id(text: str) -> bool:
    """Whether a client id has 1 to 2,048 printable ASCII characters (RFC 6749, appendix A.1)."""
    return _is_printable(text, _CLIENT_ID_CHARACTERS_MAX)


def is_secret(text: str) -> bool:
    """Whether a client secret has 1 to 4,096 printable ASCII characters (RFC 6749, A.2)."""
    return _is_printable(text, _SECRET_CHARACTERS_MAX)


def _is_printable(text: str, most: int) -> bool:
    """Blanks may stand inside: at an end they come from a paste."""
    is_ascii = all("\x20" <= each <= "\x7e" for each in text)
    return 0 < len(text) <= most and is_ascii and text == text.strip()


def _application_type(redirect_uri: str) -> str:
    host = urlsplit(redirect_uri).hostname or ""
    return "native" if is_loopback_host(host) else "web"

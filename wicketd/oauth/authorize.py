"""What a member's browser takes to the provider: state, PKCE challenge, authorization URL. Pure.

Counterpart: `callback` judges what it brings back.
Source: security spec, 6.3; RFC 6749, 4.1.1; RFC 7636; RFC 8707.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from wicketd.domain.errors import Malformed

STATE_BYTES: Final = 32
VERIFIER_BYTES: Final = 48
"""Base64url makes 64 characters of them (RFC 7636 admits 43 to 128)."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """The parameters that a provider shows its own consent page for."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    verifier: str
    resource: str


def state(entropy: bytes) -> str:
    """A state of `STATE_BYTES` random bytes: 43 characters."""
    return _base64url(entropy)


def verifier(entropy: bytes) -> str:
    """A code verifier of `VERIFIER_BYTES` random bytes: 64 characters."""
    return _base64url(entropy)


def challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    return _base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def url(endpoint: str, request: AuthorizationRequest) -> str:
    """The authorization URL: the parsed endpoint with its own query kept, then our parameters.

    Raises:
        Malformed: the endpoint's own query names one of our parameters.
    """
    ours = {
        "response_type": "code",
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "state": request.state,
        "code_challenge": challenge(request.verifier),
        "code_challenge_method": "S256",
        "resource": request.resource,
    }
    if request.scopes:
        ours["scope"] = " ".join(request.scopes)
    parts = urlsplit(endpoint)
    own = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if own & (ours.keys() | {"scope", "response_mode", "request", "request_uri"}):
        raise Malformed("The provider's authorization_endpoint sets a parameter that is ours.")
    added = urlencode(ours, quote_via=quote)
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

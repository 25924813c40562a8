"""Cookies and form tokens: how a browser is known, and how a form is known to be ours.

The session's token is opaque and its store is `services.web_sessions`; nothing of it is readable
here. Source: security spec, section 7.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wicketd.vault.secret import Secret

_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{43}")
_KEPT_S: Final = 7 * 24 * 3600
TOKEN_BYTES: Final = 32


class Digests(Protocol):
    """The keyed digests of `vault.sealing.Sealer`."""

    def digest(self, label: str, data: bytes) -> bytes:
        """Under the active server key."""

    def digests(self, label: str, data: bytes) -> Mapping[str, bytes]:
        """Under every server key, by its id."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a browser showed. None: nothing, twice, or of another shape."""

    session: Secret | None
    prelogin: Secret | None


class Cookies:
    """The two cookies. Plain names only where the portal itself is plain http, on loopback."""

    def __init__(self, *, is_https: bool) -> None:
        prefix, secure = ("__Host-", "; Secure") if is_https else ("", "")
        self.session = f"{prefix}wicket"
        self.prelogin = f"{prefix}wicket-pre"
        self._attributes = f"; Path=/; HttpOnly; SameSite=Lax{secure}"

    def read(self, headers: Sequence[tuple[bytes, bytes]]) -> Presented:
        """The tokens of a request; a name that comes twice counts as absent."""
        found: dict[str, list[bytes]] = {}
        for name, value in headers:
            if name == b"cookie":
                for part in value.split(b";"):
                    key, _, text = part.strip().partition(b"=")
                    found.setdefault(key.decode("latin-1"), []).append(text)
        return Presented(_token(found, self.session), _token(found, self.prelogin))

    def start(self, token: Secret) -> bytes:
        """Sets the session's cookie."""
        return self._set(self.session, token.reveal().decode("ascii"), f"; Max-Age={_KEPT_S}")

    def start_prelogin(self, token: Secret) -> bytes:
        """Sets the cookie of a browser that has not signed in; it goes with the browser."""
        return self._set(self.prelogin, token.reveal().decode("ascii"), "")

    def end(self) -> bytes:
        """Takes the session's cookie back."""
        return self._set(self.session, "", "; Max-Age=0")

    def end_prelogin(self) -> bytes:
        """Takes the other one back."""
        return self._set(self.prelogin, "", "; Max-Age=0")

    def _set(self, name: str, value: str, lifetime: str) -> bytes:
        return f"{name}={value}{self._attributes}{lifetime}".encode("ascii")


def prelogin_token(entropy: bytes) -> Secret:
    """A token of `TOKEN_BYTES` random bytes as the cookie holds it."""
    return Secret(base64.urlsafe_b64encode(entropy).rstrip(b"="))


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose form it is: a session, or a browser before it signs in."""

    label: str
    token: Secret


class FormTokens:
    """CSRF tokens: HMAC(K("csrf"), MAC of the holder's token ‖ form), base64url.

    `form`: the path that the form posts to, so that one form's token opens no other form.
    """

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    def mint(self, holder: Holder, form: str) -> str:
        """The token of one form."""
        mac = self._digests.digest(holder.label, holder.token.reveal())
        return _text(self._digests.digest("csrf", mac + form.encode()))

    def is_right(self, token: str, holder: Holder, form: str) -> bool:
        """Whether the token is this form's, minted under any server key."""
        given = token.encode("utf-8", "replace")
        rights = [
            _text(right).encode()
            for mac in self._digests.digests(holder.label, holder.token.reveal()).values()
            for right in self._digests.digests("csrf", mac + form.encode()).values()
        ]
        return any(hmac.compare_digest(given, right) for right in rights)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _token(found: Mapping[str, list[bytes]], name: str) -> Secret | None:
    values = found.get(name, [])
    if len(values) != 1 or _TOKEN.fullmatch(values[0]) is None:
        return None
    return Secret(values[0])

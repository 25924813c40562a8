"""What lies inside the token layers: one JSON record per connection. Counterpart: `sealing`.

Source: security spec, section 2.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.secret import Secret

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A credential for one upstream. Times are ms since 1970 UTC; `resource` is the upstream's URL.

    A static token has neither refresh token, scope, expiry nor issuer.
    """

    access_token: Secret
    token_type: str
    obtained_at: int
    resource: str
    refresh_token: Secret | None = None
    scope: str | None = None
    expires_at: int | None = None
    issuer: str | None = None


class _Wire(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    # No default: `v` is always written. The others are left out where they are absent.
    v: int
    access_token: str
    token_type: str
    obtained_at: int
    resource: str
    refresh_token: str | None = None
    scope: str | None = None
    expires_at: int | None = None
    issuer: str | None = None


def encode(record: TokenRecord) -> bytes:
    """The plaintext to seal: JSON, UTF-8."""
    refresh = record.refresh_token
    return msgspec.json.encode(
        _Wire(
            v=_VERSION,
            access_token=record.access_token.reveal().decode("ascii"),
            token_type=record.token_type,
            obtained_at=record.obtained_at,
            resource=record.resource,
            refresh_token=refresh.reveal().decode("ascii") if refresh else None,
            scope=record.scope,
            expires_at=record.expires_at,
            issuer=record.issuer,
        )
    )


def decode(plaintext: bytes) -> TokenRecord:
    """Reads an opened record.

    Raises:
        DecryptFailed: it is no token record; the message says nothing of its content.
    """
    try:
        wire = msgspec.json.decode(plaintext, type=_Wire)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DecryptFailed from None
    if wire.v != _VERSION:
        raise DecryptFailed
    refresh = wire.refresh_token
    return TokenRecord(
        access_token=Secret(wire.access_token.encode("ascii", "replace")),
        token_type=wire.token_type,
        obtained_at=wire.obtained_at,
        resource=wire.resource,
        refresh_token=Secret(refresh.encode("ascii", "replace")) if refresh else None,
        scope=wire.scope,
        expires_at=wire.expires_at,
        issuer=wire.issuer,
    )

"""`audit.pub`: the public audit keys, each new one announced under an older one. Pure.

A line is `<kid> <base64 key>` for the first key and `<kid> <base64 key> <older kid> <base64
signature>` for each further one, so that a reader who trusts the first key trusts all. Counterpart:
`checkpoint`, which needs the keys. Source: security spec, section 10.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_BYTES: Final = 32
_FIRST_FIELDS: Final = 2
_ANNOUNCED_FIELDS: Final = 4


class PublicKeysMalformed(ValueError):
    """The text is no list of audit keys, or a key in it is not announced."""


def render(publics: Mapping[str, bytes], sign_with: Callable[[str, bytes], bytes]) -> str:
    """The file's text. `publics`: by kid, oldest first; `sign_with(kid, data)` signs."""
    lines = []
    older: str | None = None
    for kid, public in publics.items():
        line = f"{kid} {_encode(public)}"
        if older is not None:
            line += f" {older} {_encode(sign_with(older, _announcement(kid, public)))}"
        lines.append(line + "\n")
        older = kid
    return "".join(lines)


def parse(text: str) -> dict[str, bytes]:
    """The keys by kid. Empty lines and lines that begin with `#` are passed over.

    Raises:
        PublicKeysMalformed: another form, or an announcement that does not hold.
    """
    keys: dict[str, bytes] = {}
    for line in text.splitlines():
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != (_ANNOUNCED_FIELDS if keys else _FIRST_FIELDS) or fields[0] in keys:
            raise PublicKeysMalformed("A line of audit.pub is not `kid key [older-kid signature]`.")
        public = _decode(fields[1])
        if len(public) != _KEY_BYTES:
            raise PublicKeysMalformed("A key of audit.pub is not 32 bytes in base64.")
        if keys:
            _check(fields[0], public, keys.get(fields[2]), _decode(fields[3]))
        keys[fields[0]] = public
    if not keys:
        raise PublicKeysMalformed("audit.pub lists no key.")
    return keys


def _check(kid: str, public: bytes, older: bytes | None, signature: bytes) -> None:
    message = f"Key {kid} of audit.pub is not announced by a key above it."
    if older is None:
        raise PublicKeysMalformed(message)
    try:
        Ed25519PublicKey.from_public_bytes(older).verify(signature, _announcement(kid, public))
    except InvalidSignature:
        raise PublicKeysMalformed(message) from None


def _announcement(kid: str, public: bytes) -> bytes:
    return b"wicket/v1/audit-key\0" + kid.encode("ascii") + b"\0" + public


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""

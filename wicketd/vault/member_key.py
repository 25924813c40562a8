"""The member key as text, and the keyed verifier stored in its place.

`wkt_<43 base62 secret>_<8 base62 key id><6 base62 crc>`: 62 ASCII characters. Invariant: the key
itself is never stored; the key id is public and comes last, so a suffix shows no secret bit.
Source: security spec, 3.
"""

import hmac
import re
import zlib
from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import KeyId
from wicketd.domain.ports import Random
from wicketd.domain.secret import SecretBytes
from wicketd.vault.secret import Secret

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_BYTES: Final = 32
KEY_ID_CHARS: Final = 8
_SECRET_CHARS: Final = 43
_CRC_CHARS: Final = 6
_CHECKED_CHARS: Final = 56
_TEXT: Final = re.compile(r"wkt_([0-9A-Za-z]{43})_([0-9A-Za-z]{8})([0-9A-Za-z]{6})")
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `text` is shown once; nothing but the verifier and the seal half is kept."""

    text: Secret
    key_id: KeyId
    secret: Secret


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A presented key whose form and checksum are right; whether it is valid is not yet known."""

    key_id: KeyId
    secret: Secret


@dataclass(frozen=True, slots=True)
class VerifierRow:
    """What a presented key is checked against."""

    key_id: KeyId
    agent_id: str
    member_id: str
    verifier: bytes


_NO_ID: Final = "00000000-0000-7000-8000-000000000000"
UNKNOWN: Final = VerifierRow(KeyId("00000000"), _NO_ID, _NO_ID, bytes(32))
"""Stands in for a key id that no row has, so that unknown and wrong keys run the same code."""


def generate(random: Random, key_id: KeyId | None = None) -> NewKey:
    """Makes a key from 32 random bytes; `key_id` only where a test fixes it."""
    secret = random.bytes(SECRET_BYTES)
    if key_id is None:
        number = int.from_bytes(random.bytes(16), "big") % len(ALPHABET) ** KEY_ID_CHARS
        key_id = KeyId(_base62(number, KEY_ID_CHARS))
    return NewKey(Secret(_spell(secret, key_id).encode("ascii")), key_id, Secret(secret))


def parse(text: bytes | str) -> ParsedKey | None:
    """Checks length, alphabet, range and CRC; None for anything but a well-formed key.

    No look-up is made.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    digits, key_id, crc = match.groups()
    if _base62(zlib.crc32(text[:_CHECKED_CHARS].encode("ascii")), _CRC_CHARS) != crc:
        return None
    number = 0
    for digit in digits:
        number = number * 62 + _VALUES[digit]
    if number.bit_length() > SECRET_BYTES * 8:
        return None
    return ParsedKey(KeyId(key_id), Secret(number.to_bytes(SECRET_BYTES, "big")))


def verifier(
    subkey: bytes, key_id: KeyId, agent_id: str, member_id: str, secret: SecretBytes
) -> bytes:
    """The stored HMAC.

    `subkey`: K("member-verifier") of the row's kid, so a database writer mints no keys.

    Agent and member are inside: an edited row makes the key fail.
    """
    parts = (key_id.encode("ascii"), agent_id.encode(), member_id.encode(), secret.reveal())
    message = b"wicket/v1/member-verifier\0" + b"\0".join(parts)
    return hmac.digest(subkey, message, "sha256")


def matches(expected: bytes, got: bytes) -> bool:
    """Compares two verifiers in constant time."""
    return hmac.compare_digest(expected, got)


def _spell(secret: bytes, key_id: KeyId) -> str:
    checked = f"wkt_{_base62(int.from_bytes(secret, 'big'), _SECRET_CHARS)}_{key_id}"
    return checked + _base62(zlib.crc32(checked.encode("ascii")), _CRC_CHARS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))

"""Signed statements about the first rows of the log, as C2SP tlog-checkpoint notes. Pure.

Invariant: a note that parses has exactly one reading, and says size and root together: size alone
would miss a rewrite of the same length. Counterparts: `vault.keyring.AuditKey` signs, `verify`
compares. Source: security spec, section 10; C2SP signed-note and tlog-checkpoint.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wicketd.audit.chain import HASH_BYTES

MAX_NOTE_BYTES: Final = 65_536
_ED25519: Final = b"\x01"
_KEY_HASH_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_ORIGIN: Final = re.compile(r"wicket/([0-9a-f]{32})/audit/([1-9][0-9]{0,17})")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNATURE: Final = re.compile(r"— (\S+) (\S+)")


class Signer(Protocol):
    """The audit key."""

    @property
    def public(self) -> bytes:
        """Its 32 public bytes."""

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""


class NoteMalformed(ValueError):
    """The text is no checkpoint note of this program."""


class Trust(StrEnum):
    """What the keys at hand say of a note."""

    GOOD = "good"
    BAD = "bad"
    """A known key's signature that does not fit the text."""
    UNKNOWN = "unknown"
    """Signed by none of the keys."""


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note. `text`: the signed bytes; `signatures`: (name, key hash, signature)."""

    install_id: bytes
    epoch: int
    size: int
    root: bytes
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def trust(self, publics: Iterable[bytes]) -> Trust:
        """Whether one of the public keys signed it. `publics`: 32 bytes each."""
        name = origin(self.install_id, self.epoch)
        known = {key_hash(name, public): public for public in publics}
        verdict = Trust.UNKNOWN
        for signer, hashed, signature in self.signatures:
            if signer != name or hashed not in known:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(known[hashed]).verify(signature, self.text)
            except InvalidSignature:
                return Trust.BAD
            verdict = Trust.GOOD
        return verdict


def origin(install_id: bytes, epoch: int) -> str:
    """The log's name, which is also the name of its signing key."""
    return f"wicket/{install_id.hex()}/audit/{epoch}"


def key_hash(name: str, public: bytes) -> bytes:
    """The 4 bytes by which a signature line names its key (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_HASH_BYTES]


def sign(signer: Signer, install_id: bytes, epoch: int, size: int, root: bytes) -> str:
    """The note: origin, size and root, an empty line, the signature line."""
    name = origin(install_id, epoch)
    text = f"{name}\n{size}\n{_encode(root)}\n"
    signature = key_hash(name, signer.public) + signer.sign(text.encode())
    return f"{text}\n— {name} {_encode(signature)}\n"


def parse(note: str) -> Note:
    """Reads a note strictly; nothing in it is trusted before `Note.trust`.

    Raises:
        NoteMalformed: another form.
    """
    text, separator, signatures = note.partition("\n\n")
    lines = text.split("\n")
    log = _ORIGIN.fullmatch(lines[0])
    is_note = separator and signatures.endswith("\n") and len(note) <= MAX_NOTE_BYTES
    if not is_note or log is None or len(lines) != 3 or not _SIZE.fullmatch(lines[1]):
        raise NoteMalformed("This is no checkpoint of an audit log.")
    return Note(
        install_id=bytes.fromhex(log[1]),
        epoch=int(log[2]),
        size=int(lines[1]),
        root=_decode(lines[2], HASH_BYTES),
        text=text.encode() + b"\n",
        signatures=tuple(_signature(line) for line in signatures[:-1].split("\n")),
    )


def _signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise NoteMalformed("A signature line of this checkpoint is malformed.")
    data = _decode(match[2], _KEY_HASH_BYTES + _SIGNATURE_BYTES)
    return match[1], data[:_KEY_HASH_BYTES], data[_KEY_HASH_BYTES:]


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str, length: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length or _encode(data) != text:
        raise NoteMalformed("A value of this checkpoint is not canonical base64 of its length.")
    return data

"""The format of every ciphertext column. Sans-IO: keys and nonces are arguments.

Invariant: what opens is what was sealed, in the very row, column, owner, destination and
generation; everything else is `DecryptFailed`, never plaintext and never a second key. Source:
security spec, section 2.
"""

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT: Final = 1
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
EPHEMERAL_BYTES: Final = 32
_PREFIX_BYTES: Final = 4
_SERVER_KID: Final = re.compile(rb"[a-z0-9-]{1,16}")
_MEMBER_KID: Final = re.compile(rb"[0-9A-Za-z]{8}")


class DecryptFailed(Exception):
    """The envelope does not open here: malformed, of another place, another key, or altered.

    Says no more.
    """

    def __init__(self) -> None:
        super().__init__("The ciphertext does not open in this place.")


class Suite(IntEnum):
    """How the content key was come by."""

    SYMMETRIC = 1
    DEPOSIT = 2


class Layer(IntEnum):
    """Whose key closes the envelope."""

    SERVER = 1
    MEMBER = 2
    OUTER = 3


@dataclass(frozen=True, slots=True)
class Aad:
    """The place a ciphertext is bound to.

    Names are constants of the vault: a renamed table keeps its old one.
    """

    table: str
    column: str
    row_id: str
    agent_id: str = ""
    member_id: str = ""
    connector: str = ""
    issuer: str = ""
    origin: str = ""
    placement: str = ""
    generation: int = 0

    def encode(self, header: bytes, install_id: bytes) -> bytes:
        """The associated data: each field behind its length, an absent one with length 0."""
        texts = (
            self.table,
            self.column,
            self.row_id,
            self.agent_id,
            self.member_id,
            self.connector,
            self.issuer,
            self.origin,
            self.placement,
        )
        fields = (header, install_id, *(text.encode() for text in texts))
        generation = struct.pack(">Q", self.generation)
        return b"wicket/aad/v1\0" + b"".join(
            struct.pack(">H", len(value)) + value for value in (*fields, generation)
        )


@dataclass(frozen=True, slots=True)
class Header:
    """What an envelope says of itself in the clear.

    `kid`: the server key's, or the member key id.
    """

    suite: Suite
    layer: Layer
    kid: str

    def encode(self) -> bytes:
        """Byte 0 to the end of the kid."""
        kid = self.kid.encode("ascii")
        return bytes((FORMAT, self.suite, self.layer, len(kid))) + kid


def header(envelope: bytes) -> Header:
    """Reads the clear head of an envelope; it proves nothing until the envelope opens.

    Raises:
        DecryptFailed: no envelope of this format.
    """
    if len(envelope) < _PREFIX_BYTES or envelope[0] != FORMAT:
        raise DecryptFailed
    try:
        suite, layer = Suite(envelope[1]), Layer(envelope[2])
    except ValueError:
        raise DecryptFailed from None
    kid = envelope[_PREFIX_BYTES : _PREFIX_BYTES + envelope[3]]
    form = _MEMBER_KID if layer is Layer.MEMBER else _SERVER_KID
    if len(kid) != envelope[3] or not form.fullmatch(kid):
        raise DecryptFailed
    if suite is Suite.DEPOSIT and layer is not Layer.MEMBER:
        raise DecryptFailed
    return Header(suite, layer, kid.decode("ascii"))


@dataclass(frozen=True, slots=True)
class Lock:
    """One content key in one place: all that sealing and opening need beside the bytes.

    `ephemeral`: of a deposit, the public key that its content key was agreed with.
    """

    key: bytes
    header: Header
    aad: Aad
    install_id: bytes
    ephemeral: bytes = b""


def seal(lock: Lock, plaintext: bytes, nonce: bytes) -> bytes:
    """The envelope of `plaintext`.

    `nonce`: 12 fresh random bytes, never used twice with one key.
    """
    head = lock.header.encode()
    aad = lock.aad.encode(head, lock.install_id)
    return head + lock.ephemeral + nonce + AESGCM(lock.key).encrypt(nonce, plaintext, aad)


def ephemeral(envelope: bytes) -> bytes:
    """The public key inside a deposit.

    Raises:
        DecryptFailed: no deposit.
    """
    head = header(envelope)
    start = _PREFIX_BYTES + len(head.kid)
    value = envelope[start : start + EPHEMERAL_BYTES]
    if head.suite is not Suite.DEPOSIT or len(value) != EPHEMERAL_BYTES:
        raise DecryptFailed
    return value


def unseal(lock: Lock, envelope: bytes) -> bytes:
    """Opens with exactly the key, header and place of `lock`.

    Raises:
        DecryptFailed: anything differs.
    """
    if header(envelope) != lock.header:
        raise DecryptFailed
    head = lock.header.encode()
    start = len(head) + (EPHEMERAL_BYTES if lock.header.suite is Suite.DEPOSIT else 0)
    nonce = envelope[start : start + NONCE_BYTES]
    sealed = envelope[start + NONCE_BYTES :]
    if envelope[len(head) : start] != lock.ephemeral or len(sealed) < TAG_BYTES:
        raise DecryptFailed
    try:
        return AESGCM(lock.key).decrypt(nonce, sealed, lock.aad.encode(head, lock.install_id))
    except InvalidTag:
        raise DecryptFailed from None

"""The server keyring and the audit signing key.

Counterpart: `key_file` finds and reads the files. Invariant: roots are never used directly; one
label, one job; a ciphertext's kid chooses exactly one key. Source: security spec, section 1.
"""

import hmac
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wicketd.domain.errors import KeyringInvalid
from wicketd.domain.ports import Random
from wicketd.vault import key_file
from wicketd.vault.secret import Secret

LABELS: Final = frozenset(
    {
        "outer-wrap",
        "pending-token",
        "app-secret",
        "member-verifier",
        "login-code",
        "session",
        "csrf",
        "totp",
        "audit-args",
        "refresh-intent",
        "keyring-check",
        "seal-public",
        "policy-revision",
        "signin-link",
        "oauth-flow",
        "oauth-state",
        "pre-login",
        "invite",
        "backup-code",
        "audit-digest",
        "request-state",
        "tool-session",
    }
)
"""Every job a subkey may have. Closed: another label is a programming error."""

INSTALL_ID_BYTES: Final = 16
MAX_KEYS: Final = 16
_KID: Final = re.compile(r"[a-z0-9-]{1,16}")
_CREATED: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class _Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kid: str
    alg: Literal["A256GCM"]
    created: str
    state: Literal["active", "decrypt"]
    key: str


class _Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: Literal[1]
    active: str
    keys: list[_Key]


class _SigningKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kid: str
    alg: Literal["Ed25519"]
    created: str
    key: str


class _SigningKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: Literal[1]
    active: str
    keys: list[_SigningKey]


@dataclass(frozen=True, slots=True)
class _Ring:
    active: str
    roots: Mapping[str, Secret]
    subkeys: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)


class Keyring:
    """Root keys bound to one installation; gives subkeys only.

    `install_id`: 16 random bytes in the database. A rotation is taken in by `swap`: one reference
    is replaced, so whoever holds this object works with the new keys from then on.
    """

    def __init__(self, active: str, roots: Mapping[str, Secret], install_id: bytes) -> None:
        self._ring = _Ring(active, roots)
        self.install_id = install_id

    @property
    def active(self) -> str:
        """The kid under which everything new is sealed."""
        return self._ring.active

    @property
    def roots(self) -> Mapping[str, Secret]:
        """The root keys by kid."""
        return self._ring.roots

    @property
    def kids(self) -> tuple[str, ...]:
        """Every kid of the ring; the active one is among them."""
        return tuple(self._ring.roots)

    def swap(self, file: "KeyringFile") -> None:
        """Puts another file's keys in place of these. Whoever calls it has checked `may_start`."""
        self._ring = _Ring(file.active, file.roots)

    def subkey(self, kid: str, label: str) -> bytes:
        """K(label) under `kid`: 32 bytes by HKDF-SHA256, derived once.

        Raises:
            KeyError: the ring has no such kid.
            ValueError: no such label.
        """
        return self._derived(self._ring, kid, label)

    def subkeys(self, label: str) -> dict[str, bytes]:
        """K(label) under every kid of one and the same ring, the active one first."""
        ring = self._ring
        kids = sorted(ring.roots, key=lambda kid: kid != ring.active)
        return {kid: self._derived(ring, kid, label) for kid in kids}

    def _derived(self, ring: _Ring, kid: str, label: str) -> bytes:
        known = ring.subkeys.get((kid, label))
        if known is not None:
            return known
        if label not in LABELS:
            raise ValueError("A subkey label must be one of LABELS.")
        info = b"wicket/v1/srv/" + label.encode("ascii")
        derived = HKDF(SHA256(), 32, self.install_id, info).derive(ring.roots[kid].reveal())
        ring.subkeys[kid, label] = derived
        return derived

    def check_value(self, kid: str) -> bytes:
        """What `meta.keyring_check:<kid>` must hold, so that a wrong key shows at start."""
        message = b"wicket/v1/keyring-check" + self.install_id
        return hmac.digest(self.subkey(kid, "keyring-check"), message, "sha256")

    def may_start(self, stored: Mapping[str, bytes], named: Sequence[str]) -> tuple[str, ...]:
        """Compares with `meta` and the rows; gives the kids whose check value is to be written.

        `stored`: check values by kid; `named`: every kid that a row or verifier names.

        Raises:
            KeyringInvalid: a named kid is missing, a check value differs or has gone.
        """
        for kid in sorted(set(named)):
            if kid not in self.roots:
                message = f"The keyring has no key {kid}, which rows of the database name."
                raise KeyringInvalid(message, hint="Restore the keyring that holds it.")
            if kid not in stored:
                message = f"The database has rows under key {kid} but no check value of it."
                raise KeyringInvalid(message, hint="Restore the database from your backup.")
        for kid in self.roots:
            if kid in stored and not hmac.compare_digest(stored[kid], self.check_value(kid)):
                message = f"Key {kid} of the keyring is not the key of this database."
                raise KeyringInvalid(message, hint="Restore the keyring that belongs to it.")
        return tuple(kid for kid in self.roots if kid not in stored)


@dataclass(frozen=True, slots=True)
class KeyringFile:
    """A checked `server.keyring`. `source`: where it came from, for `doctor`."""

    active: str
    roots: Mapping[str, Secret]
    created: Mapping[str, str]
    source: str

    def bind(self, install_id: bytes) -> Keyring:
        """The keyring of one installation. `install_id`: 16 bytes."""
        if len(install_id) != INSTALL_ID_BYTES:
            raise ValueError("An install id has 16 bytes.")
        return Keyring(self.active, self.roots, install_id)


def parse(data: bytes, source: str = "bytes") -> KeyringFile:
    """Reads the JSON of `server.keyring` strictly.

    Raises:
        KeyringInvalid: any departure from the format, or a key that must not be used.
    """
    ring = key_file.decode(data, _Keys, "server keyring")
    _check_entries(ring.active, ring.keys, "server keyring")
    active = [entry.kid for entry in ring.keys if entry.state == "active"]
    if active != [ring.active]:
        key_file.refuse(
            "The server keyring must have exactly one active key, the one that it names.",
            "Restore it from your backup.",
        )
    roots = {entry.kid: Secret(key_file.decode_key(entry.key, entry.kid)) for entry in ring.keys}
    return KeyringFile(ring.active, roots, {key.kid: key.created for key in ring.keys}, source)


def load(explicit: Path | None, environ: Mapping[str, str]) -> KeyringFile:
    """Reads the keyring from the first source that exists: systemd credential, path, descriptor.

    Raises:
        KeyringInvalid: there is none, or it is refused.
    """
    data, source = key_file.read(key_file.SERVER_KEYRING, explicit, environ)
    return parse(data, source)


def generate(created_iso: str, random: Random, kid: str = "k1") -> bytes:
    """The JSON of a new keyring with one active key. `created_iso`: `YYYY-MM-DDThh:mm:ssZ`."""
    key = key_file.encode_key(random.bytes(key_file.KEY_BYTES))
    entry = _Key(kid=kid, alg="A256GCM", created=created_iso, state="active", key=key)
    return _spelled(_Keys(v=1, active=kid, keys=[entry]))


def rotated(data: bytes, created_iso: str, random: Random) -> tuple[bytes, str]:
    """The JSON of the same keyring with a new active key, and its kid; the others only decrypt.

    Raises:
        KeyringInvalid: `data` is no good keyring, or it is full.
    """
    parse(data)
    ring = key_file.decode(data, _Keys, "server keyring")
    if len(ring.keys) == MAX_KEYS:
        key_file.refuse(
            f"The keyring holds {MAX_KEYS} keys and takes no more.",
            'Retire old ones: "wicketd keyring status" shows which are free.',
        )
    kid = _next_kid([key.kid for key in ring.keys])
    older = [msgspec.structs.replace(key, state="decrypt") for key in ring.keys]
    secret = key_file.encode_key(random.bytes(key_file.KEY_BYTES))
    new = _Key(kid=kid, alg="A256GCM", created=created_iso, state="active", key=secret)
    return _spelled(_Keys(v=1, active=kid, keys=[*older, new])), kid


def without(data: bytes, kid: str) -> bytes:
    """The JSON of the same keyring without `kid`.

    Raises:
        KeyringInvalid: `data` is no good keyring, or `kid` is its active key or none of its keys.
    """
    ring = key_file.decode(data, _Keys, "server keyring")
    if kid == ring.active:
        key_file.refuse(f"{kid} is the active key.", 'Add another first: "wicketd keyring rotate".')
    left = [key for key in ring.keys if key.kid != kid]
    if len(left) == len(ring.keys):
        key_file.refuse(f"The keyring has no key {kid[:40]}.", 'See "wicketd keyring status".')
    return _spelled(msgspec.structs.replace(ring, keys=left))


def _next_kid(taken: Sequence[str]) -> str:
    """The number behind the highest `k<number>`: a retired kid may still stand in backups."""
    numbers = [int(kid[1:]) for kid in taken if re.fullmatch(r"k\d{1,14}", kid)]
    return f"k{max(numbers, default=0) + 1}"


def _spelled(ring: _Keys) -> bytes:
    data = msgspec.json.encode(ring) + b"\n"
    parse(data)
    return data


@dataclass(frozen=True, slots=True)
class AuditKey:
    """The checked `audit.key`: signs checkpoints with its active key."""

    kid: str
    signers: Mapping[str, Ed25519PrivateKey] = field(repr=False)
    source: str

    @property
    def public(self) -> bytes:
        """The 32 public bytes of the active key."""
        return self.publics[self.kid]

    @property
    def publics(self) -> Mapping[str, bytes]:
        """Public bytes by kid, oldest first: what `audit.pub` lists."""
        return {kid: key.public_key().public_bytes_raw() for kid, key in self.signers.items()}

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature (64 bytes) by the active key."""
        return self.signers[self.kid].sign(data)

    def sign_with(self, kid: str, data: bytes) -> bytes:
        """Signature by an older key: announces its successor in `audit.pub`."""
        return self.signers[kid].sign(data)


def parse_audit_key(data: bytes, source: str = "bytes") -> AuditKey:
    """Reads the JSON of `audit.key` strictly.

    Raises:
        KeyringInvalid: any departure from the format, or a key that must not be used.
    """
    ring = key_file.decode(data, _SigningKeys, "audit key")
    _check_entries(ring.active, ring.keys, "audit key")
    private = Ed25519PrivateKey.from_private_bytes
    signers = {key.kid: private(key_file.decode_key(key.key, key.kid)) for key in ring.keys}
    return AuditKey(ring.active, signers, source)


def load_audit_key(explicit: Path | None, environ: Mapping[str, str]) -> AuditKey:
    """Reads the audit key from the first source that exists, under the same rules as the keyring.

    Raises:
        KeyringInvalid: there is none, or it is refused.
    """
    data, source = key_file.read(key_file.AUDIT_KEY, explicit, environ)
    return parse_audit_key(data, source)


def generate_audit_key(created_iso: str, random: Random, kid: str = "a1") -> bytes:
    """The JSON of a new audit key. `created_iso`: `YYYY-MM-DDThh:mm:ssZ`."""
    key = key_file.encode_key(random.bytes(key_file.KEY_BYTES))
    entry = _SigningKey(kid=kid, alg="Ed25519", created=created_iso, key=key)
    data = msgspec.json.encode(_SigningKeys(v=1, active=kid, keys=[entry])) + b"\n"
    parse_audit_key(data)
    return data


class _Entry(Protocol):
    @property
    def kid(self) -> str: ...

    @property
    def created(self) -> str: ...


def _check_entries(active: str, entries: Sequence[_Entry], noun: str) -> None:
    refuse = partial(key_file.refuse, hint="Restore it from your backup.")
    if not 1 <= len(entries) <= MAX_KEYS:
        refuse(f"The {noun} must hold 1 to 16 keys.")
    if max(Counter(entry.kid for entry in entries).values()) > 1:
        refuse(f"The {noun} holds two keys of one name.")
    if not all(_KID.fullmatch(entry.kid) for entry in entries):
        refuse(f"The {noun} names a key by other characters than a-z, 0-9 and -.")
    if not all(_CREATED.fullmatch(entry.created) for entry in entries):
        refuse(f"The {noun} has a key whose date is not like 2026-11-24T00:00:00Z.")
    if active not in {entry.kid for entry in entries}:
        refuse(f"The {noun} names an active key that it does not hold.")

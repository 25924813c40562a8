"""Finds, reads and writes key files: sources, file rule, strict decoding. Counterpart: `keyring`.

Invariants: the first source that exists is the only one read, and what is wrong with it stops the
start; a key file is written whole or not at all. Source: security spec, section 1.
"""

import base64
import binascii
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, TypeVar

import msgspec

from wicketd.domain.errors import KeyringInvalid
from wicketd.domain.ports import Random

T = TypeVar("T")

MAX_BYTES: Final = 65_536
KEY_BYTES: Final = 32
_MODES: Final = frozenset({0o400, 0o600})
_CREDENTIAL_MODE: Final = 0o440
"""How systemd shows a credential that it opens to the unit's user by an ACL: the group bits are the
ACL's mask, and the file belongs to root and to root's group."""
_FIRST_FREE_FD: Final = 3
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\s*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LOOKS_LIKE_FILE: Final = re.compile(r'"(?:A256GCM|Ed25519)"|^\s*\{.*"keys"', re.DOTALL)
_LOOKS_LIKE_KEY: Final = re.compile(r"\s*(?:[A-Za-z0-9_+/-]{43}=?|[0-9A-Fa-f]{64})\s*")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Names of one key file's sources: the systemd credential and the descriptor variable."""

    noun: str
    credential: str
    descriptor: str


SERVER_KEYRING: Final = KeySource("server keyring", "server.keyring", "WICKET_KEYRING_FD")
AUDIT_KEY: Final = KeySource("audit key", "audit.key", "WICKET_AUDIT_KEY_FD")


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Ends the start.

    Raises:
        KeyringInvalid: always.
    """
    raise KeyringInvalid(message, hint=hint)


def refuse_values(environ: Mapping[str, str]) -> None:
    """Refuses key material as an environment *value*, which /proc and crash reports show.

    Raises:
        KeyringInvalid: a variable's value is a key or a key file.
    """
    for name, value in environ.items():
        own_key = name.startswith("WICKET_") and "KEY" in name and _LOOKS_LIKE_KEY.fullmatch(value)
        if own_key or _LOOKS_LIKE_FILE.search(value):
            refuse(
                f"The environment variable {name} holds key material, which others can read.",
                f"Unset {name}, rotate that key and put the new one into a file of mode 0600.",
            )


def read(source: KeySource, explicit: Path | None, environ: Mapping[str, str]) -> tuple[bytes, str]:
    """The bytes of the first source that exists, and its name for `doctor`.

    Raises:
        KeyringInvalid: no source, a key in the environment, or a file that breaks the file rule.
    """
    refuse_values(environ)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        credential = Path(directory) / source.credential
        if os.path.lexists(credential):
            data = read_file(credential, is_credential=True)
            return data, f"credential {source.credential}"
    if explicit is not None:
        return read_file(explicit), str(explicit)
    number = environ.get(source.descriptor)
    if number is not None:
        return _read_descriptor(source, number), f"descriptor {number}"
    refuse(
        f"There is no {source.noun}: no credential {source.credential}, no path, no descriptor.",
        'Make one with "wicketd init", or name its path in the configuration.',
    )


def read_file(path: Path, *, is_credential: bool = False) -> bytes:
    """Reads a key file under the file rule, checked on the open descriptor: nothing races.

    `is_credential`: systemd put it there, and may have opened it to the daemon's user by an ACL.

    Raises:
        KeyringInvalid: a link, not a regular file, another mode than 0400 or 0600 (a credential of
            root's: or 0440), a foreign owner, > 64 KiB.
    """
    try:
        # O_NONBLOCK: opening a FIFO in place of the file must not hang the start.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        message = f"Cannot open the key file {path}: {error.strerror}."
        raise KeyringInvalid(message, hint="It must be a regular file, not a link.") from error
    try:
        _check_status(path, os.fstat(fd), is_credential=is_credential)
        with os.fdopen(fd, "rb", closefd=False) as file:
            return _capped(file.read(MAX_BYTES + 1), str(path))
    finally:
        os.close(fd)


def create(path: Path, data: bytes) -> None:
    """Writes a new key file of mode 0600, whole and durable, or none.

    It belongs to the directory's owner: made by root for a daemon, the daemon must read it.

    Raises:
        KeyringInvalid: something has this name already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, _NEW, 0o600)
    except FileExistsError:
        refuse(f"{path} exists, and nothing is overwritten.", "Name another path.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            _belong_to(file.fileno(), path.parent.stat())
            _write_through(file, data)
        _sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def replace(path: Path, data: bytes, random: Random) -> None:
    """Puts `data` in place of a key file at once: a crash leaves the old one or the new one.

    Mode and owner stay. The old file's blocks are not overwritten: storage below keeps copies.

    Raises:
        KeyringInvalid: it cannot be written; the old file stands.
    """
    beside = path.with_name(f".{path.name}.{random.bytes(6).hex()}")
    try:
        before = path.stat(follow_symlinks=False)
        with os.fdopen(os.open(beside, _NEW, 0o600), "wb") as file:
            _belong_to(file.fileno(), before)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            _write_through(file, data)
        beside.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _belong_to(descriptor: int, like: os.stat_result) -> None:
    """Only root may give a file away; whoever else writes owns what it writes."""
    if os.geteuid() == 0:
        os.fchown(descriptor, like.st_uid, like.st_gid)


def _write_through(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> KeyringInvalid:
    message = f"Cannot write the key file {path}: {error.strerror}."
    return KeyringInvalid(
        message, hint="Run the command as the user whom its directory belongs to."
    )


def is_encrypted(data: bytes) -> bool:
    """Whether a file holds a credential that systemd encrypted: base64 lines, no JSON."""
    return len(data) > KEY_BYTES and _BASE64.fullmatch(data) is not None


def _check_status(path: Path, status: os.stat_result, *, is_credential: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        refuse(f"The key file {path} is not a regular file.", "Put a regular file there.")
    mode = stat.S_IMODE(status.st_mode)
    is_roots = status.st_uid == status.st_gid == 0
    is_opened_by_acl = is_credential and is_roots and mode == _CREDENTIAL_MODE
    if mode not in _MODES and not is_opened_by_acl:
        refuse(
            f"The key file {path} has mode {mode:04o}.",
            f'Only the daemon may read it: run "chmod 0600 {path}".',
        )
    if status.st_uid not in {0, os.geteuid()}:
        refuse(
            f"The key file {path} belongs to uid {status.st_uid}.",
            "It must belong to root or to the user of the daemon.",
        )


def _read_descriptor(source: KeySource, number: str) -> bytes:
    if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) < _FIRST_FREE_FD:
        refuse(
            f"{source.descriptor} is not the number of a passed descriptor.",
            "Give the number of an open descriptor from 3 upwards.",
        )
    try:
        with os.fdopen(int(number), "rb") as file:
            return _capped(file.read(MAX_BYTES + 1), source.descriptor)
    except OSError as error:
        message = f"Cannot read descriptor {number} of {source.descriptor}: {error.strerror}."
        raise KeyringInvalid(message, hint="Pass an open descriptor for reading.") from error


def _capped(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        refuse(f"{name} is larger than 64 KiB and is no key file.", "Name the right file.")
    return data


def decode(data: bytes, shape: type[T], noun: str) -> T:
    """Decodes strictly into a Struct: unknown fields, duplicate names and wrong types are refused.

    Raises:
        KeyringInvalid: the text does not have exactly this shape; the message never quotes it.
    """
    problem = f"The {noun} does not have the form of one."
    hint = "Restore it from your backup."
    try:
        value: object = msgspec.json.decode(data)
        decoded = msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # msgspec quotes values in its messages: nothing of the original error may be shown.
        raise KeyringInvalid(problem, hint=hint) from None
    # msgspec keeps the last of duplicate names: more names written than kept means a duplicate.
    if _STRING.sub(b"", data).count(b":") != _names(value):
        refuse(f"The {noun} names a field twice.", hint)
    return decoded


def _names(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_names, value.values()))
    if isinstance(value, list):
        return sum(map(_names, value))
    return 0


def decode_key(text: str, kid: str) -> bytes:
    """32 bytes from canonical base64url without padding; patterns and printed keys are refused.

    Raises:
        KeyringInvalid: another length, another spelling, or a key that anybody could write down.
    """
    hint = "Restore the file from your backup, or make a new one."
    try:
        key = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES or encode_key(key) != text:
        refuse(f"Key {kid} is not 32 bytes in base64url without padding.", hint)
    if is_guessable(key):
        refuse(f"Key {kid} is a pattern or is printed in documents: anybody knows it.", hint)
    return key


def encode_key(key: bytes) -> str:
    """Canonical base64url without padding: 43 characters for 32 bytes."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")


def is_guessable(key: bytes) -> bool:
    """Whether a key is equal bytes or an arithmetic run, as all keys printed in documents are."""
    return len({(after - before) & 0xFF for before, after in pairwise(key)}) <= 1

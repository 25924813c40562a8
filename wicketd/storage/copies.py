"""Copies of the database: a file and its manifest, made beside a running daemon or before a change.

Counterpart of `services.backup`, which checks and puts one back. Invariant: the copy is one
committed state, whole on the disk before its manifest is, and a copy without a manifest is none.
No key is in it. Source: product spec, section 11.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from wicketd import __version__
from wicketd.domain.errors import Conflict, StorageBroken
from wicketd.domain.ports import Query
from wicketd.storage import connect, files, meta
from wicketd.storage.audit import AuditTable

MANIFEST: Final = ".manifest"
_FORMAT: Final = 1
_CHUNK: Final = 1024 * 1024
_MANIFEST_BYTES_MAX: Final = 64 * 1024
T = TypeVar("T")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a copy says of itself. `kids`: the keys that the keyring must hold to read it.

    `made_at`: ms since 1970 UTC; `audit_hash`: of the newest row, hex; `sha256`: of the file.
    """

    format: int
    release: str
    schema: int
    made_at: int
    install_id: str
    kids: tuple[str, ...]
    audit_seq: int
    audit_epoch: int
    audit_hash: str
    size_bytes: int
    sha256: str


def manifest_path(copy: Path) -> Path:
    """Where the manifest of a copy stands."""
    return copy.with_name(copy.name + MANIFEST)


def save(source: sqlite3.Connection, target: Path, now_ms: int) -> Manifest:
    """Copies what `source` sees now; writers go on meanwhile.

    Raises:
        Conflict: there is a file of that name.
        StorageBroken: the copy cannot be written, or fails SQLite's own check; nothing is left.
    """
    notes = manifest_path(target)
    if os.path.lexists(target) or os.path.lexists(notes):
        raise Conflict(f"{target} is there already, and no backup is overwritten.")
    try:
        with _half(target) as half, _half(notes) as half_notes:
            with closing(connect.copy_of(source, half)) as copied:
                facts = _facts(copied, target)
            manifest = _manifest(facts, half, now_ms)
            half_notes.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            for one in (half, half_notes):
                files.sync(one)
            os.link(half, target)
            os.link(half_notes, notes)
            files.sync(target.parent)
    except FileExistsError as error:
        raise Conflict(f"{target} is there already, and no backup is overwritten.") from error
    except OSError as error:
        raise unwritten(target, error) from error
    except sqlite3.Error as error:
        raise unwritten(target, error) from error
    return manifest


def read(copy: Path) -> Manifest:
    """The manifest of a copy, after the file was compared with it.

    Raises:
        StorageBroken: it is missing, of another format, or the file is not the one it describes.
    """
    try:
        with manifest_path(copy).open("rb") as file:
            manifest = msgspec.json.decode(file.read(_MANIFEST_BYTES_MAX), type=Manifest)
        size_bytes, sha256 = _measured(copy)
    except FileNotFoundError as error:
        raise StorageBroken(
            f"{error.filename} is missing: that is no finished backup.",
            hint=f"A backup is two files, FILE and FILE{MANIFEST}; keep them together.",
        ) from error
    except OSError as error:
        raise StorageBroken(f"Cannot read {error.filename}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise StorageBroken(f"{manifest_path(copy)} is no manifest: {error}.") from error
    if manifest.format != _FORMAT:
        raise StorageBroken(f"{copy} has format {manifest.format}; this release knows {_FORMAT}.")
    if (size_bytes, sha256) != (manifest.size_bytes, manifest.sha256):
        raise StorageBroken(
            f"{copy} is not the file that its manifest describes: it was changed or cut.",
            hint="Take another copy of this backup, or an older one.",
        )
    return manifest


def unwritten(target: Path, error: Exception) -> StorageBroken:
    """Why a copy could not be made."""
    cause = error.strerror if isinstance(error, OSError) else error
    return StorageBroken(
        f"The backup {target} could not be written: {cause}. Nothing was left.",
        hint="Choose a directory that you may write, with room for the whole database.",
    )


def _facts(copied: sqlite3.Connection, target: Path) -> dict[str, object]:
    finding = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if finding != "ok":
        raise StorageBroken(f"The copy {target} is damaged: {finding}. Nothing was left.")
    identity = _all(copied, meta.get("install_id"))
    seq, digest, epoch = next(iter(_all(copied, AuditTable().head())), (0, b"", 1))
    return {
        "schema": copied.execute("PRAGMA user_version").fetchone()[0],
        "install_id": identity[0] if identity else "",
        "kids": tuple(sorted(set(_all(copied, meta.named_kids())))),
        "audit_seq": seq,
        "audit_epoch": epoch,
        "audit_hash": digest.hex(),
    }


def _all(copied: sqlite3.Connection, query: Query[T]) -> list[T]:
    return [query.read(row) for row in copied.execute(query.sql, query.params)]


def _manifest(facts: dict[str, object], file: Path, now_ms: int) -> Manifest:
    size_bytes, sha256 = _measured(file)
    own = {"format": _FORMAT, "release": __version__, "made_at": now_ms}
    return msgspec.convert({**facts, **own, "size_bytes": size_bytes, "sha256": sha256}, Manifest)


def _measured(file: Path) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


@contextmanager
def _half(target: Path) -> Iterator[Path]:
    """An empty file of our own beside the target, 0600 from its first byte, gone at the end."""
    half = target.with_name(f".{target.name}.new")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        yield half
    finally:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)

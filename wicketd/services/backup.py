"""Makes a backup beside a running daemon, and puts one back where none runs.

Counterpart of `storage.copies`, which writes the copy; commands `wicketd backup` and `restore`.
Invariants: no key is in a backup; a restore checks file, keyring and chain before it touches
anything, declares itself in the audit, and overwrites nothing: what was there is moved aside.
Source: product spec, section 11; security spec, section 10 (`audit.restored`).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wicketd.audit.journal import Journal
from wicketd.audit.report import OK, TAMPERED, Report
from wicketd.domain.audit import Entry
from wicketd.domain.errors import Conflict, KeyringInvalid, StorageBroken
from wicketd.services import verifying
from wicketd.services.installation import CHECK, Keys, check_values
from wicketd.services.operators import operator
from wicketd.services.retiring import Tools
from wicketd.services.verifying import Proofs
from wicketd.storage import copies, files, meta
from wicketd.storage.audit import AuditTable
from wicketd.storage.copies import Manifest
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.offline import OfflineDatabase

NAME: Final = "wicket.db"
_ASIDE: Final = ".before-restore-"


@dataclass(frozen=True, slots=True)
class Restored:
    """`aside`: where the database went that was there before; None: there was none."""

    manifest: Manifest
    database: Path
    aside: Path | None

    def lines(self) -> Sequence[str]:
        """What happened, and what has to be looked at."""
        kept = [] if self.aside is None else [f"moved {self.aside.name} aside; delete it later"]
        return (
            f"restored {self.database}, audit row {self.manifest.audit_seq}",
            *kept,
            "What was revoked, removed or changed after the backup is undone: compare",
            "wicket key list, wicket member list and wicket policy list with what you know.",
        )


def make(database: Path, target: Path, now_ms: int) -> Manifest:
    """Copies the database into `target`, which must not exist; calls go on meanwhile.

    Raises:
        Forbidden: the database belongs to somebody else.
        Conflict: there is a file of that name.
        StorageBroken: there is no database, or the copy cannot be written.
    """
    with files.as_owner(database):  # reading makes the log's index, which must be the daemon's
        source = OfflineDatabase(database)
    with source:
        return source.save(target.absolute(), now_ms)


async def restore(
    copy: Path, state_dir: Path, keys: Keys, tools: Tools, *, force: bool
) -> Restored:
    """Puts a backup in the place of the database. `force`: there may be one, and an unsigned log.

    Raises:
        StorageBroken: it is no whole backup, or cannot be written; nothing has changed.
        SchemaTooNew: a newer release made it.
        KeyringInvalid: the keyring or the audit key is not the one that it was made under.
        Conflict: its log shows tampering, or without `force` cannot be vouched for; without
            `force` there is a database.
        SecondInstance: a daemon runs.
        Forbidden: the state directory belongs to somebody else.
    """
    manifest = copies.read(copy)
    with OfflineDatabase(copy) as db:
        _check_keyring(db, keys)
    report = verifying.of_database(copy, Proofs(tuple(keys.audit.publics.values())))
    _check_chain(report, force=force)
    database = state_dir / NAME
    with copy.open("rb") as source, files.as_owner(state_dir):
        lock = files.LockFile(database)
        try:
            if database.exists() and not force:
                raise Conflict(
                    f"There is a database {database}.",
                    hint="Say --force to move it aside and put the backup in its place.",
                )
            with _workshop(state_dir) as workshop:
                fresh = workshop / NAME
                _pour(source.fileno(), fresh)
                await _declare(fresh, manifest, keys, tools)
                aside = _swap(fresh, database, tools.clock.now_ms())
        finally:
            lock.release()
    return Restored(manifest, database, aside)


def _check_keyring(db: OfflineDatabase, keys: Keys) -> None:
    install_id = db.one(meta.get("install_id"))
    if install_id is None:
        return
    stored = check_values(db.all(meta.with_prefix(CHECK)))
    missing = keys.ring.bind(bytes.fromhex(install_id)).may_start(stored, db.all(meta.named_kids()))
    if stored and set(missing) == set(keys.ring.roots):
        raise KeyringInvalid(
            "The keyring has no key of this backup: it belongs to another installation.",
            hint="Restore the keyring that the backup was made under.",
        )


def _check_chain(report: Report, *, force: bool) -> None:
    found = report.exit_code()
    first = "; ".join(finding.message for finding in report.findings[:3])
    if found == TAMPERED:
        raise Conflict(
            f"The audit log of this backup is not whole: {first}",
            hint="Take another backup; look at this one with: wicketd audit verify",
        )
    if found != OK and not force:
        raise Conflict(
            f"The audit log of this backup cannot be vouched for: {first}",
            hint="Say --force to restore it all the same.",
        )


@contextmanager
def _workshop(state_dir: Path) -> Iterator[Path]:
    """A directory beside the database, so that the last step is a rename."""
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=state_dir) as name:
            yield Path(name)
    except OSError as error:
        raise StorageBroken(
            f"Cannot restore into {state_dir}: {error.strerror}. The database is as it was.",
            hint="Free disk space: for a moment the backup is there twice.",
        ) from error


def _pour(source: int, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file, os.fdopen(os.dup(source), "rb") as opened:
        shutil.copyfileobj(opened, file)
        file.flush()
        os.fsync(file.fileno())


async def _declare(database: Path, manifest: Manifest, keys: Keys, tools: Tools) -> None:
    """Upgrades the copy and writes that it was restored: a new epoch of the log begins."""
    db = await SqliteDatabase.open(database, tools.clock)
    try:
        author = operator()
        entry = Entry(
            "audit.restored",
            {
                **author.signature(),
                "target": {
                    "madeAt": manifest.made_at,
                    "release": manifest.release,
                    "size": manifest.audit_seq,
                    "hash": manifest.audit_hash,
                },
            },
        )
        journal = Journal(AuditTable(), tools.clock, tools.ids)
        await db.write(lambda tx: journal.append(tx, entry))
        await db.truncate_wal()
    finally:
        await db.close()
    database.with_suffix(".lock").unlink(missing_ok=True)


def _swap(fresh: Path, database: Path, now_ms: int) -> Path | None:
    """Moves the old database aside with its log, and the new one in its place; all or nothing."""
    aside = None
    moves = [(fresh, database)]
    if database.exists():
        aside = database.with_name(f"{database.name}{_ASIDE}{now_ms}")
        old = (database, *files.side_files(database))
        new = (aside, *files.side_files(aside))
        moves = [pair for pair in zip(old, new, strict=True) if pair[0].exists()] + moves
    for side in files.side_files(fresh):
        side.unlink(missing_ok=True)
    _move(moves)
    files.sync(database.parent)
    return aside


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    done: list[tuple[Path, Path]] = []
    try:
        for here, there in moves:
            here.rename(there)
            done.append((here, there))
    except OSError:
        for here, there in reversed(done):
            there.rename(here)
        raise

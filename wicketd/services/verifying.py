"""Verifies the log of a database or an export. Counterpart of `wicketd audit verify`.

Reads only, in constant memory; what cannot be verified is never reported as whole (FC20).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wicketd.audit.export import ExportUnreadable, in_order, read_jsonl
from wicketd.audit.report import Report, unreadable
from wicketd.audit.verify import Evidence, verify
from wicketd.domain.errors import Fatal
from wicketd.storage import audit, checkpoints, meta
from wicketd.storage.offline import OfflineDatabase


@dataclass(frozen=True, slots=True)
class Proofs:
    """What the log is held against: audit public keys, and checkpoints kept off this host."""

    publics: tuple[bytes, ...]
    notes: tuple[str, ...] = ()


def of_database(path: Path, proofs: Proofs) -> Report:
    """Verifies the log in a database file, running daemon or not."""
    try:
        with OfflineDatabase(path) as db:
            install_id = db.one(meta.get("install_id"))
            evidence = Evidence(
                proofs.publics, proofs.notes, bytes.fromhex(install_id) if install_id else None
            )
            stored: Sequence[str] = [one.note for one in db.all(checkpoints.all())]
            return verify(db.stream(audit.rows_from(1)), evidence, stored=stored)
    except Fatal as error:
        return unreadable(error.message)


def of_export(path: Path, proofs: Proofs) -> Report:
    """Verifies a JSONL export alone."""
    try:
        with path.open("rb") as lines:
            return verify(in_order(read_jsonl(lines)), Evidence(proofs.publics, proofs.notes))
    except (OSError, ExportUnreadable) as error:
        return unreadable(str(error))

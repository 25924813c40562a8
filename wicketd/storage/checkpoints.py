"""Signed checkpoints of the audit log, and anchors of its pruning.

Tables `audit_checkpoints` and `audit_anchors`. Counterpart of `audit.checkpoint`, which signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wicketd.domain.audit import Checkpoint
from wicketd.domain.ports import Query, Statement

_SELECT: Final = "SELECT epoch, size, root, note, at FROM audit_checkpoints"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What pruning removed: rows `from_seq` to `to_seq`, and what verification goes on from."""

    to_seq: int
    from_seq: int
    count: int
    last_hash: bytes
    root: bytes
    frontier: bytes
    export_sha256: bytes
    note: str
    at: int


def read(row: Sequence[Any]) -> Checkpoint:
    """The checkpoint of a row."""
    return Checkpoint(*row)


def insert(checkpoint: Checkpoint) -> Statement:
    """Adds a checkpoint that was not sent off the table yet; 0 rows when this size has one."""
    return Statement(
        "INSERT INTO audit_checkpoints (epoch, size, root, note, at, exported) "
        "VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (epoch, size) DO NOTHING",
        (checkpoint.epoch, checkpoint.size, checkpoint.root, checkpoint.note, checkpoint.at),
    )


def mark_exported(epoch: int, size: int) -> Statement:
    """Notes that the checkpoint has left this machine or reached the journal."""
    return Statement(
        "UPDATE audit_checkpoints SET exported = 1 WHERE epoch = ? AND size = ?", (epoch, size)
    )


def newest() -> Query[Checkpoint]:
    """The checkpoint of the largest size in the newest epoch."""
    return Query(
        f"{_SELECT} WHERE epoch = (SELECT max(epoch) FROM audit_checkpoints) "
        "ORDER BY size DESC LIMIT 1",
        (),
        read,
    )


def all() -> Query[Checkpoint]:  # noqa: A001  # read as `checkpoints.all()`
    """Every checkpoint, oldest first."""
    return Query(f"{_SELECT} ORDER BY epoch, size", (), read)


def anchors() -> Query[Anchor]:
    """Every anchor, oldest first."""
    return Query(
        "SELECT to_seq, from_seq, count, last_hash, root, frontier, export_sha256, note, at "
        "FROM audit_anchors ORDER BY to_seq",
        (),
        lambda row: Anchor(*row),
    )

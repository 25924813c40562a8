"""Tells what SQLite reports apart: a fault of the medium, a value that is taken, our mistake.

Counterpart of `writer` and `readers`. No sqlite3 error leaves the package for an expected cause.
"""

import sqlite3
from typing import Final

from wicketd.domain.errors import AuditNotDurable, Conflict, StorageBroken, Unhealthy

_MEDIUM: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_TAKEN: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})


def is_medium_fault(error: BaseException) -> bool:
    """Whether disk, file or memory failed, so that the whole commit group is lost.

    `sqlite_errorcode` may be an extended code; its low byte is the primary one.
    Source: sqlite.org/rescode.html.
    """
    return isinstance(error, sqlite3.Error) and _code(error) & 0xFF in _MEDIUM


def taken(error: sqlite3.IntegrityError) -> Conflict | None:
    """The domain's word for a broken uniqueness; None for other constraints, our mistakes.

    `details[0]["constraint"]` names the columns as SQLite does: `audit.agent_id, audit.ref`.
    """
    if _code(error) not in _TAKEN:
        return None
    constraint = str(error).removeprefix("UNIQUE constraint failed: ")
    message = "This name or value is already taken. Choose another one."
    return Conflict(message, details=({"constraint": constraint},))


def not_durable(cause: str) -> AuditNotDurable:
    """What a caller gets whose unit did not reach the disk. `cause`: a short phrase for the log."""
    return AuditNotDurable(
        f"The database could not be written: {cause}.",
        hint="Free disk space or repair the disk; writing resumes by itself. See: wicketd doctor",
    )


def unreadable(error: sqlite3.Error) -> Unhealthy:
    """What a reader's caller gets when the medium fails."""
    return Unhealthy(
        f"The database could not be read: {error}.", hint="Check it with: wicketd doctor"
    )


def broken(path: object, cause: object) -> StorageBroken:
    """Why the daemon does not start on this file."""
    return StorageBroken(
        f"The database {path} cannot be used: {cause}.",
        hint="Restore the newest backup with: wicketd restore",
    )


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) or sqlite3.SQLITE_ERROR

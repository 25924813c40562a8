"""Opens SQLite connections with the settings of the house; the only place that does.

Counterpart of `db`, `readers` and `offline`. One connection writes, all others are read-only.
"""

import sqlite3
from pathlib import Path
from typing import Final

_WRITER: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 4000",
    # The log is cut back to this after a checkpoint: a burst does not keep the disk full.
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA cache_size = -16384",
)
_STATEMENTS: Final = 512
"""Prepared statements kept per connection: all that the repositories build."""


def writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions begin and end where the code says so."""
    connection = sqlite3.connect(  # noqa: TID251  # this is storage's own door
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        timeout=1.0,
    )
    for pragma in _WRITER:
        connection.execute(pragma)
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; it sees the newest commit at the start of each query."""
    return _read_only(path, "mode=ro")


def unattended(path: Path) -> sqlite3.Connection:
    """A read-only connection to a file on read-only media, where SQLite cannot make its `-shm`."""
    return _read_only(path, "immutable=1")


def copy_of(source: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Copies one committed state of `source` into an empty file; gives a connection to the copy.

    In one step, inside one read transaction: a busy writer cannot make it start over. The copy has
    no write-ahead log, so that it is one file.
    """
    copied = sqlite3.connect(path, isolation_level=None)  # noqa: TID251  # this is storage's own door
    try:
        source.backup(copied, pages=-1)
        copied.execute("PRAGMA journal_mode = DELETE")
        copied.execute("PRAGMA query_only = ON")
    except BaseException:
        copied.close()
        raise
    return copied


def _read_only(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(  # noqa: TID251  # this is storage's own door
        f"{path.resolve().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection

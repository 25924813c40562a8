"""Reads a database without a daemon and without writing, for `wicketd audit verify` and its like.

Counterpart of `db`. Synchronous; it takes no lock, so it works beside a running daemon.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from wicketd.domain.ports import Query
from wicketd.storage import connect, copies
from wicketd.storage.copies import Manifest
from wicketd.storage.faults import broken, unreadable
from wicketd.storage.files import side_files
from wicketd.storage.migrate import check_version

T = TypeVar("T")


class OfflineDatabase:
    """A file opened for reading; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            SchemaTooNew: a newer release wrote it.
            StorageBroken: it cannot be read, or holds no schema of wicketd.
        """
        self._connection = _open(path)
        try:
            version = check_version(self._connection, path)
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise broken(path, error) from error
            raise
        if version == 0:
            self.close()
            raise broken(path, "it is empty")

    def __enter__(self) -> "OfflineDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def save(self, target: Path, now_ms: int) -> Manifest:
        """A copy of the database as it is now, and its manifest; see `copies.save`."""
        return copies.save(self._connection, target, now_ms)

    def one(self, query: Query[T]) -> T | None:
        """The first row, or None.

        Raises:
            Unhealthy: the file cannot be read.
        """
        return next(self.stream(query), None)

    def all(self, query: Query[T]) -> list[T]:
        """Every row.

        Raises:
            Unhealthy: the file cannot be read.
        """
        return list(self.stream(query))

    def stream(self, query: Query[T]) -> Iterator[T]:
        """Rows one by one, in constant memory.

        Raises:
            Unhealthy: the file cannot be read.
        """
        try:
            for row in self._connection.execute(query.sql, query.params):
                yield query.read(row)
        except sqlite3.DatabaseError as error:
            raise unreadable(error) from error


def _open(path: Path) -> sqlite3.Connection:
    try:
        return connect.reader(path)
    except sqlite3.OperationalError as error:
        # Read-only media: SQLite cannot make the log's index. Without a log the file is complete.
        if not path.exists() or any(side.exists() for side in side_files(path)):
            raise broken(path, error) from error
    except sqlite3.DatabaseError as error:
        raise broken(path, error) from error
    return connect.unattended(path)

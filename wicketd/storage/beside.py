"""One short write transaction in a database that a daemon may have open.

Counterpart of `db`, whose writer is the audit chain's only one: nothing of the chain is written
here. SQLite orders the two; the daemon waits for a moment.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from wicketd.storage import connect
from wicketd.storage.faults import broken
from wicketd.storage.group import WriteTx, take_back


@contextmanager
def transaction(path: Path) -> Iterator[WriteTx]:
    """Commits what the block did, or nothing of it if it raises.

    Raises:
        StorageBroken: the file cannot be opened, or stays locked for a second.
    """
    try:
        with closing(connect.writer(path)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield WriteTx(connection)
                connection.execute("COMMIT")
            finally:
                take_back(connection)
    except sqlite3.Error as error:
        raise broken(path, error) from error

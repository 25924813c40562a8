"""Brings a database to this release's schema: creates it, or runs `migrations/<n>.sql` in order.

`PRAGMA user_version` is the schema's version; each step is one transaction that also raises it.
"""

import sqlite3
from pathlib import Path
from typing import Final

from wicketd.domain.errors import SchemaTooNew
from wicketd.storage.faults import broken

SCHEMA_VERSION: Final = 2


def schema_text() -> str:
    """`schema.sql`: beside this module in a wheel, at the repository's root in a checkout."""
    here = Path(__file__).resolve()
    packed = here.with_name("schema.sql")
    source = packed if packed.exists() else here.parents[2] / "schema.sql"
    return source.read_text(encoding="utf-8")


def check_version(connection: sqlite3.Connection, path: object) -> int:
    """The file's schema version; 0 for an empty file.

    Raises:
        SchemaTooNew: a newer release wrote it.
        StorageBroken: it is a database of something else.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"The database {path} has schema {version}; this release knows {SCHEMA_VERSION}.",
            hint="Install the newer release, or restore a backup made before the upgrade.",
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise broken(path, "it holds tables that wicketd did not make")
    return version


def migrate(connection: sqlite3.Connection, path: object) -> None:
    """Creates or upgrades the schema.

    Raises:
        SchemaTooNew: a newer release wrote the file.
        StorageBroken: the file is a database of something else.
    """
    version = check_version(connection, path)
    if version == 0:
        _step(connection, schema_text(), SCHEMA_VERSION)
        return
    for target in range(version + 1, SCHEMA_VERSION + 1):
        script = Path(__file__).with_name("migrations") / f"{target}.sql"
        _step(connection, script.read_text(encoding="utf-8"), target)


def _step(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            "INSERT INTO meta (key, value) VALUES ('schema_version', '0') ON CONFLICT DO NOTHING;\n"
            f"UPDATE meta SET value = '{int(version)}' WHERE key = 'schema_version';\n"
            f"PRAGMA user_version = {int(version)};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise

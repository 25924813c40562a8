"""Brings a database to this release's schema: creates it, or runs `migrations/<n>.sql` in order.

`PRAGMA user_version` is the schema's version; each step is one transaction that also raises it.
"""

import sqlite3
from pathlib import Path
from typing import Final

from wicketd.domain.errors import SchemaTooNew
from wicketd.storage import copies
from wicketd.storage.faults import broken

SCHEMA_VERSION: Final = 2
SCRIPTS: Final = Path(__file__).with_name("migrations")


def schema_text() -> str:
    """`schema.sql`: beside this module in a wheel, at the repository's root in a checkout."""
    here = Path(__file__).resolve()
    packed = here.with_name("schema.sql")
    source = packed if packed.exists() else here.parents[2] / "schema.sql"
    return source.read_text(encoding="utf-8")


def check_version(connection: sqlite3.Connection, path: Path, known: int = SCHEMA_VERSION) -> int:
    """The file's schema version; 0 for an empty file.

    Raises:
        SchemaTooNew: a newer release wrote it.
        StorageBroken: it is a database of something else.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > known:
        kept = before_upgrade(path, known)
        way_back = f"wicketd restore --force {kept}" if kept else "wicketd restore"
        raise SchemaTooNew(
            f"The database {path} has schema {version}; this release knows {known}.",
            hint=f"Install the newer release, or go back to before the upgrade: {way_back}.",
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise broken(path, "it holds tables that wicketd did not make")
    return version


def before_upgrade(path: Path, version: int) -> Path | None:
    """The newest copy that was made before schema `version` was left behind, if there is one."""
    found = path.parent.glob(f"{path.name}.schema-{version}-*{copies.MANIFEST}")
    newest = max(found, default=None)
    return None if newest is None else newest.with_name(newest.name.removesuffix(copies.MANIFEST))


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    now_ms: int,
    *,
    known: int = SCHEMA_VERSION,
    scripts: Path = SCRIPTS,
) -> None:
    """Creates or upgrades the schema; what an upgrade changes is copied first.

    `known`, `scripts`: the schema of this release and the directory of its steps.

    Raises:
        SchemaTooNew: a newer release wrote the file.
        StorageBroken: the file is a database of something else, or the copy cannot be made.
    """
    version = check_version(connection, path, known)
    if version == 0:
        _step(connection, schema_text(), known)
        return
    if version == known:
        return
    copies.save(connection, path.with_name(f"{path.name}.schema-{version}-{now_ms}"), now_ms)
    for target in range(version + 1, known + 1):
        _step(connection, (scripts / f"{target}.sql").read_text(encoding="utf-8"), target)


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

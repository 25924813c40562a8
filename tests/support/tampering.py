"""Edits a database as who has the file could: neither trigger nor reference is in the way."""

import sqlite3

from wicketd.storage.db import SqliteDatabase


async def tamper(db: SqliteDatabase, *statements: str) -> None:
    """Runs each statement on the bare connection."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = OFF")
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in found.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)

    await db.maintain(work)

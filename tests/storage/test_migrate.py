"""A file is brought to this schema once, and foreign or newer files are left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from wicketd.domain.errors import SchemaTooNew, StorageBroken
from wicketd.storage import connect, migrate


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = connect.writer(tmp_path / "wicket.db")
    yield opened
    opened.close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_empty_file_gets_the_whole_schema(connection: sqlite3.Connection) -> None:
    migrate.migrate(connection, "f")
    assert _version(connection) == migrate.SCHEMA_VERSION
    stored = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert stored == (str(migrate.SCHEMA_VERSION),)


def test_a_second_run_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate.migrate(connection, "f")
    before = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    migrate.migrate(connection, "f")
    assert connection.execute("SELECT name, sql FROM sqlite_master").fetchall() == before


def test_a_newer_file_is_refused_with_the_way_on(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {migrate.SCHEMA_VERSION + 1}")
    with pytest.raises(SchemaTooNew) as refused:
        migrate.migrate(connection, "f")
    assert refused.value.hint is not None


def test_a_foreign_database_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StorageBroken):
        migrate.migrate(connection, "f")


def test_a_failing_script_leaves_the_file_as_it_was(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE meta (x);"
    monkeypatch.setattr(migrate, "schema_text", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        migrate.migrate(connection, "f")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_every_later_version_has_its_script() -> None:
    scripts = Path(migrate.__file__).with_name("migrations")
    numbers = {int(script.stem) for script in scripts.glob("*.sql")}
    assert numbers == set(range(2, migrate.SCHEMA_VERSION + 1))


def test_a_file_of_the_first_release_gets_what_a_new_one_has(
    connection: sqlite3.Connection,
) -> None:
    whole = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    migrate.migrate(connection, "f")
    new = connection.execute(whole).fetchall()
    connection.executescript("DROP TABLE schemas; PRAGMA user_version = 1;")
    migrate.migrate(connection, "f")
    assert connection.execute(whole).fetchall() == new
    assert _version(connection) == migrate.SCHEMA_VERSION


def test_the_packed_schema_is_the_root_file() -> None:
    root = Path(__file__).parents[2]
    assert migrate.schema_text() == (root / "schema.sql").read_text(encoding="utf-8")
    packed = '"schema.sql" = "wicketd/storage/schema.sql"'
    assert packed in (root / "pyproject.toml").read_text(encoding="utf-8")

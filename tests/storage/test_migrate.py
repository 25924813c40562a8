"""A file is brought to this schema once, and foreign or newer files are left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from wicketd.domain.errors import SchemaTooNew, StorageBroken
from wicketd.storage import connect, copies, migrate

LATER = migrate.SCHEMA_VERSION + 1
"""The schema of a release to come."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = connect.writer(tmp_path / "wicket.db")
    yield opened
    opened.close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_empty_file_gets_the_whole_schema(connection: sqlite3.Connection) -> None:
    migrate.migrate(connection, Path("f"), 0)
    assert _version(connection) == migrate.SCHEMA_VERSION
    stored = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert stored == (str(migrate.SCHEMA_VERSION),)


def test_a_second_run_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate.migrate(connection, Path("f"), 0)
    before = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    migrate.migrate(connection, Path("f"), 0)
    assert connection.execute("SELECT name, sql FROM sqlite_master").fetchall() == before


def test_a_newer_file_is_refused_with_the_way_on(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {migrate.SCHEMA_VERSION + 1}")
    with pytest.raises(SchemaTooNew) as refused:
        migrate.migrate(connection, Path("f"), 0)
    assert refused.value.hint is not None


def test_a_foreign_database_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StorageBroken):
        migrate.migrate(connection, Path("f"), 0)


def test_a_failing_script_leaves_the_file_as_it_was(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE meta (x);"
    monkeypatch.setattr(migrate, "schema_text", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        migrate.migrate(connection, Path("f"), 0)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The steps of a later release."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / f"{LATER}.sql").write_text("CREATE TABLE later (x INTEGER);")
    return directory


def test_an_upgrade_is_copied_first_and_the_copy_is_the_way_back(
    connection: sqlite3.Connection, tmp_path: Path, scripts: Path
) -> None:
    path = tmp_path / "wicket.db"
    migrate.migrate(connection, path, 0)
    migrate.migrate(connection, path, 7, known=LATER, scripts=scripts)
    assert _version(connection) == LATER
    kept = migrate.before_upgrade(path, migrate.SCHEMA_VERSION)
    assert kept is not None
    assert copies.read(kept).schema == migrate.SCHEMA_VERSION
    with pytest.raises(SchemaTooNew) as refused:
        migrate.migrate(connection, path, 8)
    assert refused.value.hint is not None
    assert f"wicketd restore --force {kept}" in refused.value.hint


def test_an_upgrade_that_cannot_be_copied_is_not_begun(
    connection: sqlite3.Connection, tmp_path: Path, scripts: Path
) -> None:
    path = tmp_path / "wicket.db"
    migrate.migrate(connection, path, 0)
    with pytest.raises(StorageBroken):
        migrate.migrate(connection, tmp_path / "gone" / "x.db", 7, known=LATER, scripts=scripts)
    assert _version(connection) == migrate.SCHEMA_VERSION


def test_a_failing_step_leaves_file_and_copy(
    connection: sqlite3.Connection, tmp_path: Path, scripts: Path
) -> None:
    (scripts / f"{LATER}.sql").write_text("CREATE TABLE later (x INTEGER); CREATE TABLE later (x);")
    path = tmp_path / "wicket.db"
    migrate.migrate(connection, path, 0)
    with pytest.raises(sqlite3.OperationalError):
        migrate.migrate(connection, path, 7, known=LATER, scripts=scripts)
    assert _version(connection) == migrate.SCHEMA_VERSION
    assert migrate.before_upgrade(path, migrate.SCHEMA_VERSION) is not None


def test_every_later_version_has_its_script() -> None:
    scripts = Path(migrate.__file__).with_name("migrations")
    numbers = {int(script.stem) for script in scripts.glob("*.sql")}
    assert numbers == set(range(2, migrate.SCHEMA_VERSION + 1))


def test_a_file_of_the_first_release_gets_what_a_new_one_has(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    whole = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    migrate.migrate(connection, tmp_path / "wicket.db", 0)
    new = connection.execute(whole).fetchall()
    connection.executescript("DROP TABLE schemas; PRAGMA user_version = 1;")
    migrate.migrate(connection, tmp_path / "wicket.db", 0)
    assert connection.execute(whole).fetchall() == new
    assert _version(connection) == migrate.SCHEMA_VERSION


def test_the_packed_schema_is_the_root_file() -> None:
    root = Path(__file__).parents[2]
    assert migrate.schema_text() == (root / "schema.sql").read_text(encoding="utf-8")
    packed = '"schema.sql" = "wicketd/storage/schema.sql"'
    assert packed in (root / "pyproject.toml").read_text(encoding="utf-8")

"""What SQLite reports is told apart by its code, primary or extended."""

import sqlite3

import pytest

from wicketd.storage import faults


def _error(code: int, text: str = "text") -> sqlite3.IntegrityError:
    error = sqlite3.IntegrityError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_READONLY_DBMOVED, True),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, False),
        (sqlite3.SQLITE_ERROR, False),
    ],
)
def test_faults_of_the_medium_are_known_by_code(code: int, *, is_fault: bool) -> None:
    assert faults.is_medium_fault(_error(code)) is is_fault


def test_an_error_of_another_kind_is_no_fault_of_the_medium() -> None:
    assert not faults.is_medium_fault(ValueError("x"))
    assert not faults.is_medium_fault(sqlite3.Error("no code"))


def test_a_taken_value_names_its_columns() -> None:
    taken = faults.taken(
        _error(sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed: agents.key")
    )
    assert taken is not None
    assert taken.details == ({"constraint": "agents.key"},)


def test_another_constraint_is_no_conflict() -> None:
    assert faults.taken(_error(sqlite3.SQLITE_CONSTRAINT_CHECK)) is None


def test_every_message_tells_the_next_step() -> None:
    for error in (
        faults.not_durable("disk full"),
        faults.unreadable(sqlite3.OperationalError("x")),
        faults.broken("f", "x"),
    ):
        assert error.hint

"""The stored second factor: enrolled once, a step accepted once, a backup code used once."""

import pytest

from tests.storage.rows import ACCOUNT, AT, account, run
from wicketd.storage import accounts, second_factors
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.second_factors import BackupCode, SecondFactorRow

CODE = BackupCode("code-1", b"m" * 32, "k1")


@pytest.fixture
async def enrolled(db: SqliteDatabase) -> SqliteDatabase:
    await run(
        db,
        accounts.insert(account()),
        second_factors.begin(ACCOUNT, "k1", b"sealed"),
        second_factors.confirm(ACCOUNT, AT, 100),
        second_factors.insert_code(CODE, ACCOUNT),
    )
    return db


async def test_a_secret_is_replaced_until_its_first_code(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()))
    assert await db.one(second_factors.of(ACCOUNT)) is None
    assert await run(db, second_factors.confirm(ACCOUNT, AT, 1)) == [0]
    for ciphertext in (b"first", b"second"):
        assert await run(db, second_factors.begin(ACCOUNT, "k1", ciphertext)) == [1]
    expected = SecondFactorRow(b"second", None, None, 0, None)
    assert await db.one(second_factors.of(ACCOUNT)) == expected


async def test_an_enrolled_secret_stays(enrolled: SqliteDatabase) -> None:
    assert await run(enrolled, second_factors.begin(ACCOUNT, "k1", b"other")) == [0]
    assert await run(enrolled, second_factors.confirm(ACCOUNT, AT, 200)) == [0]
    expected = SecondFactorRow(b"sealed", AT, 100, 0, None)
    assert await enrolled.one(second_factors.of(ACCOUNT)) == expected
    stored = await enrolled.one(accounts.by_ref(ACCOUNT))
    assert stored is not None
    assert stored.has_totp


@pytest.mark.parametrize(("step", "rows"), [(99, 0), (100, 0), (101, 1)])
async def test_a_step_is_accepted_if_it_is_later_than_the_last(
    enrolled: SqliteDatabase, step: int, rows: int
) -> None:
    assert await run(enrolled, second_factors.use_step(ACCOUNT, step)) == [rows]


async def test_failures_are_counted_until_a_right_code(enrolled: SqliteDatabase) -> None:
    await run(
        enrolled,
        second_factors.fail(ACCOUNT, None),
        second_factors.fail(ACCOUNT, AT + 9),
        second_factors.fail(ACCOUNT, None),
    )
    row = await enrolled.one(second_factors.of(ACCOUNT))
    assert row is not None
    assert (row.failures, row.locked_until) == (3, AT + 9)
    for right in (second_factors.forgive(ACCOUNT), second_factors.use_step(ACCOUNT, 101)):
        await run(enrolled, second_factors.fail(ACCOUNT, AT + 9), right)
        row = await enrolled.one(second_factors.of(ACCOUNT))
        assert row is not None
        assert (row.failures, row.locked_until) == (0, None)


async def test_a_backup_code_is_used_once(enrolled: SqliteDatabase) -> None:
    assert await enrolled.all(second_factors.unused_codes(ACCOUNT)) == [CODE]
    use = second_factors.use_code("code-1", AT)
    assert await run(enrolled, use, use) == [1, 0]
    assert await enrolled.all(second_factors.unused_codes(ACCOUNT)) == []


async def test_clearing_leaves_nothing(enrolled: SqliteDatabase) -> None:
    await run(enrolled, *second_factors.clear(ACCOUNT))
    assert await enrolled.one(second_factors.of(ACCOUNT)) is None
    assert await enrolled.all(second_factors.unused_codes(ACCOUNT)) == []
    stored = await enrolled.one(accounts.by_ref(ACCOUNT))
    assert stored is not None
    assert not stored.has_totp

"""Codes and links: one UPDATE is the rule of each redemption."""

from dataclasses import replace

import pytest

from tests.storage.rows import ACCOUNT, AT, HOUR, account, run
from wicketd.domain.accounts import LinkState, SigninLink
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import SigninLinkId
from wicketd.storage import accounts, signin
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.signin import CodeCounts, SigninCode

CODE = SigninCode(
    "code-1", "ann@example.org", b"n" * 16, b"m" * 32, "k1", b"p" * 32, "::1", 0, AT, AT + 600, None
)
LINK = SigninLink(SigninLinkId("link-1"), ACCOUNT, None, "uid:0", AT, AT + 600, None, None)


async def test_a_code_is_redeemed_once(db: SqliteDatabase) -> None:
    assert await run(db, signin.insert_code(CODE), signin.use_code("code-1", AT)) == [1, 1]
    assert await run(db, signin.use_code("code-1", AT)) == [0]
    assert await db.one(signin.newest_code(CODE.email)) == replace(CODE, used_at=AT)


@pytest.mark.parametrize(("at_ms", "rows"), [(AT + 599, 1), (AT + 600, 0)])
async def test_a_code_is_not_redeemed_when_its_time_is_over(
    db: SqliteDatabase, at_ms: int, rows: int
) -> None:
    assert await run(db, signin.insert_code(CODE), signin.use_code("code-1", at_ms)) == [1, rows]


@pytest.mark.parametrize(("misses", "rows"), [(4, 1), (5, 0)])
async def test_a_code_is_not_redeemed_after_five_wrong_guesses(
    db: SqliteDatabase, misses: int, rows: int
) -> None:
    await run(db, signin.insert_code(CODE), *[signin.miss_code("code-1")] * misses)
    assert await run(db, signin.use_code("code-1", AT)) == [rows]


async def test_the_newest_code_of_the_address_counts(db: SqliteDatabase) -> None:
    newer = replace(CODE, id="code-2", created_at=AT + 1)
    other = replace(CODE, id="code-3", created_at=AT + 2, email="bob@example.org")
    await run(db, *(signin.insert_code(code) for code in (newer, CODE, other)))
    assert await db.one(signin.newest_code(CODE.email)) == newer
    assert await db.one(signin.newest_code("eve@example.org")) is None


async def test_codes_are_counted_by_address_by_ip_and_in_all(db: SqliteDatabase) -> None:
    rows = [
        replace(CODE, id="old", created_at=AT - HOUR),
        CODE,
        replace(CODE, id="code-2", ip="::2"),
        replace(CODE, id="code-3", email="bob@example.org"),
    ]
    await run(db, *(signin.insert_code(code) for code in rows))
    counts = signin.code_counts(CODE.email, "::1", AT - HOUR)
    assert await db.one(counts) == CodeCounts(email=2, ip=2, all=3)
    assert await run(db, signin.sweep_codes(AT - HOUR)) == [1]
    assert await db.one(counts) == CodeCounts(email=2, ip=2, all=3)


async def test_a_link_is_used_once_or_voided_once(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()), signin.insert_link(LINK, b"t" * 32, "k1"))
    assert await db.one(signin.link_by_macs([b"x" * 32, b"t" * 32])) == LINK
    assert await db.one(signin.link_by_macs([b"x" * 32])) is None
    assert await db.one(signin.open_link_of(ACCOUNT)) == LINK
    assert await run(db, signin.use_link(LINK.id, AT), signin.use_link(LINK.id, AT)) == [1, 0]
    assert await run(db, signin.void_link(LINK.id, AT)) == [0]
    used = await db.one(signin.link_by_macs([b"t" * 32]))
    assert used is not None
    assert used.state(AT) is LinkState.USED
    assert await db.one(signin.open_link_of(ACCOUNT)) is None


async def test_a_link_that_is_over_or_void_is_not_used(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()), signin.insert_link(LINK, b"t" * 32, "k1"))
    assert await db.all(signin.links_over(AT + 599)) == []
    assert await db.all(signin.links_over(AT + 600)) == [LINK]
    assert await run(db, signin.use_link(LINK.id, AT + 600)) == [0]
    assert await run(db, signin.void_link(LINK.id, AT + 600)) == [1]
    assert await db.all(signin.links_over(AT + 600)) == []
    assert await run(db, signin.use_link(LINK.id, AT)) == [0]


async def test_an_account_has_one_open_link(db: SqliteDatabase) -> None:
    second = replace(LINK, id=SigninLinkId("link-2"))
    await run(db, accounts.insert(account()), signin.insert_link(LINK, b"t" * 32, "k1"))
    with pytest.raises(Conflict):
        await run(db, signin.insert_link(second, b"u" * 32, "k1"))
    await run(db, signin.void_link(LINK.id, AT), signin.insert_link(second, b"u" * 32, "k1"))
    assert await db.one(signin.open_link_of(ACCOUNT)) == second

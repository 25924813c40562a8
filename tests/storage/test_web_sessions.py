"""Portal sessions are found by their token's MAC, with the account as it is now."""

from dataclasses import replace

from tests.storage.rows import ACCOUNT, AT, HOUR, account, run
from wicketd.domain.accounts import Visitor, WebSession
from wicketd.domain.ids import AccountId, WebSessionId
from wicketd.storage import accounts, web_sessions
from wicketd.storage.db import SqliteDatabase

SESSION = WebSession(
    WebSessionId("session-1"), ACCOUNT, AT, AT, AT + HOUR, None, "::1", "Browser", None
)


async def seed(db: SqliteDatabase) -> None:
    await run(db, accounts.insert(account()), web_sessions.insert(SESSION, b"t" * 32, "k1"))


async def test_a_session_is_found_under_any_of_the_macs(db: SqliteDatabase) -> None:
    await seed(db)
    visitor = Visitor(account(), SESSION)
    assert await db.one(web_sessions.by_macs([b"x" * 32, b"t" * 32])) == visitor
    assert await db.one(web_sessions.by_macs([b"x" * 32])) is None
    assert visitor.signature() == {"accountId": ACCOUNT}


async def test_only_what_lives_is_listed(db: SqliteDatabase) -> None:
    await seed(db)
    for now, idle_since, found in (
        (AT, AT - 1, [SESSION]),
        (AT + HOUR, AT - 1, []),
        (AT, AT, []),
    ):
        assert await db.all(web_sessions.live_of(ACCOUNT, now, idle_since)) == found
    await run(db, web_sessions.touch(SESSION.id, AT + 5))
    touched = replace(SESSION, last_seen_at=AT + 5)
    assert await db.all(web_sessions.live_of(ACCOUNT, AT, AT)) == [touched]


async def test_one_or_all_of_an_account_end(db: SqliteDatabase) -> None:
    await seed(db)
    second = replace(SESSION, id=WebSessionId("session-2"))
    await run(db, web_sessions.insert(second, b"u" * 32, "k1"))
    stranger = AccountId("account-9")
    assert await run(db, web_sessions.revoke(stranger, SESSION.id, AT)) == [0]
    assert await run(db, web_sessions.revoke_all(stranger, AT)) == [0]
    assert await run(db, web_sessions.revoke_all(ACCOUNT, AT, but=SESSION.id)) == [1]
    assert await db.all(web_sessions.live_of(ACCOUNT, AT, AT - 1)) == [SESSION]
    end = web_sessions.revoke(ACCOUNT, SESSION.id, AT)
    assert await run(db, end, end) == [1, 0]


async def test_what_ended_is_swept(db: SqliteDatabase) -> None:
    await seed(db)
    assert await run(db, web_sessions.sweep(AT, AT - 1)) == [0]
    await run(db, web_sessions.revoke(ACCOUNT, SESSION.id, AT))
    assert await run(db, web_sessions.sweep(AT, AT - 1)) == [1]

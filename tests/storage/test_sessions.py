"""Sessions keep their counters over a restart, whether folded or written whole."""

import pytest

from tests.storage.rows import AGENT, AT, SESSION, run, session
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, ToolSessionId
from wicketd.domain.ports import Tx
from wicketd.domain.sessions import SessionEnd
from wicketd.storage import sessions
from wicketd.storage.db import SqliteDatabase


async def test_a_session_comes_back_with_zero_counters(seeded: SqliteDatabase) -> None:
    insert = sessions.insert(session(calls=5))
    assert await run(seeded, insert, insert) == [1, 0]
    assert await seeded.all(sessions.active()) == [session()]
    assert await seeded.one(sessions.by_id(AGENT, SESSION)) == session()
    assert await seeded.one(sessions.by_id(AgentId("other"), SESSION)) is None
    assert await seeded.all(sessions.of_agent(AGENT)) == [session()]


async def test_two_active_sessions_of_one_identity_are_a_conflict(seeded: SqliteDatabase) -> None:
    await run(seeded, sessions.insert(session()))
    with pytest.raises(Conflict):
        await run(seeded, sessions.insert(session(id=ToolSessionId("ts_" + "1" * 32))))


async def test_folded_counters_add_up(seeded: SqliteDatabase) -> None:
    await run(seeded, sessions.insert(session()))

    def call(tx: Tx) -> None:
        tx.fold(("session", SESSION), (1, 1, 0), sessions.fold_session(AT + 3))
        tx.fold(("session_count", SESSION, "deny", "p"), (2,), sessions.fold_count)

    await seeded.write(call)
    await seeded.write(call)
    stored = await seeded.one(sessions.by_id(AGENT, SESSION))
    assert stored == session(calls=2, denials=2, last_activity_at=AT + 3)
    assert await seeded.all(sessions.counts(SESSION)) == [("deny", "p", 4)]


async def test_a_count_of_an_unknown_session_costs_no_group(seeded: SqliteDatabase) -> None:
    unknown = ("session_count", "ts_unknown", "deny", "p")
    await seeded.write(lambda tx: tx.fold(unknown, (1,), sessions.fold_count))
    assert not seeded.health.degraded


async def test_counters_are_written_as_they_are_in_memory(seeded: SqliteDatabase) -> None:
    live = session(calls=3, denials=1, last_activity_at=AT + 9)
    live.tools["git__push"] = 2
    live.allow_counts["p"] = 2
    live.deny_counts["q"] = 1
    await run(seeded, sessions.insert(live))
    for _ in range(2):
        await run(seeded, sessions.touch(live), *sessions.put_counts(live))
    stored = await seeded.one(sessions.by_id(AGENT, SESSION))
    assert stored is not None
    assert (stored.calls, stored.denials, stored.last_activity_at) == (3, 1, AT + 9)
    counts = await seeded.all(sessions.counts(SESSION))
    assert counts == [("allow", "p", 2), ("deny", "q", 1), ("tool", "git__push", 2)]


async def test_a_session_ends_once(seeded: SqliteDatabase) -> None:
    end = sessions.end(SESSION, AT + 1, SessionEnd.MANUAL_RESET)
    assert await run(seeded, sessions.insert(session()), end, end) == [1, 1, 0]
    assert await seeded.all(sessions.active()) == []
    stored = await seeded.one(sessions.by_id(AGENT, SESSION))
    assert stored == session(terminated_at=AT + 1, terminated_reason=SessionEnd.MANUAL_RESET)

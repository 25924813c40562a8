"""Refresh intents: one a connection, named by its owner, found again at the start."""

from dataclasses import replace

import pytest

from tests.storage.rows import AT, connection, run
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, MemberId
from wicketd.storage import connections, refresh_intents
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.refresh_intents import SENT, STARTED, RefreshIntent

INTENT = RefreshIntent(connection().id, 1, "ABCDEFGH", "k1", b"m" * 32, STARTED, AT)


@pytest.fixture
async def held(seeded: SqliteDatabase) -> SqliteDatabase:
    """With a connection."""
    await run(seeded, connections.put(connection()))
    return seeded


async def test_an_intent_is_read_back_by_its_owner_alone(held: SqliteDatabase) -> None:
    await run(held, refresh_intents.insert(INTENT))
    assert await held.one(refresh_intents.of_connection(connection())) == INTENT
    for other in (
        replace(connection(), agent_id=AgentId("other")),
        replace(connection(), member_id=MemberId("other")),
    ):
        assert await held.one(refresh_intents.of_connection(other)) is None


async def test_a_connection_has_one_intent(held: SqliteDatabase) -> None:
    await run(held, refresh_intents.insert(INTENT))
    with pytest.raises(Conflict):
        await run(held, refresh_intents.insert(INTENT))


async def test_only_a_sent_one_is_in_doubt(held: SqliteDatabase) -> None:
    await run(held, refresh_intents.insert(INTENT))
    assert await held.all(refresh_intents.in_doubt()) == []
    await run(held, refresh_intents.mark_sent(connection()))
    ((row, service),) = await held.all(refresh_intents.in_doubt())
    assert (row.id, service) == (INTENT.connection_id, "git")
    assert (row.sealed_ct, row.pending_ct) == (None, None)
    found = await held.one(refresh_intents.of_connection(connection()))
    assert found == replace(INTENT, phase=SENT)


async def test_a_deleted_one_is_gone(held: SqliteDatabase) -> None:
    await run(held, refresh_intents.insert(INTENT), refresh_intents.delete(connection()))
    assert await held.one(refresh_intents.of_connection(connection())) is None

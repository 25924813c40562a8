"""Connections are found under their own agent and member only, and ended ones hold nothing."""

from dataclasses import replace

import pytest

from tests.storage.rows import AGENT, AT, MEMBER, SERVICE, connection, envelope, run
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, ConnectionId, MemberId, Revision
from wicketd.domain.ports import Query
from wicketd.storage import connections
from wicketd.storage.db import SqliteDatabase

_PENDING = connection(
    state=ConnectionState.PENDING,
    pending_ct=envelope("k2"),
    pending_expires_at=AT + 1,
    sealed_ct=None,
    sealed_suite=None,
    outer_kid=None,
    sealed_key_id=None,
)


async def test_a_connection_comes_back_whole_for_its_member(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    query = connections.of_member_service(AGENT, MEMBER, SERVICE)
    assert await seeded.one(query) == connection()
    whole = [(connection(), "git")]
    assert await seeded.all(connections.of_member_with_service(AGENT, MEMBER)) == whole
    assert await seeded.all(connections.of_agent_with_service(AGENT)) == whole


@pytest.mark.requirement("P13", "P15")
async def test_no_other_agent_or_member_finds_it(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    agent, other = AgentId("other"), MemberId("other")
    assert await seeded.one(connections.of_member_service(agent, MEMBER, SERVICE)) is None
    assert await seeded.one(connections.of_member_service(AGENT, other, SERVICE)) is None
    assert await seeded.all(connections.of_member_with_service(agent, MEMBER)) == []
    assert await seeded.all(connections.of_agent_with_service(agent)) == []


async def test_lists_hold_no_ciphertext(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    assert await seeded.all(connections.of_agent(AGENT)) == [connection(sealed_ct=None)]


async def test_a_put_replaces_the_row_and_its_key_index(seeded: SqliteDatabase) -> None:
    def kid() -> Query[object]:
        return Query("SELECT pending_kid FROM connections", (), lambda row: row[0])

    await run(seeded, connections.put(_PENDING))
    assert await seeded.one(kid()) == "k2"
    sealed = connection(rev=Revision(2))
    await run(seeded, connections.put(sealed))
    assert await seeded.one(kid()) is None
    assert await seeded.one(connections.of_member_service(AGENT, MEMBER, SERVICE)) == sealed


async def test_a_second_row_of_the_pair_is_a_conflict(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    with pytest.raises(Conflict):
        await run(seeded, connections.put(connection(id=ConnectionId("connection-2"))))


async def test_a_destroyed_connection_holds_nothing(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    destroy = connections.destroy(AGENT, MEMBER, connection().id, ConnectionState.REVOKED, AT + 5)
    foreign = connections.destroy(
        AGENT, MemberId("other"), connection().id, ConnectionState.REVOKED, AT + 5
    )
    assert await run(seeded, foreign, destroy) == [0, 1]
    assert await seeded.one(connections.of_member_service(AGENT, MEMBER, SERVICE)) == replace(
        connection(),
        state=ConnectionState.REVOKED,
        sealed_ct=None,
        sealed_suite=None,
        outer_kid=None,
        sealed_key_id=None,
        updated_at=AT + 5,
        rev=Revision(2),
    )


async def test_a_use_is_noted_without_a_new_revision(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(connection()))
    await run(seeded, connections.touch_used(AGENT, MEMBER, connection().id, AT + 7))
    stored = await seeded.one(connections.of_member_service(AGENT, MEMBER, SERVICE))
    assert stored == connection(last_used_at=AT + 7)


async def test_the_sweep_finds_pending_windows_that_are_over(seeded: SqliteDatabase) -> None:
    await run(seeded, connections.put(_PENDING))
    assert await seeded.all(connections.pending_since_before(AT + 1)) == []
    found = await seeded.all(connections.pending_since_before(AT + 2))
    assert found == [replace(_PENDING, pending_ct=None)]

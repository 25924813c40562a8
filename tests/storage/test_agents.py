"""Agents come back as they were stored, and a change based on an old revision touches nothing."""

from dataclasses import replace

from tests.storage.rows import AGENT, AT, agent, run
from wicketd.domain.agents import AgentStatus
from wicketd.domain.ids import PolicyRevision, Revision
from wicketd.storage import agents
from wicketd.storage.db import SqliteDatabase


async def test_an_agent_comes_back_by_key_and_by_id(db: SqliteDatabase) -> None:
    stored = agent(tags=("b", "a"), disabled_reason="why")
    await run(db, agents.insert(stored))
    assert await db.one(agents.by_key_or_id("demo")) == stored
    assert await db.one(agents.by_key_or_id(AGENT)) == stored
    assert await db.one(agents.by_key_or_id("other")) is None


async def test_all_agents_are_listed_by_key(db: SqliteDatabase) -> None:
    await run(db, agents.insert(agent(id="2", key="b")), agents.insert(agent(id="1", key="c")))
    assert [one.key for one in await db.all(agents.all())] == ["b", "c"]


async def test_an_update_writes_all_but_the_policy_revision(seeded: SqliteDatabase) -> None:
    after = replace(
        agent(),
        name="Other",
        tz="Europe/Berlin",
        tags=("x",),
        status=AgentStatus.DISABLED,
        disabled_reason="pause",
        policy_revision=PolicyRevision(9),
        rev=Revision(2),
    )
    assert await run(seeded, agents.update(after)) == [1]
    stored = await seeded.one(agents.by_key_or_id(AGENT))
    assert stored == replace(after, policy_revision=PolicyRevision(0))
    assert await run(seeded, agents.update(after)) == [0]


async def test_status_and_deletion_need_the_present_revision(seeded: SqliteDatabase) -> None:
    disable = agents.set_status(AGENT, AgentStatus.DISABLED, "stop", Revision(1))
    delete = agents.mark_deleted(AGENT, AT, Revision(2))
    assert await run(seeded, disable, disable, delete, delete) == [1, 0, 1, 0]
    stored = await seeded.one(agents.by_key_or_id(AGENT))
    assert stored is not None
    assert (stored.status, stored.deleted_at) == (AgentStatus.DELETED, AT)


async def test_the_policy_revision_moves_by_one_from_what_was_expected(
    seeded: SqliteDatabase,
) -> None:
    bump = agents.bump_revision(AGENT, PolicyRevision(0))
    assert await run(seeded, bump, bump) == [1, 0]
    stored = await seeded.one(agents.by_key_or_id(AGENT))
    assert stored is not None
    assert stored.policy_revision == 1

"""Versions are immutable, one is current, and deleted records keep their key."""

from dataclasses import replace

import pytest

from tests.storage.rows import AGENT, AT, policy, revision, run
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId, PolicyId
from wicketd.domain.policies import Cause, Mode
from wicketd.storage import policies
from wicketd.storage.db import SqliteDatabase

_SECOND = replace(
    policy(2),
    mode=Mode.SHADOW,
    enabled=False,
    note="why",
    cause=Cause.ROLLBACK,
    rolled_back_from=1,
    projection={"a": [1, {"b": None}]},
)


async def _two_versions(db: SqliteDatabase) -> None:
    await run(
        db,
        policies.insert_policy(policy()),
        policies.insert_version(policy()),
        policies.insert_version(_SECOND),
        policies.set_current(policy().policy_id, 2),
    )


async def test_the_current_version_is_in_the_set(seeded: SqliteDatabase) -> None:
    await _two_versions(seeded)
    assert await seeded.all(policies.current(AGENT)) == [_SECOND]
    assert await seeded.one(policies.current_of(AGENT, "no-destructive")) == _SECOND
    assert await seeded.all(policies.current(AgentId("other"))) == []


async def test_every_version_stays_readable(seeded: SqliteDatabase) -> None:
    await _two_versions(seeded)
    await run(seeded, policies.mark_deleted(policy().policy_id, AT))
    assert await seeded.all(policies.current(AGENT)) == []
    assert await seeded.one(policies.current_of(AGENT, "no-destructive")) is None
    assert await seeded.all(policies.versions(AGENT, "no-destructive")) == [_SECOND, policy()]
    assert await seeded.one(policies.version(AGENT, "no-destructive", 1)) == policy()


async def test_a_key_is_never_reused(seeded: SqliteDatabase) -> None:
    await _two_versions(seeded)
    delete = policies.mark_deleted(policy().policy_id, AT)
    current = policies.set_current(policy().policy_id, 1)
    assert await run(seeded, delete, delete, current) == [1, 0, 0]
    assert await seeded.one(policies.key_in_use(AGENT, "no-destructive")) == "policy-1"
    with pytest.raises(Conflict):
        await run(seeded, policies.insert_policy(policy(policy_id=PolicyId("policy-2"))))


async def test_revisions_are_listed_newest_first(seeded: SqliteDatabase) -> None:
    await run(seeded, *(policies.insert_revision(revision(n)) for n in (1, 2, 3)))
    listed = await seeded.all(policies.revisions(AGENT, 2))
    assert listed == [revision(3), revision(2)]
    assert await seeded.one(policies.revision(AGENT, 1)) == revision(1)
    with pytest.raises(Conflict):
        await run(seeded, policies.insert_revision(revision(1)))

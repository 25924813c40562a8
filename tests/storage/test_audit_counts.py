"""Facets and hourly counts follow the rows of their own transaction."""

import asyncio

from tests.storage.rows import AGENT, AT, HOUR, audit_row, seed
from tests.storage.test_audit import append
from wicketd.domain.audit import Entry, PolicyHit
from wicketd.storage import audit_counts
from wicketd.storage.audit_counts import HourCount, PolicyHourCount
from wicketd.storage.db import SqliteDatabase

_HOUR = AT - AT % HOUR
_HIT = PolicyHit("policy-1", 1, 1, "permit", "enforce", "read-only")
_SHADOW = PolicyHit("policy-2", 1, 1, "forbid", "shadow", "trial")


async def _calls(db: SqliteDatabase) -> None:
    intent = audit_row(1, "call.intent", decision="ALLOW", reason_code="permitted")
    outcome = audit_row(2, "call.outcome", call_id="call-1", ref=None, decision=None)
    await append(db, intent, Entry("call.intent", policies=(_HIT, _SHADOW)))
    await append(db, outcome, Entry("call.outcome", duration_us=700))
    await asyncio.gather(
        *(
            append(db, audit_row(seq), Entry("call.denied", duration_us=seq * 10))
            for seq in (3, 4, 5)
        )
    )
    other = audit_row(6, "agent.created", agent_id=None, call_id=None, ref=None, decision=None)
    await append(db, other)


async def test_calls_are_counted_once_with_the_duration_of_their_end(db: SqliteDatabase) -> None:
    await seed(db)
    await _calls(db)
    counted = [
        HourCount(AGENT, _HOUR, "git", "push", "ALLOW", 1, 700, 700),
        HourCount(AGENT, _HOUR, "git", "push", "DENY", 3, 120, 50),
    ]
    assert await db.all(audit_counts.stats(AGENT, _HOUR, AT)) == counted
    assert await db.all(audit_counts.stats(None, _HOUR, AT)) == counted
    assert await db.all(audit_counts.stats(AGENT, AT + HOUR, AT + 2 * HOUR)) == []


async def test_enforced_policies_are_counted_per_hour(db: SqliteDatabase) -> None:
    await _calls(db)
    hits = [PolicyHourCount(AGENT, _HOUR, "policy-1", "ALLOW", 1)]
    assert await db.all(audit_counts.policy_stats(AGENT, _HOUR, AT)) == hits


async def test_values_are_offered_most_recent_first(db: SqliteDatabase) -> None:
    await _calls(db)
    kinds = await db.all(audit_counts.facets(AGENT, "kind"))
    assert kinds == ["call.denied", "call.outcome", "call.intent"]
    assert await db.all(audit_counts.facets("", "kind")) == ["agent.created"]
    assert sorted(await db.all(audit_counts.facets(AGENT, "policy"))) == ["read-only", "trial"]


async def test_values_of_all_agents_are_offered_together(db: SqliteDatabase) -> None:
    await seed(db)
    await _calls(db)
    assert (await db.all(audit_counts.facets(None, "kind", 1))) == ["agent.created"]

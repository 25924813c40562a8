"""The audit log is read by key, by reference and by filters; open intents are found."""

import dataclasses
from typing import Any

import pytest

from tests.storage.rows import AGENT, AT, MEMBER, SESSION, audit_row, run
from wicketd.domain.audit import AuditRow, Entry, PolicyHit
from wicketd.domain.errors import Conflict
from wicketd.domain.ports import AuditRows, Query, Tx
from wicketd.storage import audit
from wicketd.storage.audit import AuditFilters, AuditTable, StoredArguments
from wicketd.storage.db import SqliteDatabase

TABLE = AuditTable()
_INTENT = audit_row(5, "call.intent", decision="ALLOW", reason_code="permitted")
_OUTCOME = audit_row(
    6,
    "call.outcome",
    call_id=_INTENT.call_id,
    ref=None,
    decision=None,
    reason_code=None,
    body='{"outcome":"timeout"}',
)
_OTHER = audit_row(7, agent_id="agent-2", member_id="member-2", tool="pull", service="hub")


async def append(db: SqliteDatabase, row: AuditRow, entry: Entry | None = None) -> None:
    """What the journal does with a row."""
    fact = entry or Entry(kind=row.kind)

    def work(tx: Tx) -> None:
        tx.run(TABLE.insert(row))
        for statement in TABLE.insert_side(row, fact):
            tx.run(statement)
        TABLE.fold(tx, row, fact)

    await db.write(work)


async def _log(db: SqliteDatabase) -> None:
    hit = PolicyHit("policy-1", 3, 1, "forbid", "enforce", "no-destructive")
    twice = dataclasses.replace(hit, statement=2)
    await append(db, audit_row(1), Entry("call.denied", policies=(hit, twice)))
    for seq in (2, 3):
        await append(db, audit_row(seq))
    await append(db, audit_row(4), Entry("call.denied", policies=(hit,)))
    for row in (_INTENT, _OUTCOME, _OTHER):
        await append(db, row)


async def _seqs(db: SqliteDatabase, query: Query[AuditRow]) -> list[int]:
    return [row.seq for row in await db.all(query)]


def test_the_table_is_the_port() -> None:
    port: AuditRows = TABLE
    assert port is TABLE


async def test_the_head_is_the_newest_row(db: SqliteDatabase) -> None:
    assert await db.one(TABLE.head()) is None
    await _log(db)
    assert await db.one(TABLE.head()) == (7, _OTHER.hash, 1)


async def test_a_row_comes_back_as_it_was_stored(db: SqliteDatabase) -> None:
    await _log(db)
    assert await db.one(audit.by_seq(5)) == _INTENT
    assert await db.one(audit.by_id("row-5")) == _INTENT
    assert await db.all(audit.by_call("call-5")) == [_INTENT, _OUTCOME]
    assert await db.all(audit.outcomes_of(["call-5", "call-1"])) == [_OUTCOME]


async def test_a_reference_is_found_however_it_was_typed(db: SqliteDatabase) -> None:
    await append(db, audit_row(1, ref="01234567"))
    await append(db, audit_row(2, ref="01234567", agent_id="agent-2"))
    assert await _seqs(db, audit.by_ref("oi234567")) == [1, 2]
    assert await _seqs(db, audit.by_ref("OL234567", "agent-2")) == [2]


async def test_a_taken_reference_is_a_conflict_that_names_it(db: SqliteDatabase) -> None:
    await append(db, audit_row(1))
    with pytest.raises(Conflict) as refused:
        await append(db, audit_row(2, ref=audit_row(1).ref))
    assert refused.value.details[0]["constraint"] == "audit.agent_id, audit.ref"


async def test_rows_stream_in_order(db: SqliteDatabase) -> None:
    await _log(db)
    assert [row.seq async for row in db.stream(audit.rows_from(3))] == [3, 4, 5, 6, 7]


async def test_pages_go_back_and_forth_by_key(db: SqliteDatabase) -> None:
    await _log(db)
    everything = AuditFilters()
    assert await _seqs(db, audit.page(everything, limit=3)) == [7, 5, 4]
    assert await _seqs(db, audit.page(everything, before=4, limit=2)) == [3, 2]
    assert await _seqs(db, audit.page(everything, after=4)) == [5, 7]


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ({"agent_id": AGENT}, [5, 4, 3, 2, 1]),
        ({"agent_id": AGENT, "decision": "ALLOW"}, [5]),
        ({"member_id": MEMBER, "reason_code": "permitted"}, [5]),
        ({"session_id": SESSION, "from_ms": AT + 3, "to_ms": AT + 4}, [4, 3]),
        ({"service": "hub"}, [7]),
        ({"tools": ("pull", "other")}, [7]),
        ({"tools": ()}, []),
        ({"kind": "call.outcome"}, [6]),
        ({"key_id": "ABCDEFGH", "ref": "00000002"}, [2]),
        ({"policy_id": "policy-1"}, [4, 1]),
        ({"policy_id": "policy-1", "agent_id": "agent-2"}, []),
        ({"outcome": "timeout"}, [5]),
        ({"outcome": "ok"}, []),
        ({"containing": ('"policyRevision":3,',)}, [3]),
    ],
)
async def test_filters_choose_entries(
    db: SqliteDatabase, filters: dict[str, Any], seqs: list[int]
) -> None:
    await _log(db)
    assert await _seqs(db, audit.page(AuditFilters(**filters))) == seqs


async def test_a_policys_page_goes_on_from_a_key(db: SqliteDatabase) -> None:
    await _log(db)
    hits = AuditFilters(policy_id="policy-1")
    assert await _seqs(db, audit.page(hits, before=4)) == [1]
    assert await _seqs(db, audit.page(hits, after=0)) == [1, 4]


async def test_an_intent_without_outcome_is_open(db: SqliteDatabase) -> None:
    await _log(db)
    assert await db.all(audit.open_intents()) == []
    left = audit_row(8, "call.intent")
    await append(db, left)
    await append(db, audit_row(9, "connection.refreshed", call_id=left.call_id, ref=None))
    assert await db.all(audit.open_intents()) == [left]
    assert await db.all(audit.open_intents("call-8")) == []


async def test_arguments_are_kept_beside_the_chain_and_erased(db: SqliteDatabase) -> None:
    await append(db, audit_row(1), Entry("call.denied", arguments=("k1", b"ct", AT + 10)))
    assert await db.one(audit.arguments_of("call-1")) == StoredArguments(
        "call-1", "k1", b"ct", AT + 10
    )
    assert await db.all(audit.arguments_kids()) == ["k1"]
    assert await run(db, audit.erase_arguments(AT + 10)) == [0]
    assert await run(db, audit.erase_arguments(AT + 11)) == [1]
    assert await db.one(audit.arguments_of("call-1")) is None
    assert await db.one(audit.by_seq(1)) is not None

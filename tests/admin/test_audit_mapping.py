"""Audit rows as entries: hosted field names, joined with their outcome; counts as stats."""

from typing import Any

import msgspec

from wicketd.admin.audit_mapping import checkpoint, entry, raw_row, stats
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.storage.audit_counts import HourCount

HOUR = 3_600_000


def row(seq: int, kind: str, body: dict[str, Any], **columns: Any) -> AuditRow:
    values: dict[str, Any] = {
        **dict.fromkeys(("call_id", "ref", "agent_id", "member_id", "key_id", "session_id"), None),
        **dict.fromkeys(("service", "tool", "decision", "reason_code"), None),
        **columns,
    }
    return AuditRow(
        seq=seq,
        id=f"id{seq}",
        ts=0,
        kind=kind,
        body=msgspec.json.encode({"seq": seq, "ts": 0, "kind": kind, **body}).decode(),
        prev=b"\x01" * 32,
        hash=b"\x02" * 32,
        epoch=1,
        **values,
    )


INTENT = row(
    7,
    "call.intent",
    {
        "memberName": "ann@example.test",
        "callerIp": "127.0.0.1",
        "determining": [{"key": "p", "version": 2}, {"key": "p", "version": 2}],
        "policyRevision": 4,
    },
    call_id="c",
    service="notes",
    tool="search",
    decision="ALLOW",
)
OUTCOME = row(8, "call.outcome", {"outcome": "ok", "durationMs": 12, "bytesOut": 3}, call_id="c")


def test_an_entry_joins_intent_and_outcome() -> None:
    found = entry(INTENT, OUTCOME)

    assert (found.seq, found.kind, found.outcome, found.duration_ms) == (7, "call.intent", "ok", 12)
    assert found.matched_policy_ids == ("p",)
    assert found.member_name == "ann@example.test"
    assert found.fields == {
        "determining": [{"key": "p", "version": 2}, {"key": "p", "version": 2}],
        "policyRevision": 4,
        "bytesOut": 3,
    }


def test_an_entry_goes_out_under_the_hosted_names_without_empty_fields() -> None:
    sent = msgspec.json.decode(msgspec.json.encode(entry(INTENT, None)))

    assert sent["callId"] == "c"
    assert sent["matchedPolicyIds"] == ["p"]
    assert "outcome" not in sent
    assert "sessionId" not in sent


def test_a_raw_row_keeps_its_canonical_body() -> None:
    assert raw_row(OUTCOME).body == OUTCOME.body
    assert raw_row(OUTCOME).hash == "02" * 32


def test_a_checkpoint_is_its_note() -> None:
    made = checkpoint(Checkpoint(epoch=1, size=8, root=b"\xff", note="n", at=0))

    assert (made.root, made.note, made.at) == ("ff", "n", "1970-01-01T00:00:00.000Z")


def test_stats_sum_up_hours_and_name_the_top() -> None:
    hours = [
        HourCount("a", 0, "notes", "search", "ALLOW", 2, 8000, 5000),
        HourCount("a", 0, "notes", "delete", "DENY", 5, 100, 50),
        HourCount("a", HOUR, "notes", "search", "ALLOW", 2, 4000, 2000),
    ]
    found = stats(hours, [("no-deletes", 5)], (0, 24 * HOUR), "hour")

    assert (found.allowed, found.denied, found.mean_ms, found.max_ms) == (4, 5, 3.0, 5.0)
    assert [(b.allowed, b.denied) for b in found.series] == [(2, 5), (2, 0)]
    assert [(c.name, c.count) for c in found.top_tools] == [
        ("notes__delete", 5),
        ("notes__search", 4),
    ]
    assert found.top_denying_policies[0].name == "no-deletes"
    assert len(stats(hours, [], (0, 0), "day").series) == 1


def test_no_calls_have_no_durations() -> None:
    found = stats([], [], (0, HOUR), "hour")

    assert (found.allowed, found.mean_ms, found.max_ms, found.series) == (0, None, None, ())

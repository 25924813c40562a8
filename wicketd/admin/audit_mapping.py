"""Audit rows, checkpoints and counts as contract structs. Counterpart: `mapping`."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wicketd.admin import mapping
from wicketd.api.types import audit as wire
from wicketd.api.types import status as wire_status
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.storage.audit_counts import HourCount

TOP: Final = 10
_BUCKET_MS: Final = {"hour": 3_600_000, "day": 86_400_000}
_PROJECTED: Final = frozenset(
    {
        *("seq", "id", "ts", "kind", "callId", "ref", "agentId", "memberId", "keyId"),
        *("sessionId", "service", "tool", "decision", "reasonCode", "epoch"),
    }
)
"""What the body holds of the row's own columns."""
_OWN: Final = frozenset(
    {
        *("agentName", "memberName", "action", "resource", "principal", "callerIp", "toolArgs"),
        *("reason", "durationMs", "outcome"),
    }
)
"""Fields of the body that have a field of `AuditEntry`."""


def entry(row: AuditRow, outcome: AuditRow | None) -> wire.AuditEntry:
    """A row joined with the outcome that closed it."""
    body = _body(row)
    if outcome is not None:
        body |= {name: value for name, value in _body(outcome).items() if name not in body}
    elif row.decision == "DENY":
        # A denied call took as long as its decision; one refused before it, no time at all.
        body.setdefault("durationMs", body.get("evalUs", 0) / 1000)
    determining = body.get("determining", [])
    return wire.AuditEntry(
        seq=row.seq,
        id=row.id,
        timestamp=mapping.iso(row.ts),
        kind=row.kind,
        call_id=row.call_id,
        ref=row.ref,
        agent_id=row.agent_id,
        member_id=row.member_id,
        member_key_id=row.key_id,
        session_id=row.session_id,
        service=row.service,
        tool=row.tool,
        decision=row.decision,
        reason_code=row.reason_code,
        matched_policy_ids=tuple(dict.fromkeys(one["key"] for one in determining)),
        fields={n: v for n, v in body.items() if n not in _PROJECTED and n not in _OWN},
        prev=row.prev.hex(),
        hash=row.hash.hex(),
        **_named(body),
    )


def raw_row(row: AuditRow) -> wire.AuditRow:
    """A row as stored."""
    return wire.AuditRow(
        seq=row.seq,
        id=row.id,
        kind=row.kind,
        body=row.body,
        prev=row.prev.hex(),
        hash=row.hash.hex(),
        epoch=row.epoch,
    )


def checkpoint(value: Checkpoint) -> wire.Checkpoint:
    """A signed checkpoint."""
    return wire.Checkpoint(
        epoch=value.epoch,
        size=value.size,
        root=value.root.hex(),
        note=value.note,
        at=mapping.iso(value.at),
    )


def stats(
    hours: Sequence[HourCount],
    denying: Sequence[tuple[str, int]],
    span: tuple[int, int],
    bucket: str,
) -> wire_status.Stats:
    """Totals, series and tops of a range. `span`: its ends in ms."""
    allowed, denied = _by_decision(hours)
    ended_us = sum(one.sum_us for one in hours if one.decision == "ALLOW")
    slowest_us = max((one.max_us for one in hours), default=0)
    tools: Counter[str] = Counter()
    for one in hours:
        if one.tool:
            tools[f"{one.service}__{one.tool}"] += one.n
    return wire_status.Stats(
        since=mapping.iso(span[0]),
        until=mapping.iso(span[1]),
        allowed=allowed,
        denied=denied,
        series=_series(hours, _BUCKET_MS[bucket]),
        top_tools=_counts(tools.most_common(TOP)),
        top_denying_policies=_counts(denying[:TOP]),
        mean_ms=round(ended_us / allowed / 1000, 1) if allowed else None,
        max_ms=round(slowest_us / 1000, 1) if hours else None,
    )


def _series(hours: Sequence[HourCount], width_ms: int) -> tuple[wire_status.Bucket, ...]:
    buckets: defaultdict[int, list[HourCount]] = defaultdict(list)
    for one in hours:
        buckets[one.hour - one.hour % width_ms].append(one)
    return tuple(_bucket(at, buckets[at]) for at in sorted(buckets))


def _bucket(at: int, hours: Sequence[HourCount]) -> wire_status.Bucket:
    allowed, denied = _by_decision(hours)
    return wire_status.Bucket(at=mapping.iso(at), allowed=allowed, denied=denied)


def _by_decision(hours: Sequence[HourCount]) -> tuple[int, int]:
    sums = Counter[str]()
    for one in hours:
        sums[one.decision] += one.n
    return sums["ALLOW"], sums["DENY"]


def _counts(pairs: Sequence[tuple[str, int]]) -> tuple[wire_status.Count, ...]:
    return tuple(wire_status.Count(name=name, count=count) for name, count in pairs)


def _body(row: AuditRow) -> dict[str, Any]:
    return msgspec.json.decode(row.body, type=dict[str, Any])


def _named(body: dict[str, Any]) -> dict[str, Any]:
    """The body's own fields by the struct's attribute names."""
    fields = {f.encode_name: f.name for f in msgspec.structs.fields(wire.AuditEntry)}
    return {fields[name]: body[name] for name in _OWN if name in body}

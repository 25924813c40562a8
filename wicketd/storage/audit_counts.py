"""Counts and values of the audit log: `audit_facets`, `audit_hourly`, `audit_hourly_policy`.

Folded in the transaction of the rows they count, one upsert per key and commit group, so that no
dashboard and no completion ever scans the log. Counterpart of `audit`.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.audit import AuditRow, Entry
from wicketd.domain.ports import Query, SqlValue, Statement, Tx

HOUR_MS: Final = 3_600_000
_CALLS: Final = frozenset({"call.intent", "call.denied", "call.outcome"})
_ALL_AGENTS: Final = "agent_id IN (SELECT id FROM agents UNION ALL SELECT '')"


@dataclass(frozen=True, slots=True)
class HourCount:
    """Calls of one hour. `hour`: ms of its start; `sum_us`, `max_us`: durations of ended calls."""

    agent_id: str
    hour: int
    service: str
    tool: str
    decision: str
    n: int
    sum_us: int
    max_us: int


@dataclass(frozen=True, slots=True)
class PolicyHourCount:
    """Calls of one hour that a policy determined."""

    agent_id: str
    hour: int
    policy_id: str
    decision: str
    n: int


def fold(tx: Tx, row: AuditRow, entry: Entry) -> None:
    """Feeds the row into the counters of its commit group."""
    agent = row.agent_id or ""
    facets = (
        ("kind", row.kind),
        ("service", row.service),
        ("tool", row.tool),
        ("member", row.member_id),
        ("key", row.key_id),
        ("reason", row.reason_code),
    )
    for kind, value in facets:
        if value is not None:
            tx.fold(("facet", agent, kind, value), (), _facet, maxima=(row.seq,))
    for key in {hit.key for hit in entry.policies}:
        tx.fold(("facet", agent, "policy", key), (), _facet, maxima=(row.seq,))
    if row.kind in _CALLS:
        _fold_call(tx, row, entry, agent)


def facets(agent_id: str | None, kind: str, limit: int = 500) -> Query[str]:
    """Values of one kind seen in the log, the most recent first. `agent_id` None: of all agents."""
    where = _ALL_AGENTS if agent_id is None else "agent_id = ?"
    return Query(
        f"SELECT value FROM audit_facets WHERE {where} AND kind = ? "
        "GROUP BY value ORDER BY max(last_seq) DESC LIMIT ?",
        (*_given(agent_id), kind, limit),
        lambda row: str(row[0]),
    )


def stats(agent_id: str | None, from_ms: int, to_ms: int) -> Query[HourCount]:
    """Counts of the hours that begin in [from_ms, to_ms]. `agent_id` None: of all agents."""
    where = _ALL_AGENTS if agent_id is None else "agent_id = ?"
    return Query(
        "SELECT agent_id, hour, service, tool, decision, n, sum_us, max_us FROM audit_hourly "
        f"WHERE {where} AND hour BETWEEN ? AND ? ORDER BY hour",
        (*_given(agent_id), from_ms, to_ms),
        lambda row: HourCount(*row),
    )


def policy_stats(agent_id: str | None, from_ms: int, to_ms: int) -> Query[PolicyHourCount]:
    """Hits of policies in the hours that begin in [from_ms, to_ms]."""
    where = _ALL_AGENTS if agent_id is None else "agent_id = ?"
    return Query(
        "SELECT agent_id, hour, policy_id, decision, n FROM audit_hourly_policy "
        f"WHERE {where} AND hour BETWEEN ? AND ? ORDER BY hour",
        (*_given(agent_id), from_ms, to_ms),
        lambda row: PolicyHourCount(*row),
    )


def _fold_call(tx: Tx, row: AuditRow, entry: Entry, agent: str) -> None:
    hour = row.ts - row.ts % HOUR_MS
    # An outcome closes a call that its intent has counted: it adds the duration only.
    decision = row.decision or ("ALLOW" if row.kind == "call.outcome" else "DENY")
    counted = int(row.kind != "call.outcome")
    duration_us = entry.duration_us or 0
    tx.fold(
        ("hour", agent, hour, row.service or "", row.tool or "", decision),
        (counted, duration_us),
        _hour,
        maxima=(duration_us,),
    )
    for policy_id in {hit.policy_id for hit in entry.policies if hit.mode == "enforce"}:
        tx.fold(("policy_hour", agent, hour, policy_id, decision), (1,), _policy_hour)


def _facet(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
    return Statement(
        "INSERT INTO audit_facets (agent_id, kind, value, last_seq) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (agent_id, kind, value) DO UPDATE SET last_seq = excluded.last_seq",
        (*_key(key), *counts),
    )


def _hour(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
    return Statement(
        "INSERT INTO audit_hourly (agent_id, hour, service, tool, decision, n, sum_us, max_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (agent_id, hour, service, tool, decision) DO UPDATE SET n = n + excluded.n, "
        "sum_us = sum_us + excluded.sum_us, max_us = max(max_us, excluded.max_us)",
        (*_key(key), *counts),
    )


def _policy_hour(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
    return Statement(
        "INSERT INTO audit_hourly_policy (agent_id, hour, policy_id, decision, n) "
        "VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (agent_id, hour, policy_id, decision) DO UPDATE SET n = n + excluded.n",
        (*_key(key), *counts),
    )


def _key(key: tuple[object, ...]) -> tuple[SqlValue, ...]:
    """The columns in a fold's key: all of it but the word that names the counter."""
    return tuple(part if isinstance(part, int) else str(part) for part in key[1:])


def _given(agent_id: str | None) -> tuple[str, ...]:
    return () if agent_id is None else (agent_id,)

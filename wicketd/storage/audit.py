"""The audit log as rows: what the journal writes (`AuditTable`) and what readers ask for.

Counterpart of `audit.journal`, which chains; nothing here knows how a hash is made. Rows are only
ever appended. Counts of them: `audit_counts`; checkpoints and anchors: `checkpoints`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from wicketd.domain.audit import AuditRow, Entry
from wicketd.domain.ids import normalise_ref
from wicketd.domain.ports import Query, SqlValue, Statement, Tx
from wicketd.storage import audit_counts

COLUMNS: Final = (
    "seq, id, ts, kind, call_id, ref, agent_id, member_id, key_id, session_id, service, tool, "
    "decision, reason_code, body, prev, hash, epoch"
)
_SELECT: Final = f"SELECT {COLUMNS} FROM audit"
_INSERT: Final = (
    f"INSERT INTO audit ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ENDED_WITH: Final = (
    "EXISTS (SELECT 1 FROM audit AS o WHERE o.call_id = a.call_id AND o.kind = 'call.outcome' "
    "AND instr(o.body, ?) > 0)"
)
NO_OUTCOME: Final = "a.kind <> 'call.outcome'"
"""An outcome belongs to its intent and is no entry of its own."""
_NEWEST: Final = 2**63 - 1


class AuditTable:
    """The statements of the journal; a `domain.ports.AuditRows`."""

    def head(self) -> Query[tuple[int, bytes, int]]:
        """See `AuditRows.head`."""
        return Query(
            "SELECT seq, hash, epoch FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
            (),
            lambda row: (row[0], row[1], row[2]),
        )

    def insert(self, row: AuditRow) -> Statement:
        """See `AuditRows.insert`; when run, `Conflict` if a unique value such as `ref` is taken."""
        return Statement(_INSERT, _values(row))

    def insert_side(self, row: AuditRow, entry: Entry) -> Sequence[Statement]:
        """See `AuditRows.insert_side`."""
        statements = [
            Statement(
                "INSERT INTO audit_policies (seq, policy_id, version, statement, effect, mode) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (row.seq, hit.policy_id, hit.version, hit.statement, hit.effect, hit.mode),
            )
            for hit in entry.policies
        ]
        if entry.arguments is not None and row.call_id is not None:
            kid, envelope, expires_at = entry.arguments
            statements.append(
                Statement(
                    "INSERT INTO audit_args (call_id, kid, ct, expires_at) VALUES (?, ?, ?, ?)",
                    (row.call_id, kid, envelope, expires_at),
                )
            )
        return statements

    def fold(self, tx: Tx, row: AuditRow, entry: Entry) -> None:
        """See `AuditRows.fold`."""
        audit_counts.fold(tx, row, entry)


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which entries to show; None: any. Times in ms, inclusive.

    `tools`: exact names, found by facets. `containing`: texts that the canonical body holds, such
    as `"policyRevision":12,`.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    agent_id: str | None = None
    member_id: str | None = None
    session_id: str | None = None
    key_id: str | None = None
    service: str | None = None
    tools: tuple[str, ...] | None = None
    decision: str | None = None
    kind: str | None = None
    reason_code: str | None = None
    ref: str | None = None
    policy_id: str | None = None
    outcome: str | None = None
    containing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredArguments:
    """Sealed arguments of a call. `ct`: the envelope; `expires_at`: when it is erased, ms."""

    call_id: str
    kid: str
    ct: bytes
    expires_at: int


def read(row: Sequence[Any]) -> AuditRow:
    """The audit row of a row."""
    return AuditRow(*row)


def by_seq(seq: int) -> Query[AuditRow]:
    """One row."""
    return Query(f"{_SELECT} WHERE seq = ?", (seq,), read)


def by_id(row_id: str) -> Query[AuditRow]:
    """One row by its own id."""
    return Query(f"{_SELECT} WHERE id = ?", (row_id,), read)


def by_ref(ref: str, agent_id: str | None = None) -> Query[AuditRow]:
    """Intents or denials that people quote as `ref`; unique per agent."""
    folded = normalise_ref(ref)
    if agent_id is None:
        return Query(f"{_SELECT} WHERE ref = ? ORDER BY seq", (folded,), read)
    return Query(f"{_SELECT} WHERE agent_id = ? AND ref = ?", (agent_id, folded), read)


def by_call(call_id: str) -> Query[AuditRow]:
    """Every row of a call, in order: its intent or denial first."""
    return Query(f"{_SELECT} WHERE call_id = ? ORDER BY seq", (call_id,), read)


def outcomes_of(call_ids: Sequence[str]) -> Query[AuditRow]:
    """The outcome rows of these calls, for a page of entries."""
    marks = ", ".join("?" * len(call_ids))
    return Query(
        f"{_SELECT} WHERE call_id IN ({marks}) AND kind = 'call.outcome'", tuple(call_ids), read
    )


def rows_from(seq: int) -> Query[AuditRow]:
    """Every row from `seq` on, in order: for verification, export and followers. To be streamed."""
    return Query(f"{_SELECT} WHERE seq >= ? ORDER BY seq", (seq,), read)


def hashes_from(seq: int, limit: int) -> Query[bytes]:
    """The hashes of the next rows from `seq` on, in order: all that a checkpoint needs of them."""
    return Query(
        "SELECT hash FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?",
        (seq, limit),
        lambda row: bytes(row[0]),
    )


def open_intents(after_call_id: str = "") -> Query[AuditRow]:
    """Intents that no outcome closes, of calls behind `after_call_id` (ids sort by time).

    Reads the index of call ids, not the rows: 10⁶ calls are a matter of a few hundred ms.
    """
    return Query(
        f"{_SELECT} WHERE kind = 'call.intent' AND call_id IN ("
        "SELECT call_id FROM audit WHERE call_id > ? GROUP BY call_id "
        "HAVING count(CASE WHEN kind = 'call.intent' THEN 1 END) > 0 "
        "AND count(CASE WHEN kind = 'call.outcome' THEN 1 END) = 0) ORDER BY seq",
        (after_call_id,),
        read,
    )


def page(
    filters: AuditFilters, *, before: int | None = None, after: int | None = None, limit: int = 100
) -> Query[AuditRow]:
    """Entries by key, newest first below seq `before`; with `after`, oldest first above it.

    Outcome rows belong to their intent and are left out unless `filters.kind` asks for them.
    """
    bound, order = (">", "ASC") if after is not None else ("<", "DESC")
    start = after if after is not None else before if before is not None else _NEWEST
    asked = [(f"a.seq {bound} ?", (start,)), *conditions(filters)]
    source, group = "audit AS a", ""
    if filters.policy_id is not None:
        # From the policy's own index: a policy that decided little must not cost a walk of the log.
        source, group = "audit_policies AS hit CROSS JOIN audit AS a", "GROUP BY hit.seq "
        asked = [
            ("hit.policy_id = ?", (filters.policy_id,)),
            (f"hit.seq {bound} ?", (start,)),
            ("a.seq = hit.seq", ()),
            *asked[1:],
        ]
    key = "hit.seq" if filters.policy_id is not None else "a.seq"
    columns = ", ".join(f"a.{name}" for name in COLUMNS.split(", "))
    where = " AND ".join(text for text, _ in asked)
    values = tuple(value for _, given in asked for value in given)
    return Query(
        f"SELECT {columns} FROM {source} WHERE {where} {group}ORDER BY {key} {order} LIMIT ?",
        (*values, limit),
        read,
    )


def decided(
    filters: AuditFilters, after: int, up_to: int, limit: int
) -> Query[tuple[AuditRow, bytes | None]]:
    """Decided calls in order, from behind seq `after` to `up_to`, with their sealed arguments."""
    asked = [
        ("a.seq > ? AND a.seq <= ?", (after, up_to)),
        ("a.kind IN ('call.intent', 'call.denied')", ()),
        *conditions(filters),
    ]
    columns = ", ".join(f"a.{name}" for name in COLUMNS.split(", "))
    where = " AND ".join(text for text, _ in asked)
    values = tuple(value for _, given in asked for value in given)
    return Query(
        f"SELECT {columns}, g.ct FROM audit AS a LEFT JOIN audit_args AS g "
        f"ON g.call_id = a.call_id WHERE {where} ORDER BY a.seq LIMIT ?",
        (*values, limit),
        lambda row: (read(row[:-1]), row[-1]),
    )


def targets(agent_id: str, since_ms: int, rows: int, limit: int) -> Query[tuple[str, list[str]]]:
    """What the newest calls of an agent were about: resource and parents, the newest first.

    At most `rows` rows are looked at, so that a busy agent is answered as quickly as a quiet one;
    resources of `Wicket` itself (tools, prompts) are no targets.
    """
    return Query(
        "SELECT json_extract(body, '$.resource') AS resource, "
        "json_extract(body, '$.parents') AS parents FROM ("
        "SELECT seq, body FROM audit WHERE agent_id = ? AND ts >= ? "
        "AND kind IN ('call.intent', 'call.denied') ORDER BY seq DESC LIMIT ?) "
        "WHERE resource NOT LIKE 'Wicket::%' GROUP BY resource, parents "
        "ORDER BY max(seq) DESC LIMIT ?",
        (agent_id, since_ms, rows, limit),
        lambda row: (row[0], msgspec.json.decode(row[1] or "[]", type=list[str])),
    )


def arguments_of(call_id: str) -> Query[StoredArguments]:
    """The sealed arguments of a call, while they are kept."""
    return Query(
        "SELECT call_id, kid, ct, expires_at FROM audit_args WHERE call_id = ?",
        (call_id,),
        lambda row: StoredArguments(*row),
    )


def erase_arguments(before_ms: int, limit: int = -1) -> Statement:
    """Erases arguments whose time is over; the chain does not hold them. `limit` -1: all."""
    return Statement(
        "DELETE FROM audit_args WHERE call_id IN"
        " (SELECT call_id FROM audit_args WHERE expires_at < ? LIMIT ?)",
        (before_ms, limit),
    )


def arguments_kids() -> Query[str]:
    """Every kid under which arguments are sealed. Reads the whole table."""
    return Query("SELECT DISTINCT kid FROM audit_args", (), lambda row: str(row[0]))


def conditions(filters: AuditFilters) -> list[tuple[str, tuple[SqlValue, ...]]]:
    """What the filters ask of a row `a` of the log, each with its values; the policy apart."""
    exact: tuple[tuple[str, SqlValue], ...] = (
        ("a.agent_id = ?", filters.agent_id),
        ("a.member_id = ?", filters.member_id),
        ("a.session_id = ?", filters.session_id),
        ("a.key_id = ?", filters.key_id),
        ("a.service = ?", filters.service),
        ("a.decision = ?", filters.decision),
        ("a.reason_code = ?", filters.reason_code),
        ("a.ref = ?", None if filters.ref is None else normalise_ref(filters.ref)),
        ("a.ts >= ?", filters.from_ms),
        ("a.ts <= ?", filters.to_ms),
    )
    asked: list[tuple[str, tuple[SqlValue, ...]]] = [
        (text, (value,)) for text, value in exact if value is not None
    ]
    if filters.kind is None:
        asked.append((NO_OUTCOME, ()))
    else:
        asked.append(("a.kind = ?", (filters.kind,)))
    if filters.tools is not None:
        asked.append((f"a.tool IN ({', '.join('?' * len(filters.tools))})", filters.tools))
    if filters.outcome is not None:
        asked.append((_ENDED_WITH, (f'"outcome":"{filters.outcome}"',)))
    asked += [("instr(a.body, ?) > 0", (text,)) for text in filters.containing]
    return asked


def _values(row: AuditRow) -> tuple[SqlValue, ...]:
    return (
        row.seq,
        row.id,
        row.ts,
        row.kind,
        row.call_id,
        row.ref,
        row.agent_id,
        row.member_id,
        row.key_id,
        row.session_id,
        row.service,
        row.tool,
        row.decision,
        row.reason_code,
        row.body,
        row.prev,
        row.hash,
        row.epoch,
    )

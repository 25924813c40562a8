"""Appends chained rows inside the writer's transaction; implements `domain.ports.Journal`.

Counterpart of `storage.audit`, which holds the SQL. Invariant: the head is read in the transaction
that appends, so a rolled back unit leaves no gap and no fork.
"""

from wicketd.audit.chain import GENESIS, canonical_body, row_hash
from wicketd.domain.audit import KINDS, AuditRow, Entry
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import AuditRows, Clock, Ids, Tx

_COLUMNS = (
    ("callId", "call_id"),
    ("ref", "ref"),
    ("agentId", "agent_id"),
    ("memberId", "member_id"),
    ("memberKeyId", "key_id"),
    ("sessionId", "session_id"),
    ("service", "service"),
    ("tool", "tool"),
    ("decision", "decision"),
    ("reasonCode", "reason_code"),
)


class Journal:
    """The one way into the audit log."""

    def __init__(self, rows: AuditRows, clock: Clock, ids: Ids) -> None:
        self._rows = rows
        self._clock = clock
        self._ids = ids

    def append(self, tx: Tx, entry: Entry) -> AuditRow:
        """Chains `entry` behind the newest row; durable when the group commits.

        Raises:
            ValueError: its kind is not one of `KINDS`, or its fields hold a float.
            Conflict: its reference or call is taken.
        """
        if entry.kind not in KINDS:
            message = f"{entry.kind} is no audit kind"
            raise ValueError(message)
        seq, prev, epoch = tx.one(self._rows.head()) or (0, GENESIS, 1)
        row = self._chained(entry, seq + 1, prev, epoch)
        tx.run(self._rows.insert(row))
        for statement in self._rows.insert_side(row, entry):
            tx.run(statement)
        self._rows.fold(tx, row, entry)
        return row

    def _chained(self, entry: Entry, seq: int, prev: bytes, epoch: int) -> AuditRow:
        row_id, now_ms = self._ids.uuid7(), self._clock.now_ms()
        body: JsonObject = dict(entry.fields)
        for name, column in _COLUMNS:
            value = getattr(entry, column)
            if value is not None:
                body[name] = value
        body |= {"id": row_id, "seq": seq, "ts": now_ms, "epoch": epoch, "kind": entry.kind}
        text = canonical_body(body)
        return AuditRow(
            seq=seq,
            id=row_id,
            ts=now_ms,
            kind=entry.kind,
            call_id=entry.call_id,
            ref=entry.ref,
            agent_id=entry.agent_id,
            member_id=entry.member_id,
            key_id=entry.key_id,
            session_id=entry.session_id,
            service=entry.service,
            tool=entry.tool,
            decision=entry.decision,
            reason_code=entry.reason_code,
            body=text,
            prev=prev,
            hash=row_hash(prev, text),
            epoch=epoch,
        )

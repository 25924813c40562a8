"""Chains entries into rows inside the writer's transaction. Implements `domain.ports.Journal`.

Invariant: the body says everything that the columns say, and the columns say nothing else.
Counterparts: `chain` (bodies, hashes), `storage.audit` (statements), `verify` (checks the same).
"""

from typing import Final

from wicketd.audit.chain import GENESIS, MAX_NAME, canonical_body, row_hash
from wicketd.domain.audit import KINDS, AuditRow, Entry
from wicketd.domain.json import Json
from wicketd.domain.ports import AuditRows, Clock, Ids, Tx

PROJECTIONS: Final = (
    ("id", "id"),
    ("seq", "seq"),
    ("ts", "ts"),
    ("kind", "kind"),
    ("call_id", "callId"),
    ("ref", "ref"),
    ("agent_id", "agentId"),
    ("member_id", "memberId"),
    ("key_id", "memberKeyId"),
    ("session_id", "sessionId"),
    ("service", "service"),
    ("tool", "tool"),
    ("decision", "decision"),
    ("reason_code", "reasonCode"),
    ("epoch", "epoch"),
)
"""Column and its name in the body; a column that is null is left out there."""

_FIRST_EPOCH: Final = 1


class Journal:
    """Appends rows: reads the head, chains, inserts. One transaction may append several."""

    def __init__(self, rows: AuditRows, clock: Clock, ids: Ids) -> None:
        self._rows = rows
        self._clock = clock
        self._ids = ids

    def append(self, tx: Tx, entry: Entry) -> AuditRow:
        """Chains `entry` behind the newest row; durable when the group commits.

        Raises:
            ValueError: a kind that does not exist, a field that repeats a column, or a float.
            Conflict: its reference or call is taken.
        """
        if entry.kind not in KINDS:
            raise ValueError(f"There is no audit kind {entry.kind!r}.")
        seq, prev, epoch = tx.one(self._rows.head()) or (0, GENESIS, _FIRST_EPOCH)
        # A restored backup begins a new epoch, so that older checkpoints are not held against it.
        epoch += entry.kind == "audit.restored"
        row = self._chain(entry, seq + 1, prev, epoch)
        tx.run(self._rows.insert(row))
        for statement in self._rows.insert_side(row, entry):
            tx.run(statement)
        self._rows.fold(tx, row, entry)
        return row

    def _chain(self, entry: Entry, seq: int, prev: bytes, epoch: int) -> AuditRow:
        row_id, ts = self._ids.uuid7(), self._clock.now_ms()
        # Clients choose these two: cut alike in column and body.
        service = entry.service and entry.service[:MAX_NAME]
        tool = entry.tool and entry.tool[:MAX_NAME]
        columns: dict[str, Json] = {
            "id": row_id,
            "seq": seq,
            "ts": ts,
            "kind": entry.kind,
            "callId": entry.call_id,
            "ref": entry.ref,
            "agentId": entry.agent_id,
            "memberId": entry.member_id,
            "memberKeyId": entry.key_id,
            "sessionId": entry.session_id,
            "service": service,
            "tool": tool,
            "decision": entry.decision,
            "reasonCode": entry.reason_code,
            "epoch": epoch,
        }
        if not columns.keys().isdisjoint(entry.fields):
            raise ValueError("A field of an audit entry repeats the name of a column.")
        body_fields = dict(entry.fields)
        body_fields.update([item for item in columns.items() if item[1] is not None])
        body = canonical_body(body_fields)
        return AuditRow(
            seq=seq,
            id=row_id,
            ts=ts,
            kind=entry.kind,
            call_id=entry.call_id,
            ref=entry.ref,
            agent_id=entry.agent_id,
            member_id=entry.member_id,
            key_id=entry.key_id,
            session_id=entry.session_id,
            service=service,
            tool=tool,
            decision=entry.decision,
            reason_code=entry.reason_code,
            body=body,
            prev=prev,
            hash=row_hash(prev, body),
            epoch=epoch,
        )

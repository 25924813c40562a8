"""Closes the intents that nothing else will close: after a crash, and after the log was unwritable.

Counterpart of `services.calls`, which says when a call begins and ends, and of `upkeep`, which says
when to close. Invariant: a call that is still running is never closed here; an outcome whose result
was withheld is written late, but as `withheld` (product spec, section 5, step 16).
"""

from dataclasses import replace
from typing import Final

from wicketd.domain.audit import AuditRow, Entry
from wicketd.domain.calls import OutcomeStatus
from wicketd.domain.ids import CallId, uuid7
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Tx
from wicketd.services.desk import Desk
from wicketd.storage import audit as audit_rows

_LONGEST_CALL_MS: Final = 3_600_000
"""More than any call may take: older intents were closed at the start."""


class Intents:
    """Which calls run, and which outcomes could not be written when their calls ended."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._running: set[CallId] = set()
        self.begun = 0
        """How often a call began since the start."""
        self._withheld: dict[CallId, Entry] = {}

    def began(self, call_id: CallId) -> None:
        """The intent of this call is on its way."""
        self._running.add(call_id)
        self.begun += 1

    @property
    def is_any_running(self) -> bool:
        """Whether a call runs now."""
        return bool(self._running)

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def ended(self, call_id: CallId) -> None:
        """The call needs no closing from here."""
        self._running.discard(call_id)

    def withheld(self, call_id: CallId, outcome: Entry) -> None:
        """The call ended, and its outcome did not reach the disk."""
        fields = outcome.fields
        if fields.get("outcome") != OutcomeStatus.CANCELLED.value:
            fields = {**fields, "outcome": OutcomeStatus.WITHHELD.value}
        self._withheld[call_id] = replace(outcome, fields=fields)
        self._running.discard(call_id)

    async def close_left(self) -> int:
        """At start: whatever a crash left open ended nobody knows how. Gives how many."""
        return await self._desk.db.write(lambda tx: self._close(tx, ""))

    async def recovered(self, reason: str, since_ms: int) -> None:
        """After a fault that began at `since_ms`: tells the log, and closes what it left open.

        Raises:
            AuditNotDurable: the log is unwritable again; the next recovery does it all.
        """
        oldest = uuid7(max(0, since_ms - _LONGEST_CALL_MS), bytes(10))

        def work(tx: Tx) -> None:
            fault: JsonObject = {"cause": reason, "sinceMs": since_ms}
            self._desk.journal.append(tx, Entry(kind="system.degraded", fields=fault))
            closed: JsonObject = {"closedCalls": self._close(tx, oldest)}
            self._desk.journal.append(tx, Entry(kind="system.recovered", fields=closed))

        await self._desk.db.write(work)
        self._withheld.clear()

    def _close(self, tx: Tx, after_call_id: str) -> int:
        left = [
            row
            for row in tx.all(audit_rows.open_intents(after_call_id))
            if row.call_id is not None and CallId(row.call_id) not in self._running
        ]
        for row in left:
            late = self._withheld.get(CallId(str(row.call_id)))
            self._desk.journal.append(tx, late or _unknown(row))
        return len(left)


def _unknown(intent: AuditRow) -> Entry:
    return Entry(
        kind="call.outcome",
        fields={"outcome": OutcomeStatus.UNKNOWN.value},
        call_id=intent.call_id,
        agent_id=intent.agent_id,
        member_id=intent.member_id,
        key_id=intent.key_id,
        session_id=intent.session_id,
        service=intent.service,
        tool=intent.tool,
    )

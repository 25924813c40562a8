"""Opens the arguments of recorded calls inside the daemon, to decide those calls once more.

Counterpart of `services.entries`, which sealed them. Invariant: what is opened here goes into the
policy child and never into an answer; showing it to people is a reveal, with a reason and a row.
Source: security spec, section 10.
"""

from typing import Any

import msgspec

from wicketd.audit.redact import read_recorded
from wicketd.domain.audit import AuditRow
from wicketd.domain.errors import Conflict
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Database
from wicketd.storage import audit
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.sealing import Sealer


class RecordedArguments:
    """Arguments by the row that recorded the call."""

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

    def open(self, row: AuditRow, envelope: bytes | None) -> JsonObject | None:
        """The arguments in an envelope of `audit_args`; None if there is none or it fails."""
        opened = self.open_salted(row, envelope)
        return None if opened is None else msgspec.json.decode(opened[0], type=dict[str, Any])

    def open_salted(self, row: AuditRow, envelope: bytes | None) -> tuple[bytes, bytes] | None:
        """The same as canonical JSON, with the salt of the row's commitment."""
        if envelope is None or None in (row.call_id, row.agent_id, row.member_id):
            return None
        try:
            plain = self._sealer.open_args(
                str(row.call_id), str(row.agent_id), str(row.member_id), envelope
            )
            return read_recorded(plain)
        except (DecryptFailed, ValueError):
            return None

    async def sealed(self, row: AuditRow) -> bytes | None:
        """The envelope of a call's arguments, while they are kept."""
        if row.call_id is None:
            return None
        stored = await self._db.one(audit.arguments_of(row.call_id))
        return None if stored is None else stored.ct

    async def of(self, row: AuditRow) -> JsonObject:
        """The arguments of one call.

        Raises:
            Conflict: they are not kept, or no more.
        """
        opened = self.open(row, await self.sealed(row))
        if opened is None:
            raise not_kept(row)
        return opened


def not_kept(row: AuditRow) -> Conflict:
    """The refusal where arguments are asked for that nobody has."""
    message = (
        f"The arguments of entry {row.ref or row.id} are not kept any more, or never were. "
        "Give the arguments yourself."
    )
    return Conflict(message)

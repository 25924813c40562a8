"""Remembers connection rows for the call path, so that a call costs no read of its own.

Counterpart: `unlocking`.

Invariant: what was read before a change is never given after it, and nothing is older than a second
(FC16).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from wicketd.domain.calls import Caller
from wicketd.domain.connections import Connection
from wicketd.domain.ids import MemberId
from wicketd.domain.ports import Clock, Database
from wicketd.storage import connections, services

FRESH_S: Final = 1.0
REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Row:
    connection: Connection | None
    read_at_s: float


class ConnectionRows:
    """The connection rows read lately; a row read before a change is never kept after it."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._rows: OrderedDict[tuple[str, str], _Row] = OrderedDict()
        self._changes = 0

    def forget(self, member_id: MemberId | None = None) -> None:
        """Drops the member's rows, or all."""
        self._changes += 1
        for key in [key for key in self._rows if member_id in {None, key[0]}]:
            del self._rows[key]

    async def read(self, caller: Caller, service: str) -> Connection | None:
        """The caller's connection to a service, at most a second old."""
        key, now = (caller.member.id, service), self._clock.monotonic_s()
        row = self._rows.get(key)
        if row is not None and now - row.read_at_s < FRESH_S:
            return row.connection
        changes = self._changes
        connection = await self._stored(caller, service)
        if changes == self._changes:
            self._rows[key] = _Row(connection, now)
            self._rows.move_to_end(key)
            if len(self._rows) > REMEMBERED:
                self._rows.popitem(last=False)
        return connection

    async def _stored(self, caller: Caller, service: str) -> Connection | None:
        found = await self._db.one(services.by_key(caller.agent.id, service))
        if found is None:
            return None
        query = connections.of_member_service(caller.agent.id, caller.member.id, found.id)
        return await self._db.one(query)

"""New tokens that were redeemed and not written: kept encrypted, in memory, until they are.

Counterpart: `refresh_flight` (R8). The provider has replaced the old pair: this is the only copy.
Source: security spec, section 5: at most 64; again after 0.1, 1 and 5 s, then with each good probe.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from wicketd.domain.errors import Unhealthy
from wicketd.domain.ids import ConnectionId
from wicketd.domain.ports import Spawn

KEPT_MAX: Final = 64
RETRY_S: Final = (0.1, 1.0, 5.0)
_LOG: Final = logging.getLogger(__name__)

Write: TypeAlias = Callable[[], Awaitable[object]]
"""One transaction; raises Unhealthy when the disk does not take it."""


class Unwritten:
    """What waits for the disk."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._writes: dict[ConnectionId, Write] = {}

    @property
    def is_full(self) -> bool:
        """Whether no further pair could be kept: then none may be redeemed."""
        return len(self._writes) >= KEPT_MAX

    @property
    def count(self) -> int:
        """How many pairs wait."""
        return len(self._writes)

    def holds(self, connection_id: ConnectionId) -> bool:
        """Whether the row of this connection is behind what the provider knows."""
        return connection_id in self._writes

    def keep(self, connection_id: ConnectionId, write: Write) -> None:
        """Takes a pair in; over the bound it is lost, and its intent tells of the doubt."""
        if self.is_full:
            _LOG.error("a redeemed pair of tokens could be neither written nor kept")
            return
        _LOG.error("a redeemed pair of tokens is not on the disk yet; its calls are refused")
        self._writes[connection_id] = write
        self._spawn(self._soon(connection_id), name="write tokens")

    async def retry(self) -> None:
        """Tries everything once; for each good write probe, and for the stop."""
        for connection_id in list(self._writes):
            if not await self._try(connection_id):
                return

    async def _soon(self, connection_id: ConnectionId) -> None:
        for wait_s in RETRY_S:
            await asyncio.sleep(wait_s)
            if await self._try(connection_id):
                return

    async def _try(self, connection_id: ConnectionId) -> bool:
        write = self._writes.get(connection_id)
        if write is None:
            return True
        try:
            await write()
        except Unhealthy:
            return False
        if self._writes.get(connection_id) is write:
            del self._writes[connection_id]
        return True

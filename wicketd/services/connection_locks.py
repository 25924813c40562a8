"""Locks of connections: a refresh and a change of key take turns on one record.

Both read a record, work on it for up to half a minute and write it back; without turns the later
write would keep tokens that the provider has replaced. Source: security spec, 4 and 5 (R1).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from wicketd.domain.errors import Conflict
from wicketd.domain.ids import ConnectionId


class ConnectionLocks:
    """One lock a connection, in this process: the lock file keeps a second daemon out."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[ConnectionId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, ids: Iterable[ConnectionId], timeout_s: float) -> AsyncIterator[None]:
        """Holds all of `ids`, taken in id order so that two holders cannot wait for each other.

        Raises:
            Conflict: one was still held after `timeout_s`; none is kept.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(timeout_s):
                    for connection_id in sorted(set(ids)):
                        await held.enter_async_context(self._lock(connection_id))
            except TimeoutError as error:
                message = "A sign-in with the provider is running. Try again in a minute."
                raise Conflict(message) from error
            yield

    def is_held(self, connection_id: ConnectionId) -> bool:
        """Whether somebody works on the connection now."""
        lock = self._locks.get(connection_id)
        return lock is not None and lock.locked()

    def _lock(self, connection_id: ConnectionId) -> asyncio.Lock:
        lock = self._locks.get(connection_id)
        if lock is None:
            lock = self._locks[connection_id] = asyncio.Lock()
        return lock

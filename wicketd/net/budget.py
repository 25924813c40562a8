"""Bounds the bytes of upstream answers that are in memory at once. Counterpart of `net.client`.

Reading pauses at the bound; the deadline of each call ends a pause that nobody lifts.
Source: protocol spec, 4.7 (128 MiB buffered upstream bytes per daemon).
"""

import asyncio
from collections import deque


class ByteBudget:
    """Counts bytes held by all readers; `take` waits while the bound is passed."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.held_bytes = 0

    async def take(self, count: int) -> None:
        """Takes `count` bytes, waiting until they fit; a lone reader never waits."""
        while self.held_bytes and self.held_bytes + count > self._limit_bytes:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self.held_bytes += count

    def give(self, count: int) -> None:
        """Gives `count` bytes back and lets the waiting readers look again."""
        self.held_bytes -= count
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

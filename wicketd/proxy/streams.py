"""One open SSE stream: messages go in, framed chunks come out for its one writer.

Counterpart of `proxy.sse`, whose queue and replay buffer it drives, and of `proxy.transport`, which
writes the chunks. A message goes to exactly one stream and is framed once (protocol spec, 2.6, I4).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from wicketd.proxy.sse import PING, PING_AFTER_S, Outbox, Replay, Weight, encode


class EventStream:
    """Queue, writer and end of one stream.

    `replay`: legacy streams only; without it events carry no ids.
    """

    def __init__(self, replay: Replay | None = None, *, ping_after_s: float = PING_AFTER_S) -> None:
        self.replay = replay
        self._ping_after_s = ping_after_s
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._writer = 0
        self._is_detached = False
        self._is_ended = False

    @property
    def writer(self) -> int:
        """Which writer has the stream: the number changes when another takes over."""
        return self._writer

    @property
    def is_ended(self) -> bool:
        """Nothing more can be put."""
        return self._is_ended

    def put(self, data: bytes, weight: Weight = Weight.MUST, key: str = "") -> None:
        """Queues one JSON message; after the end it is dropped."""
        if self._is_ended:
            return
        if not self._is_detached:
            self._outbox.put(data, weight, key)
            self._wake.set()
        elif self.replay is not None:
            self.replay.add(data)

    def end(self) -> None:
        """Lets the writer finish once it has written what is queued."""
        self._is_ended = True
        self._wake.set()

    def detach(self) -> None:
        """The connection is gone: what is queued or still comes waits in the replay buffer."""
        self._writer += 1
        self._is_detached = True
        self._wake.set()
        while (data := self._outbox.take()) is not None:
            if self.replay is not None:
                self.replay.add(data)

    def open(self, first: Sequence[bytes] = ()) -> AsyncIterator[bytes]:
        """Makes the caller the writer; an earlier one ends.

        Yields `first`, then messages as they come, and pings while all is silent.
        """
        self._writer += 1
        self._is_detached = False
        self._wake.set()
        return self._chunks(self._writer, first)

    async def _chunks(self, writer: int, first: Sequence[bytes]) -> AsyncIterator[bytes]:
        for chunk in first:
            yield chunk
        while writer == self._writer:
            data = self._outbox.take()
            if data is not None:
                yield encode(data) if self.replay is None else self.replay.add(data)
            elif self._is_ended:
                return
            elif not await self._woken():
                yield PING

    async def _woken(self) -> bool:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._ping_after_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

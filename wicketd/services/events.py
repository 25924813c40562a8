"""Tells listeners what changed. Counterpart: the event stream of the admin API.

Publishing never waits and never fails: events live in one bounded ring, listeners read behind it at
their own pace, and who falls out of the ring is told to read everything anew.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AgentId
from wicketd.domain.json import Json
from wicketd.domain.ports import Clock

RING: Final = 10_000
"""Events kept for resuming listeners (product spec, section 9)."""
BATCH: Final = 500


class Topic(StrEnum):
    """What an event is about; closed (product spec, section 9)."""

    AUDIT = "audit"
    AGENTS = "agents"
    MEMBERS = "members"
    SERVICES = "services"
    POLICIES = "policies"
    SESSIONS = "sessions"
    CONNECTIONS = "connections"
    REPLAYS = "replays"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `id` counts from 1 in this process; `data` holds no secret."""

    id: int
    topic: Topic
    at_ms: int
    agent_id: AgentId | None
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a listener gets at once. `resync`: events were missed, read the lists anew."""

    events: tuple[Event, ...]
    resync: bool = False


class Subscription:
    """One listener's place behind the ring."""

    def __init__(
        self, events: "Events", topics: frozenset[Topic], last_id: int, number: int
    ) -> None:
        self._events = events
        self.topics = topics
        self.number = number
        """Counts the listeners of this process from 1 on."""
        self._last_id = last_id
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Called by the publisher: there is something new."""
        self._wake.set()

    async def next(self, timeout_s: float) -> Batch | None:
        """The next events in order, at most 500; None when nothing came within `timeout_s`."""
        batch = self._take()
        if batch is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while batch is None:
                        await self._wake.wait()
                        batch = self._take()
        return batch

    def close(self) -> None:
        """Ends the subscription; safe to call twice."""
        self._events.leave(self)

    def _take(self) -> Batch | None:
        self._wake.clear()
        newest = self._events.newest
        if self._last_id > newest or self._last_id < self._events.oldest - 1:
            self._last_id = newest
            return Batch((), resync=True)
        found: list[Event] = []
        for event in self._events.after(self._last_id):
            self._last_id = event.id
            if event.topic in self.topics:
                found.append(event)
                if len(found) == BATCH:
                    break
        return Batch(tuple(found)) if found else None


class Events:
    """The ring and its listeners; owned by the event loop."""

    def __init__(self, clock: Clock, size: int = RING) -> None:
        self._clock = clock
        self._ring: deque[Event] = deque(maxlen=size)
        self._listeners: set[Subscription] = set()
        self._newest = 0
        self._joined = 0

    @property
    def newest(self) -> int:
        """Id of the newest event, 0 before the first."""
        return self._newest

    @property
    def oldest(self) -> int:
        """Id of the oldest event still kept; one past the newest when none is."""
        return self._ring[0].id if self._ring else self._newest + 1

    def after(self, last_id: int) -> list[Event]:
        """Kept events with an id above `last_id`, oldest first."""
        skip = max(0, last_id + 1 - self.oldest)
        return list(self._ring)[skip:]

    def publish(
        self, topic: Topic, data: Mapping[str, Json], agent_id: AgentId | None = None
    ) -> None:
        """Appends an event and wakes the listeners."""
        self._newest += 1
        self._ring.append(Event(self._newest, topic, self._clock.now_ms(), agent_id, data))
        for listener in self._listeners:
            listener.wake()

    def subscribe(self, topics: frozenset[Topic], last_id: int | None = None) -> Subscription:
        """A place behind `last_id`, or behind the newest event.

        Close it when the listener leaves.
        """
        self._joined += 1
        start = self._newest if last_id is None else last_id
        listener = Subscription(self, topics, start, self._joined)
        self._listeners.add(listener)
        return listener

    def youngest(self, topic: Topic) -> int:
        """Number of the listener of `topic` that came last; 0 when nobody listens."""
        return max((one.number for one in self._listeners if topic in one.topics), default=0)

    def leave(self, listener: Subscription) -> None:
        """Forgets a listener."""
        self._listeners.discard(listener)

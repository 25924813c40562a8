"""Who is inside: requests and streams that run, ended at once when the right they run under ends.

Counterpart of `proxy.transport`, which enters and leaves, and the `LiveCalls` of the use cases that
stop an agent, member or key. Invariant: at most 16 streams of one member at once (protocol spec,
C6; requests: `services.callers`).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from wicketd.domain.calls import Caller, Refusal, RefusalKind
from wicketd.domain.ids import AgentId, KeyId, MemberId

MAX_STREAMS: Final = 16
MAX_STREAMS_OF_ALL: Final = 10_000
RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """One request or stream inside; identity is what counts."""

    agent_id: AgentId
    member_id: MemberId
    key_id: KeyId
    is_stream: bool
    stop: Callable[[], None]


class Presences:
    """Every request and stream that runs now."""

    def __init__(self) -> None:
        self._requests: set[Presence] = set()
        self._streams: dict[MemberId, set[Presence]] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self, caller: Caller, stop: Callable[[], None]) -> Presence:
        """Lets a request in; hand what it gives to `leave`.

        `stop` ends it early and must not raise.
        """
        presence = _presence(caller, stop, is_stream=False)
        self._requests.add(presence)
        self._empty.clear()
        return presence

    def enter_stream(self, caller: Caller, stop: Callable[[], None]) -> Presence | Refusal:
        """Lets a stream in, if the member and the daemon have room."""
        inside = self._streams.get(caller.member.id, set())
        if len(inside) >= MAX_STREAMS or self.streams >= MAX_STREAMS_OF_ALL:
            return Refusal(RefusalKind.CONCURRENCY, retry_after_s=RETRY_AFTER_S)
        presence = _presence(caller, stop, is_stream=True)
        self._streams.setdefault(caller.member.id, set()).add(presence)
        return presence

    def leave(self, presence: Presence) -> None:
        """Takes one out; a second time does nothing."""
        if not presence.is_stream:
            self._requests.discard(presence)
            if not self._requests:
                self._empty.set()
            return
        inside = self._streams.get(presence.member_id, set())
        inside.discard(presence)
        if not inside:
            self._streams.pop(presence.member_id, None)

    async def wait_empty(self) -> None:
        """Returns when no request runs."""
        await self._empty.wait()

    @property
    def requests(self) -> int:
        """Requests that run; what a drain waits for."""
        return len(self._requests)

    @property
    def streams(self) -> int:
        """Streams that are open."""
        return sum(map(len, self._streams.values()))

    def end_agent(self, agent_id: AgentId) -> None:
        """Stops what runs for the agent."""
        self._stop(inside for inside in self._all() if inside.agent_id == agent_id)

    def end_member(self, member_id: MemberId) -> None:
        """Stops what runs for the member."""
        self._stop(inside for inside in self._all() if inside.member_id == member_id)

    def end_key(self, key_id: KeyId) -> None:
        """Stops what runs under the key."""
        self._stop(inside for inside in self._all() if inside.key_id == key_id)

    def end_streams(self) -> None:
        """Stops every stream: the daemon is going down."""
        self._stop(inside for inside in self._all() if inside.is_stream)

    def _all(self) -> list[Presence]:
        return [*self._requests, *(one for inside in self._streams.values() for one in inside)]

    @staticmethod
    def _stop(inside: Iterable[Presence]) -> None:
        for presence in list(inside):
            presence.stop()


def _presence(caller: Caller, stop: Callable[[], None], *, is_stream: bool) -> Presence:
    return Presence(caller.agent.id, caller.member.id, caller.key_id, is_stream, stop)

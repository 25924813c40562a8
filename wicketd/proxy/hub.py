"""Tells open streams that a list of a member changed, once per change and never in a storm.

Counterpart of `proxy.front`, whose streams join here; `app.py` calls `changed` after policy,
catalogue, service and connection changes. Invariant: a notification goes out only if the member's
view differs from the one last announced; per stream at most one in 5 s, the last change always
counted (protocol spec, 2.7).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.ports import Clock, Random, Spawn

DEBOUNCE_S: Final = 0.1
EVERY_S: Final = 5.0
SPREAD_OVER: Final = 20
"""Streams that an event may touch at once; beyond, they are spread."""
SPREAD_S: Final = 2.0
_SEEN_MEMBERS: Final = 10_000


class Timer(Protocol):
    """A call that has not happened yet."""

    def cancel(self) -> None:
        """It will not."""


class Timers(Protocol):
    """The loop's timers."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Calls `callback` once, `delay` seconds from now."""


class Subscription:
    """One stream's place for one list: whose view it shows, and what it was told last."""

    def __init__(
        self, caller: Caller, listing: Listing, notify: Callable[[], None], digest: str | None
    ) -> None:
        self.caller = caller
        self.listing = listing
        self.notify = notify
        self.digest = digest
        self.told_at_s: float | None = None
        self.timer: Timer | None = None
        self.is_dirty = False


class Hub:
    """Every subscribed stream. `view`: the digest of a caller's list, from cached lists."""

    def __init__(
        self,
        view: Callable[[Caller, Listing], Awaitable[str]],
        *,
        timers: Timers,
        spawn: Spawn,
        clock: Clock,
        random: Random,
    ) -> None:
        self._view = view
        self._timers = timers
        self._spawn = spawn
        self._clock = clock
        self._random = random
        self._streams: set[Subscription] = set()
        self._seen: OrderedDict[tuple[MemberId, Listing], str] = OrderedDict()

    def saw(self, member_id: MemberId, listing: Listing, digest: str) -> None:
        """A member was answered with this view; what it already knows is not announced."""
        self._seen[member_id, listing] = digest
        self._seen.move_to_end((member_id, listing))
        if len(self._seen) > _SEEN_MEMBERS:
            self._seen.popitem(last=False)
        for stream in self._streams:
            if (stream.caller.member.id, stream.listing) == (member_id, listing):
                stream.digest = digest

    def join(self, caller: Caller, listing: Listing, notify: Callable[[], None]) -> Subscription:
        """Subscribes a stream; `notify` writes one notification and must not raise."""
        seen = self._seen.get((caller.member.id, listing))
        stream = Subscription(caller, listing, notify, seen)
        self._streams.add(stream)
        # looked at once: what changed between the member's last list and now is told
        self._schedule(stream, DEBOUNCE_S)
        return stream

    def leave(self, stream: Subscription) -> None:
        """Unsubscribes; a second time does nothing."""
        self._streams.discard(stream)
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None

    def changed(
        self,
        agent_id: AgentId | None = None,
        member_id: MemberId | None = None,
        listing: Listing | None = None,
    ) -> None:
        """Something that lists are made of changed; None: for every agent, member, list."""
        touched = [
            stream
            for stream in self._streams
            if agent_id in (None, stream.caller.agent.id)
            and member_id in (None, stream.caller.member.id)
            and listing in (None, stream.listing)
        ]
        for stream in touched:
            delay_s = DEBOUNCE_S
            if stream.told_at_s is not None:
                delay_s = max(delay_s, stream.told_at_s + EVERY_S - self._clock.monotonic_s())
            if len(touched) > SPREAD_OVER:
                delay_s += SPREAD_S * self._random.bytes(1)[0] / 256
            self._schedule(stream, delay_s)

    def _schedule(self, stream: Subscription, delay_s: float) -> None:
        stream.is_dirty = True
        if stream.timer is None:
            stream.timer = self._timers.call_later(delay_s, lambda: self._due(stream))

    def _due(self, stream: Subscription) -> None:
        self._spawn(self._compare(stream), name="list changed")

    async def _compare(self, stream: Subscription) -> None:
        stream.is_dirty = False
        try:
            digest = await self._view(stream.caller, stream.listing)
        finally:
            stream.timer = None
        if stream not in self._streams:
            return
        is_known = stream.digest is None or stream.digest == digest
        stream.digest = digest
        if not is_known:
            stream.told_at_s = self._clock.monotonic_s()
            stream.notify()
        if stream.is_dirty:  # it changed again while we looked
            self._schedule(stream, EVERY_S if not is_known else DEBOUNCE_S)

"""How many forms one visitor may send: a count a minute, in memory, bounded."""

from collections import OrderedDict
from typing import Final

from wicketd.domain.ports import Clock

PER_MINUTE: Final = 60
_KEPT: Final = 10_000
_WINDOW_S: Final = 60.0


class Throttle:
    """Counts per key (an account, or an address before sign-in); the oldest of 10,000 is let go."""

    def __init__(self, clock: Clock, per_minute: int = PER_MINUTE) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def admits(self, key: str) -> bool:
        """Counts one and says whether it is within the minute's number."""
        now = self._clock.monotonic_s()
        began, count = self._windows.pop(key, (now, 0))
        if now - began >= _WINDOW_S:
            began, count = now, 0
        self._windows[key] = (began, count + 1)
        if len(self._windows) > _KEPT:
            self._windows.popitem(last=False)
        return count < self._per_minute

"""How long a token endpoint that failed is left alone, one connection at a time. In memory.

Source: security spec, section 5: 1, 2, 4 … 60 s; `Retry-After` up to 600 s is honoured.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import ConnectionId
from wicketd.domain.ports import Clock

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Wait:
    next_s: float
    until_s: float


class BackOff:
    """Doubles the wait at each failure; a success forgets it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: OrderedDict[ConnectionId, _Wait] = OrderedDict()

    def may_try(self, connection_id: ConnectionId) -> bool:
        """Whether the wait is over, or there is none."""
        wait = self._waits.get(connection_id)
        return wait is None or self._clock.monotonic_s() >= wait.until_s

    def failed(self, connection_id: ConnectionId, at_least_s: float | None = None) -> None:
        """Begins the next wait. `at_least_s`: what the server asked for."""
        wait = self._waits.get(connection_id)
        own_s = FIRST_S if wait is None else wait.next_s
        until_s = self._clock.monotonic_s() + max(own_s, at_least_s or 0.0)
        self._waits[connection_id] = _Wait(min(own_s * 2, LONGEST_S), until_s)
        self._waits.move_to_end(connection_id)
        if len(self._waits) > REMEMBERED:
            self._waits.popitem(last=False)

    def succeeded(self, connection_id: ConnectionId) -> None:
        """The next failure begins with the shortest wait."""
        self._waits.pop(connection_id, None)

"""Counts how often an upstream wanted more scopes, so that nobody signs in for ever. In memory.

Source: security spec, 6.5: at most 3 step-ups a day per (connection, tool).
"""

from collections import OrderedDict
from typing import Final

from wicketd.domain.ids import ConnectionId
from wicketd.domain.ports import Clock

A_DAY: Final = 3
DAY_S: Final = 86_400.0
REMEMBERED: Final = 4_096


class StepUps:
    """When each tool of each connection last wanted more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: OrderedDict[tuple[ConnectionId, str], tuple[float, ...]] = OrderedDict()

    def may_ask(self, connection_id: ConnectionId, tool: str) -> bool:
        """Counts one more, unless the last day had its three."""
        key, now_s = (connection_id, tool), self._clock.monotonic_s()
        recent = tuple(at_s for at_s in self._asked.get(key, ()) if now_s - at_s < DAY_S)
        if len(recent) >= A_DAY:
            return False
        self._asked[key] = (*recent, now_s)
        self._asked.move_to_end(key)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return True

"""Whether the database takes writes, and who is told of changes. Source: security spec, 10."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """`reason` None: writable. `since_ms`: when that began. `needs_restart`: no probe heals it."""

    reason: str | None
    since_ms: int
    needs_restart: bool = False

    @property
    def degraded(self) -> bool:
        """No new calls; reads go on."""
        return self.reason is not None


class HealthState:
    """The present health; listeners hear of each change from writable to degraded and back."""

    def __init__(self, at_ms: int) -> None:
        self.now = Health(None, at_ms)
        self._listeners: list[Callable[[Health], None]] = []

    def listen(self, listener: Callable[[Health], None]) -> None:
        """Calls `listener` on the loop at each change."""
        self._listeners.append(listener)

    def degrade(self, reason: str, at_ms: int, *, needs_restart: bool = False) -> None:
        """Notes a fault; the first reason stands until it heals, unless the newer one is final."""
        if self.now.needs_restart or (self.now.degraded and not needs_restart):
            return
        self._become(Health(reason, at_ms, needs_restart))

    def recover(self, at_ms: int) -> None:
        """Notes that a write reached the disk again."""
        if self.now.degraded and not self.now.needs_restart:
            self._become(Health(None, at_ms))

    def _become(self, health: Health) -> None:
        self.now = health
        for listener in self._listeners:
            listener(health)

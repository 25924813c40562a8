"""Empties the write-ahead log after a ciphertext was destroyed, now or as soon as readers allow.

Counterpart: `storage.db`. Source: security spec, section 4: retried until it truncates, warned
about after 60 s.
"""

from typing import Final, Protocol

from wicketd.domain.ports import Clock

WARN_AFTER_S: Final = 60.0


class Truncatable(Protocol):
    """The database's side."""

    async def truncate_wal(self) -> bool:
        """Moves the log into the file and empties it; False when a reader was in the way."""


class Wal:
    """Remembers a truncation that is due; `retry` is called by the sweep."""

    def __init__(self, db: Truncatable, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._due_since_s: float | None = None

    async def truncate(self) -> None:
        """Empties the log, or leaves that to the next `retry`."""
        if self._due_since_s is None:
            self._due_since_s = self._clock.monotonic_s()
        await self.retry()

    async def retry(self) -> None:
        """Tries again if a truncation is due."""
        if self._due_since_s is not None and await self._db.truncate_wal():
            self._due_since_s = None

    @property
    def is_overdue(self) -> bool:
        """Whether destroyed ciphertexts may have stayed in the log for over a minute."""
        since = self._due_since_s
        return since is not None and self._clock.monotonic_s() - since > WARN_AFTER_S

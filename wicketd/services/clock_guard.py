"""Refuses what depends on time while the host's clock lies in its own past (FC13).

A clock that was set back would make expired codes, links, flows and one-time passwords good again.
The latest time ever seen is kept in `meta.clock_high_water`; use cases take their time from
`check`.
Source: security specification, section 11.
"""

from typing import Final

from wicketd.domain.audit import Entry
from wicketd.domain.errors import ClockBackwards
from wicketd.domain.ports import Clock, Database, Journal, Tx
from wicketd.storage import meta

TOLERANCE_MS: Final = 60_000
_KEY: Final = "clock_high_water"
_STEP_MS: Final = 10_000
"""How far the clock runs ahead before the stored time follows: a write per 10 s at most."""


class ClockGuard:
    """The desk's, so one a daemon: the stored time is read once and followed in memory."""

    def __init__(self, db: Database, journal: Journal, clock: Clock) -> None:
        self._db = db
        self._journal = journal
        self._clock = clock
        self._seen: int | None = None
        self._is_told = False

    async def check(self) -> int:
        """The time in ms that a use case may compare expiries with.

        Raises:
            ClockBackwards: the clock is more than 60 s behind a time that was seen before.
        """
        seen = await self._high_water()
        now = self._clock.now_ms()
        if now < seen - TOLERANCE_MS:
            await self._tell(now, seen)
            raise ClockBackwards(
                "The clock of this host was set back, so nothing that expires is accepted now. "
                "Set the clock right and try again.",
                hint="timedatectl status",
            )
        self._is_told = False
        if now >= seen + _STEP_MS:
            await self._raise_to(now)
        return now

    async def advance(self) -> None:
        """Keeps the present for later: sweeps call it, so that idle hours count too."""
        if self._clock.now_ms() > await self._high_water():
            await self._raise_to(self._clock.now_ms())

    async def _high_water(self) -> int:
        if self._seen is None:
            self._seen = int(await self._db.one(meta.get(_KEY)) or 0)
        return self._seen

    async def _raise_to(self, now: int) -> None:
        await self._db.write(lambda tx: tx.run(meta.put(_KEY, str(now))))
        self._seen = max(now, self._seen or 0)

    async def _tell(self, now: int, seen: int) -> None:
        """One row an episode: a refused flood must not fill the log."""
        if self._is_told:
            return
        self._is_told = True
        entry = Entry(kind="clock.backwards", fields={"now": now, "highWater": seen})

        def work(tx: Tx) -> None:
            self._journal.append(tx, entry)

        await self._db.write(work)

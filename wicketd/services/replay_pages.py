"""The rows of a replay on their way: read in pages, opened a few at a time, one page ahead.

Counterparts: `services.replay` runs the jobs, `services.replay_rows` opens and counts single rows.
Invariant: calls are served between any few rows, and no more than two pages are in memory.
Source: policy spec, 7.3.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wicketd.domain.audit import AuditRow
from wicketd.domain.ports import Database
from wicketd.policy.replay import Replayed
from wicketd.services.intents import Intents
from wicketd.services.replay_rows import Before, Opener, Page, ReplayChild, Tally, unasked
from wicketd.storage import audit
from wicketd.storage.audit import AuditFilters

PAGE_ROWS: Final = 256
"""What the engine takes at once."""
TURN_ROWS: Final = 8
"""Rows that are opened, or counted, before the loop serves calls again: half a millisecond."""
PAUSE_S: Final = 0.05
"""What a page takes at 5,000 rows a second: while calls run, half of the time is theirs."""


class Pace:
    """Pauses of one replay behind its pages while calls run (policy spec, 3.6).

    The child may not be niced, and shares the processors with the proxy. A call that came and went
    during the page counts too.
    """

    def __init__(
        self, calls: Intents, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._calls = calls
        self._pause = pause
        self._begun = calls.begun

    async def after_page(self) -> None:
        """Leaves the processors to the calls for `PAUSE_S`, if there are any."""
        begun_before, self._begun = self._begun, self._calls.begun
        if self._begun != begun_before or self._calls.is_any_running:
            await self._pause(PAUSE_S)


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page whose arguments are open; rows that no policy was asked about have no `Before`."""

    rows: Sequence[tuple[AuditRow, Before | None]]

    async def decided(self, child: ReplayChild) -> dict[int, Replayed]:
        """What the child says, by seq. Raises what the child raises."""
        calls = [one.call for _, one in self.rows if one is not None and one.call is not None]
        return {one.seq: one for one in await child.rows(calls)} if calls else {}

    async def count(self, tally: Tally, found: dict[int, Replayed]) -> None:
        """Counts the rows in their order."""
        for number, (row, before) in enumerate(self.rows):
            if before is None:
                tally.skip(row)
            else:
                tally.add(before, found.get(row.seq) or unasked(before))
            if number % TURN_ROWS == 0:
                await asyncio.sleep(0)


async def pages(db: Database, window: AuditFilters, up_to: int) -> AsyncIterator[Page]:
    """Decided calls of a window in order, up to seq `up_to`; its end is not of it."""
    # A filter's last instant is of the filter; a window's is not.
    filters = replace(window, to_ms=None if window.to_ms is None else window.to_ms - 1)
    after = 0
    while True:
        page = await db.all(audit.decided(filters, after, up_to, PAGE_ROWS))
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1][0].seq


async def opened(opener: Opener, read: AsyncIterator[Page]) -> AsyncIterator[OpenPage]:
    """The same with what was recorded of each call."""
    async for page in read:
        rows: list[tuple[AuditRow, Before | None]] = []
        for number, (row, envelope) in enumerate(page):
            rows.append((row, opener.opened(row, envelope)))
            if number % TURN_ROWS == 0:
                await asyncio.sleep(0)
        yield OpenPage(rows)


async def decided_ahead(
    child: ReplayChild, read: AsyncIterator[OpenPage]
) -> AsyncIterator[tuple[OpenPage, dict[int, Replayed]]]:
    """Each page with what the child says, while the next one is read and opened.

    Raises what the child raises.
    """
    page = await anext(read, None)
    while page is not None:
        # Both come to their end before an error is raised, so that nothing is left running.
        found, following = await asyncio.gather(
            page.decided(child), anext(read, None), return_exceptions=True
        )
        if isinstance(found, BaseException):
            raise found
        if isinstance(following, BaseException):
            raise following
        yield page, found
        page = following

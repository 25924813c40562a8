"""Indexes of the log's pages, for readers that jump: built once a filter, then only extended.

Counterpart of `storage.audit_pages`. Pages are counted from the oldest entry, so that a new row
moves no page but the last. Source: terminal app specification, section 6.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from wicketd.domain.ports import Database
from wicketd.storage import audit_pages
from wicketd.storage.audit import AuditFilters, AuditTable

KEPT: Final = 16
"""Indexes remembered; one of 1,000,000 entries holds 5,000 numbers."""


@dataclass(frozen=True, slots=True)
class PageIndex:
    """`total` entries in rows up to seq `upto`; `starts`: the first seq of each page of `size`."""

    size: int
    total: int = 0
    upto: int = 0
    starts: tuple[int, ...] = ()


class PageIndexes:
    """Page indexes of the filters that were asked for last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[tuple[AuditFilters, int], PageIndex] = OrderedDict()

    async def of(self, filters: AuditFilters, size: int) -> PageIndex:
        """The index as of now. `size`: entries a page."""
        known = self._kept.get((filters, size), PageIndex(size))
        head = await self._db.one(AuditTable().head())
        upto = 0 if head is None else head[0]
        if upto == known.upto:
            return known
        found = await self._extended(known, filters, upto)
        if filters.outcome is None:
            # Which entries ended so is not settled while calls run: such an index is not kept.
            self._kept[filters, size] = found
            self._kept.move_to_end((filters, size))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    async def _extended(self, known: PageIndex, filters: AuditFilters, upto: int) -> PageIndex:
        """The known index with the rows behind it: its last page is counted again."""
        first = known.starts[-1] if known.starts else known.upto + 1
        query = audit_pages.starts(filters, known.size, first, upto)
        # On a connection of its own: the first walk of a long log must not hold up short reads.
        more = [seq async for seq in self._db.stream(query)]
        starts = (*known.starts[:-1], *more)
        if not starts:
            return PageIndex(known.size, 0, upto)
        rest = await self._db.one(audit_pages.count(filters, starts[-1], upto))
        total = (len(starts) - 1) * known.size + (rest or 0)
        return PageIndex(known.size, total, upto, starts)

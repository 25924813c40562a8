"""A long list in pages: which entry stands where, which pages have to be read. Pure.

Counterpart of `widgets.paged_list`, which shows it. Index 0 is the newest entry; pages are counted
from the oldest, so that what is new moves no page. Invariant: memory holds `KEPT` pages at most.
Source: terminal app specification, section 6.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

SIZE: Final = 200
KEPT: Final = 64


class Numbered(Protocol):
    """What the pages hold."""

    @property
    def seq(self) -> int:
        """Its place in the log; unique, growing."""


E = TypeVar("E", bound=Numbered)


@dataclass(slots=True)
class PageBook(Generic[E]):
    """The pages of one query. `total` is an estimate until the page index came."""

    total: int = 0
    upto: int = 0
    """The newest seq that is counted."""
    is_exact: bool = False
    _starts: list[int] = field(default_factory=list)
    _pages: OrderedDict[int, list[E]] = field(default_factory=OrderedDict)
    _newest: list[E] = field(default_factory=list)
    """The first page that was read, newest first: what is shown before there is an index."""

    @classmethod
    def opened(cls, newest: Sequence[E]) -> "PageBook[E]":
        """A book of which the newest page is known, newest first."""
        book = cls(total=len(newest), _newest=list(newest))
        if newest:
            book.upto = newest[0].seq
        if len(newest) >= SIZE:
            # As dense to the beginning as it is here: only the scroll bar reads it.
            book.total = max(len(newest), len(newest) * book.upto // book._span())
        return book

    def indexed(self, total: int, upto: int, starts: Sequence[int]) -> None:
        """The page index came. What is newer than `upto` is counted again by `extend`."""
        first = self._pages.get(0)
        self._pages.clear()
        self.total, self.upto, self._starts = total, upto, list(starts)
        self.is_exact = True
        if first is not None:
            self.fill(0, first)

    def fill(self, page: int, entries: Iterable[E]) -> None:
        """A page came, oldest first; what the index does not count yet is left to `extend`."""
        self._pages[page] = [entry for entry in entries if entry.seq <= self.upto]
        self._pages.move_to_end(page)
        while len(self._pages) > KEPT:
            self._pages.popitem(last=False)

    def extend(self, entries: Sequence[E]) -> int:
        """Takes entries that are new or have changed; gives how many are new."""
        before = self.total
        for entry in sorted(entries, key=lambda one: one.seq):
            if entry.seq > self.upto:
                self._append(entry)
            else:
                self._replace(entry)
        return self.total - before

    def at(self, index: int) -> E | None:
        """The entry at a place, 0 the newest; None while its page is not there."""
        page, offset = divmod(self.total - 1 - index, SIZE)
        held = self._pages.get(page)
        if held is not None and (self.is_exact or page == 0) and offset < len(held):
            return held[offset]
        return self._newest[index] if 0 <= index < len(self._newest) else None

    def missing(self, first: int, last: int) -> list[int]:
        """The pages that hold places `first` to `last` and are not there, the first place's first.

        Touches those that are there, so that they are kept.
        """
        last = min(last, self.total - 1)
        if first > last:
            return []
        pages = [(self.total - 1 - index) // SIZE for index in (first, last)]
        wanted = list(range(pages[0], pages[1] - 1, -1))
        for page in wanted:
            if page in self._pages:
                self._pages.move_to_end(page)
        return [page for page in wanted if self._can_ask(page) and not self._is_whole(page)]

    def after(self, page: int) -> int:
        """The seq behind which a page begins."""
        return self._starts[page] - 1 if page and page < len(self._starts) else 0

    def first_open(self, is_open: Callable[[E], bool]) -> int:
        """The seq behind which to ask for news: before the oldest entry that may still change."""
        held = self._newest or [one for page in self._pages.values() for one in page]
        return min((one.seq - 1 for one in held if is_open(one)), default=self.upto)

    def _span(self) -> int:
        return max(self._newest[0].seq - self._newest[-1].seq + 1, 1)

    def _can_ask(self, page: int) -> bool:
        return page == 0 or (self.is_exact and page < len(self._starts))

    def _is_whole(self, page: int) -> bool:
        held = self._pages.get(page)
        if held is None or not self.is_exact:
            return held is not None
        return len(held) >= min(SIZE, self.total - page * SIZE)

    def _append(self, entry: E) -> None:
        page, offset = divmod(self.total, SIZE)
        if self.is_exact:
            if offset == 0:
                self._starts.append(entry.seq)
                self._pages[page] = [entry]
            elif page in self._pages and len(self._pages[page]) == offset:
                self._pages[page].append(entry)
        self._newest.insert(0, entry)
        del self._newest[SIZE:]
        self.total += 1
        self.upto = entry.seq

    def _replace(self, entry: E) -> None:
        for held in self._pages.values():
            place = bisect_left(held, entry.seq, key=lambda one: one.seq)
            if place < len(held) and held[place].seq == entry.seq:
                held[place] = entry
        self._newest = [entry if one.seq == entry.seq else one for one in self._newest]

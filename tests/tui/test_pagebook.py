"""Pages of a long list stand where they belong, whatever comes in which order."""

import random
from dataclasses import dataclass

import pytest

from wicket_tui.pagebook import KEPT, SIZE, PageBook


@dataclass(frozen=True)
class Item:
    seq: int
    is_open: bool = False


class Log:
    """A query of the daemon: entries at some of the seqs."""

    def __init__(self, count: int, every: int = 3) -> None:
        self.every = every
        self.items = [Item(every * number) for number in range(1, count + 1)]

    def index(self) -> tuple[int, int, list[int]]:
        upto = self.items[-1].seq + 1 if self.items else 0
        return len(self.items), upto, [item.seq for item in self.items[::SIZE]]

    def newest(self) -> list[Item]:
        return self.items[: -SIZE - 1 : -1]

    def after(self, seq: int) -> list[Item]:
        return [item for item in self.items if item.seq > seq][:SIZE]

    def grow(self, count: int) -> list[Item]:
        last = self.items[-1].seq if self.items else 0
        new = [Item(last + self.every * number) for number in range(1, count + 1)]
        self.items += new
        return new


def read(book: PageBook[Item], log: Log, first: int, last: int) -> list[int | None]:
    """What is shown at these places once their pages came."""
    for page in book.missing(first, last):
        book.fill(page, log.after(book.after(page)))
    found = [book.at(index) for index in range(first, last + 1)]
    return [None if one is None else one.seq for one in found]


@pytest.mark.parametrize("count", [0, 1, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE + 7])
def test_every_place_shows_its_entry(count: int) -> None:
    log = Log(count)
    book = PageBook.opened(log.newest())
    book.indexed(*log.index())
    expected = [item.seq for item in log.items[::-1]]
    assert book.total == count
    assert read(book, log, 0, count - 1) == expected
    assert book.at(count) is None


def test_any_walk_while_the_log_grows_shows_exactly_the_entries() -> None:
    chance = random.Random(11)  # noqa: S311  # which places are looked at
    log = Log(5 * SIZE + 3)
    book = PageBook.opened(log.newest())
    book.indexed(*log.index())
    for _ in range(300):
        if chance.random() < 0.3:
            new = log.grow(chance.choice([1, 2, SIZE // 2]))
            assert book.extend(new[::-1]) == len(new)
        first = chance.randrange(len(log.items))
        last = min(first + 40, len(log.items) - 1)
        newest_first = log.items[::-1]
        assert read(book, log, first, last) == [one.seq for one in newest_first[first : last + 1]]


def test_before_the_index_both_ends_are_there_and_the_length_is_a_guess() -> None:
    log = Log(5_000)
    book = PageBook.opened(log.newest())
    book.fill(0, log.after(0))
    assert not book.is_exact
    assert 4_900 <= book.total <= 5_100
    assert book.at(0) == log.items[-1]
    assert book.at(book.total - 1) == log.items[0]
    assert book.at(book.total // 2) is None
    assert book.missing(book.total // 2, book.total // 2) == []
    book.indexed(*log.index())
    assert book.total == 5_000
    assert book.at(4_999) == log.items[0], "the last page is kept"


def test_what_came_before_the_index_is_not_counted_twice() -> None:
    log = Log(SIZE + 5)
    book = PageBook.opened(log.newest())
    index = log.index()
    new = log.grow(2)
    assert book.extend(new) == 2
    book.indexed(*index)
    assert book.extend(log.after(book.upto)) == 2
    assert read(book, log, 0, 4) == [one.seq for one in log.items[:-6:-1]]


def test_an_entry_that_ends_is_replaced_in_its_place() -> None:
    log = Log(10)
    log.items[6] = Item(log.items[6].seq, is_open=True)
    book = PageBook.opened(log.newest())
    book.indexed(*log.index())
    read(book, log, 0, 9)
    assert book.first_open(lambda item: item.is_open) == log.items[6].seq - 1
    ended = Item(log.items[6].seq)
    assert book.extend([ended]) == 0
    assert book.at(3) is ended
    assert book.first_open(lambda item: item.is_open) == book.upto


def test_only_so_many_pages_are_kept() -> None:
    log = Log((KEPT + 20) * SIZE)
    book = PageBook.opened(log.newest())
    book.indexed(*log.index())
    for page in range(KEPT + 20):
        read(book, log, page * SIZE, page * SIZE)
    assert len(book._pages) == KEPT
    assert book.at(len(log.items) - 1) is not None

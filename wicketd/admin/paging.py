"""Pages of lists that are short enough to be read whole: agents, members, services, policies.

A cursor names the last item that was seen, so a page does not shift when something before it goes.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

from wicketd.api.types.listing import Page, Paged
from wicketd.domain.errors import BadRequest

T = TypeVar("T")
W = TypeVar("W")


def page(
    items: Sequence[T], ask: Paged, *, key: Callable[[T], str], view: Callable[[T], W]
) -> Page[W]:
    """The part of `items`, in their order, that `ask` wants, each as `view` shows it.

    `key`: unique text of an item.

    Raises:
        BadRequest: the cursor is none of ours, or its item is gone.
    """
    start = _behind(items, decode_cursor(ask.cursor), key) if ask.cursor else 0
    shown = items[start : start + ask.limit]
    more = start + ask.limit < len(items)
    return Page(items=tuple(map(view, shown)), next=encode_cursor(key(shown[-1])) if more else None)


def encode_cursor(last: str) -> str:
    """Makes a cursor; clients must not read it."""
    return urlsafe_b64encode(last.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The text inside a cursor.

    Raises:
        BadRequest: it is none of ours.
    """
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise _no_cursor() from error


def _behind(items: Sequence[T], last: str, key: Callable[[T], str]) -> int:
    for index, item in enumerate(items):
        if key(item) == last:
            return index + 1
    raise _no_cursor()


def _no_cursor() -> BadRequest:
    message = "This cursor leads nowhere any more. Read the list again from its start."
    return BadRequest(message)

"""Lists: how a client asks for a page and what it gets."""

from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=500)]


class Paged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for one page.

    `cursor` is the `next` of the page before; it means nothing to clients.
    """

    limit: Limit = 100
    cursor: str | None = None


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page. `next` is None on the last one."""

    items: tuple[T, ...]
    next: str | None = None


class Nothing(Struct, frozen=True, kw_only=True):
    """The answer of a request that has nothing to say: `{}`."""


class Empty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request without values."""

"""All pages of an upstream's list as one. Counterpart of `client`, which asks for each.

Bounded in pages, items and bytes; a cursor that comes twice ends it. Source: protocol spec, 3.2.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wicketd.domain.calls import Answer
from wicketd.domain.catalogue import Listing, UpstreamEra
from wicketd.domain.errors import Malformed
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy import listed


@dataclass(frozen=True, slots=True)
class Pages:
    """A list of one server. `page`: asks with these params; None: the server does not know it."""

    name: str
    listing: Listing
    page: Callable[[JsonObject], Awaitable[Answer | None]]
    era: Callable[[], UpstreamEra | None]

    async def all(self) -> list[JsonObject]:
        """Every usable item, each once; none where prompts or resources are not known.

        Raises:
            Malformed: the list breaks the protocol or a cap.
        """
        items: list[JsonObject] = []
        cursors: set[str] = set()
        cursor: str | None = None
        size_bytes = 0
        for _ in range(listed.PAGES_MAX):
            answer = await self.page({} if cursor is None else {"cursor": cursor})
            if answer is None and self.listing is not Listing.TOOLS:
                return []
            found = (answer.result or {}).get(self.listing.value) if answer is not None else None
            if answer is None or not isinstance(found, list):
                raise Malformed(f"{self.name} sent no list of {self.listing.value}.")
            size_bytes += answer.bytes_out
            if len(items) + len(found) > listed.ITEMS_MAX or size_bytes > listed.BYTES_MAX:
                raise Malformed(f"{self.name} lists too much.", cap="list")
            items += _usable(found, self.era(), self.listing)
            following = (answer.result or {}).get("nextCursor")
            if not isinstance(following, str) or following in cursors:
                break
            cursors.add(following)
            cursor = following
        return listed.distinct(items, self.listing.key)


def _usable(page: list[Json], era: UpstreamEra | None, listing: Listing) -> list[JsonObject]:
    if listing is Listing.TOOLS:
        found = (listed.usable(tool, era or UpstreamEra.LEGACY) for tool in page)
    else:
        found = (listed.usable_other(item, listing.key) for item in page)
    return [item for item in found if item is not None]

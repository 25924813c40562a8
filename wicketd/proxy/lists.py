"""Lists of one member: services' tools merged, filtered, ordered, digested and cut into pages.

Counterpart of `proxy.front`, which answers `tools/list` with what stands here. Pure: the same
catalogues give the same bytes, whoever answered first, so that digests and the clients' prompt
caches hold (protocol spec, 2.8, 3.2 and 3.3).
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.domain.calls import Era
from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import MemberId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Random
from wicketd.proxy import names, rewrites
from wicketd.proxy.results import LIST_TTL_MS, PARTIAL_TTL_MS, finish

UNAVAILABLE_KEY: Final = "sh.wicket/unavailable"
PAGE_ITEMS: Final = 500
PAGE_BYTES: Final = 1024 * 1024
CURSOR_MS: Final = 10 * 60 * 1000
CURSORS_PER_MEMBER: Final = 64


@dataclass(frozen=True, slots=True)
class ListView:
    """What one member may see: definitions under their front names, in order, and what is missing.

    `unavailable`: {service, reason, url?}; reasons: protocol spec, 3.3.
    """

    tools: list[JsonObject]
    """Tools, or the items of another list."""
    unavailable: list[JsonObject]


def merge(
    catalogues: Mapping[str, Sequence[JsonObject]],
    shown: frozenset[tuple[str, str]] | None,
    unavailable: Sequence[JsonObject] = (),
    name_max: int = names.TOOL_NAME_MAX,
) -> ListView:
    """Merges tool definitions by service key; names become `service__tool`.

    `shown`: (service, tool) pairs that policy lets the member see; None: everything. Tools whose
    name does not fit are left out, and a note says so.
    """
    tools: list[JsonObject] = []
    notes = list(unavailable)
    for service in sorted(catalogues):
        excluded = 0
        for tool in sorted(catalogues[service], key=_name):
            if names.tool_fault(service, _name(tool), name_max) is not None:
                excluded += 1
            elif shown is None or (service, _name(tool)) in shown:
                tools.append(_renamed(tool, names.join(service, _name(tool))))
        if excluded:
            notes.append({"service": service, "reason": "tools_excluded"})
    return ListView(tools, sorted(notes, key=_note_order))


def merge_others(
    catalogues: Mapping[str, Sequence[JsonObject]],
    shown: frozenset[tuple[str, str]],
    unavailable: Sequence[JsonObject],
    listing: Listing,
) -> ListView:
    """As `merge` for prompts, resources and templates: `service__prompt`, `service+uri`."""
    items = [
        rewrites.listed(item, service, listing.key)
        for service in sorted(catalogues)
        for item in sorted(catalogues[service], key=lambda item: str(item.get(listing.key)))
        if (service, str(item.get(listing.key))) in shown
        and (listing is not Listing.PROMPTS or names.prompt_fault(service, _name(item)) is None)
    ]
    return ListView(items, sorted(unavailable, key=_note_order))


def _name(tool: JsonObject) -> str:
    name = tool.get("name")
    return name if isinstance(name, str) else ""


def _note_order(note: JsonObject) -> tuple[str, str]:
    return str(note.get("service")), str(note.get("reason"))


def _renamed(tool: JsonObject, front_name: str) -> JsonObject:
    # ui:// resources cannot be namespaced, and tasks are never declared
    renamed = {**tool, "name": front_name}
    renamed.pop("execution", None)
    meta = tool.get("_meta")
    if isinstance(meta, dict) and "ui" in meta:
        rest = {key: value for key, value in meta.items() if key != "ui"}
        if rest:
            renamed["_meta"] = rest
        else:
            del renamed["_meta"]
    return renamed


def digest(view: ListView) -> str:
    """64 hex characters that change exactly when the member would see something else."""
    data = msgspec.json.encode([view.tools, view.unavailable], order="deterministic")
    return hashlib.sha256(data).hexdigest()


def page(items: Sequence[JsonObject], offset: int) -> tuple[list[JsonObject], int | None]:
    """The items from `offset` that make one page, at least one, and where the next page begins."""
    taken: list[JsonObject] = []
    size_bytes = 0
    for item in items[offset : offset + PAGE_ITEMS]:
        size_bytes += len(msgspec.json.encode(item))
        if taken and size_bytes > PAGE_BYTES:
            break
        taken.append(item)
    following = offset + len(taken)
    return taken, following if following < len(items) else None


def list_result(
    view: ListView, listing: Listing, offset: int, cursor: str | None, era: Era
) -> JsonObject:
    """The result of a list method for the page at `offset`; `cursor` names the next one."""
    items, _ = page(view.tools, offset)
    is_plain = era is Era.MODERN or listing is not Listing.TOOLS
    listed: list[Json] = [item if is_plain else _legacy_tool(item) for item in items]
    result: JsonObject = {listing.value: listed}
    if cursor is not None:
        result["nextCursor"] = cursor
    if view.unavailable:
        notes: list[Json] = [*view.unavailable]
        result["_meta"] = {UNAVAILABLE_KEY: notes}
    return finish(result, era, PARTIAL_TTL_MS if view.unavailable else LIST_TTL_MS)


def _legacy_tool(tool: JsonObject) -> JsonObject:
    schema = tool.get("outputSchema")
    if schema is None or (isinstance(schema, dict) and schema.get("type") == "object"):
        return tool
    return {key: value for key, value in tool.items() if key != "outputSchema"}


@dataclass(frozen=True, slots=True)
class _Place:
    member_id: MemberId
    method: str
    view: str
    offset: int
    expires_at: int


class Cursors:
    """Places in lists as random handles: they say nothing, and open nothing for anybody else."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._places: dict[str, _Place] = {}
        self._by_member: dict[MemberId, deque[str]] = {}

    def mint(self, place: tuple[MemberId, str, str], offset: int, at_ms: int) -> str:
        """A cursor for `offset`. `place`: (member, method, digest of the view)."""
        self._expire(at_ms)
        handle = self._random.bytes(16).hex()
        self._places[handle] = _Place(*place, offset, at_ms + CURSOR_MS)
        mine = self._by_member.setdefault(place[0], deque())
        mine.append(handle)
        if len(mine) > CURSORS_PER_MEMBER:
            self._places.pop(mine.popleft(), None)
        return handle

    def redeem(self, cursor: str, place: tuple[MemberId, str, str], at_ms: int) -> int | None:
        """The offset; None for an unknown, expired or foreign cursor, another method or view."""
        kept = self._places.get(cursor)
        if kept is None or at_ms >= kept.expires_at:
            return None
        return kept.offset if (kept.member_id, kept.method, kept.view) == place else None

    def _expire(self, at_ms: int) -> None:
        # all live equally long, so the oldest stand first
        while self._places:
            handle, place = next(iter(self._places.items()))
            if at_ms < place.expires_at:
                return
            del self._places[handle]
            mine = self._by_member[place.member_id]
            mine.remove(handle)
            if not mine:
                del self._by_member[place.member_id]

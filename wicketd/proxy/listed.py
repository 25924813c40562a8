"""Which tools of an upstream's list can be shown at all. Counterpart of `lists`; pure.

Source: protocol spec, 3.2 (schema caps, `x-mcp-header`).
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.json import Json, JsonObject

PAGES_MAX: Final = 50
ITEMS_MAX: Final = 5_000
BYTES_MAX: Final = 8 * 1024 * 1024
SCHEMA_BYTES_MAX: Final = 256 * 1024
SCHEMA_DEPTH_MAX: Final = 64
NAME_MAX: Final = 2_048
"""Characters of a prompt's name, a URI or a template."""
_MIRROR: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_MIRRORED_TYPES: Final = frozenset({"string", "integer", "boolean"})
_SINGLE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties"})


def usable(tool: Json, era: UpstreamEra) -> JsonObject | None:
    """The tool as it may be shown, or None: no object with a name, or a schema over its caps.

    A modern tool with an invalid `x-mcp-header` is left out (MUST of the protocol); a legacy one
    loses the annotation, which means nothing there.
    """
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return None
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or _depth(schema) > SCHEMA_DEPTH_MAX:
        return None
    encoded = msgspec.json.encode(schema)
    if len(encoded) > SCHEMA_BYTES_MAX:
        return None
    if _MIRROR.encode() not in encoded:
        return tool
    if era is UpstreamEra.MODERN:
        return tool if _mirrors_well(schema) else None
    return {**tool, "inputSchema": _stripped(schema)}


def usable_other(item: Json, key: str) -> JsonObject | None:
    """A prompt, resource or template as it may be shown; `key`: the field that names it."""
    named = item.get(key) if isinstance(item, dict) else None
    is_small = isinstance(named, str) and 0 < len(named) <= NAME_MAX
    if not isinstance(item, dict) or not is_small:
        return None
    return item if len(msgspec.json.encode(item)) <= SCHEMA_BYTES_MAX else None


def distinct(items: list[JsonObject], key: str) -> list[JsonObject]:
    """The first item of each name, in order; `key`: the field that names it.

    Of two definitions under one name clients would see both, and an administrator approves one.
    """
    first: dict[str, JsonObject] = {}
    for item in items:
        first.setdefault(str(item.get(key)), item)
    return list(first.values())


def _depth(value: Json) -> int:
    """How deep containers are nested; stops counting one above the cap."""
    level: list[Json] = [value]
    depth = 0
    while level and depth <= SCHEMA_DEPTH_MAX:
        level = [child for node in level for child in _children(node)]
        depth += 1
    return depth


def _children(node: Json) -> list[Json]:
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def _mirrors_well(schema: JsonObject) -> bool:
    """Each annotation names a header of its own, on a scalar that `properties` alone lead to."""
    seen: set[str] = set()
    for is_reachable, node in _positions(schema):
        if _MIRROR not in node:
            continue
        token = node[_MIRROR]
        if not is_reachable or not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            return False
        kind = node.get("type")
        if not isinstance(kind, str) or kind not in _MIRRORED_TYPES or token.lower() in seen:
            return False
        seen.add(token.lower())
    return True


def _positions(root: JsonObject) -> Iterator[tuple[bool, JsonObject]]:
    """Every schema inside `root` and whether it is a property that a call's arguments reach."""
    stack: list[tuple[bool, bool, Json]] = [(False, True, root)]
    while stack:
        is_property, is_chain, node = stack.pop()
        if not isinstance(node, dict):
            continue
        yield is_property and is_chain, node
        for word, value in node.items():
            if word == "properties" and isinstance(value, dict):
                stack += [(True, is_chain, child) for child in value.values()]
            elif word in _SINGLE:
                stack.append((False, False, value))
            elif word in _LISTS and isinstance(value, list):
                stack += [(False, False, child) for child in value]
            elif word in _MAPS and isinstance(value, dict):
                stack += [(False, False, child) for child in value.values()]


def _stripped(value: Json) -> Json:
    """A copy without the annotation; depth is within its cap."""
    if isinstance(value, list):
        return [_stripped(child) for child in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _stripped(child)
        for name, child in value.items()
        if name != _MIRROR or not isinstance(child, str)
    }

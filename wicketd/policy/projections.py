"""What each statement of a policy can depend on in each tool: the projection kept with a version.

A guarded `context.input has path && …` stays valid when a server drops, renames or retypes `path`,
and the forbid never matches again. So a version remembers, per statement and action, the types that
it was written for. Counterpart: `services.staleness`, which compares with today's tools. Pure, and
on the safe side: what a statement may read is taken by name, not by meaning. Source: policy spec,
5.3; hints, tiers and the types of mapped arguments are ours, since policies depend on them alike.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import msgspec

from wicketd.domain.catalogue import TargetRule, Tier
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Effect
from wicketd.policy import lexer
from wicketd.policy.entities import Uid
from wicketd.policy.schema import CedarSchema, ToolShape, type_text
from wicketd.policy.shapes import Record, SetOf, Shape
from wicketd.policy.slices import Statement

VERSION: Final = 1
WHOLE: Final = "unmodelled"
"""A statement that names this can depend on every argument."""

_HINTS: Final = {
    "readOnly": "read_only",
    "destructive": "destructive",
    "idempotent": "idempotent",
    "openWorld": "open_world",
    "annotated": "annotated",
}
"""Attributes of `Wicket::Tool` that the server says, by the field that holds them."""
_TIERS: Final = frozenset(("Wicket::Action", tier.value) for tier in Tier)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_FRAME: Final = ("namespace ", "  entity ")
_ELSEWHERE: Final = ("Wicket::Action", "elsewhere")


@dataclass(frozen=True, slots=True)
class Facet:
    """What one statement can see of one tool. `digest`: of `value`, SHA-256."""

    value: JsonObject
    digest: bytes


Facets: TypeAlias = Mapping[Uid, Facet]
"""By action."""
Kept: TypeAlias = Mapping[Uid, JsonObject]
"""The values of facets as a version keeps them."""


@dataclass(frozen=True, slots=True)
class Projected:
    """A record under one schema: facets by statement, in order.

    `fit` names all that validating the record can depend on: where it is equal, the answer is.
    """

    statements: tuple[Facets, ...]
    fit: str

    def stored(self, undiscovered: frozenset[Uid]) -> JsonObject:
        """What a version keeps; of tools that nobody has listed yet nothing is known to keep."""
        kept = [
            {uid: one.value for uid, one in facets.items() if uid not in undiscovered}
            for facets in self.statements
        ]
        return packed(kept, self.fit)


class Projector:
    """Projects statements on one schema; remembers what it computed."""

    def __init__(self, schema: CedarSchema) -> None:
        self._shapes = tuple(schema.shapes.values())
        self._paths: dict[Uid, dict[tuple[str, ...], str]] = {}
        self._made: dict[tuple[Uid, frozenset[str], bool], Facet] = {}
        frame = [line for line in schema.text.splitlines() if line.startswith(_FRAME)]
        self._frame = "\n".join(frame).encode()

    def record(self, statements: Iterable[Statement]) -> Projected:
        """A record's statements, in order."""
        found = tuple(self._facets(one) for one in statements)
        digest = hashlib.sha256(self._frame)
        for facets in found:
            digest.update(b"\0statement")
            for uid in sorted(facets):
                digest.update("::".join(uid).encode() + b"\0" + facets[uid].digest)
        return Projected(found, digest.hexdigest())

    def _facets(self, one: Statement) -> dict[Uid, Facet]:
        named, is_tiered = _named(one), is_tier_bound(one)
        return {
            shape.action: self._facet(shape, named, is_tiered=is_tiered)
            for shape in self._shapes
            if may_reach(one, shape)
        }

    def _facet(self, shape: ToolShape, named: frozenset[str], *, is_tiered: bool) -> Facet:
        paths = self._paths.get(shape.action)
        if paths is None:
            paths = self._paths[shape.action] = _typed(shape.input)
        read = named & {WHOLE, *_HINTS, "tier", *(path[-1] for path in paths)}
        key = (shape.action, read, is_tiered)
        if key not in self._made:
            self._made[key] = _facet(shape, paths, read, is_tiered=is_tiered)
        return self._made[key]


def facet_of(one: Statement, shape: ToolShape) -> JsonObject:
    """What the statement sees of a tool that is not in the schema, such as an earlier one."""
    named = _named(one)
    return _facet(shape, _typed(shape.input), named, is_tiered=is_tier_bound(one)).value


def is_tier_bound(one: Statement) -> bool:
    """Whether the tier of a tool decides about the statement."""
    return one.actions is not None and not one.actions.isdisjoint(_TIERS)


def may_reach(one: Statement, shape: ToolShape) -> bool:
    """Whether the statement matches calls of the tool, in its tier or in another one."""
    inside = one.resource.get("entity") if one.resource.get("op") == "in" else None
    is_service = isinstance(inside, dict) and inside.get("type") == "Wicket::Service"
    if isinstance(inside, dict) and is_service and inside.get("id") != shape.service:
        return False
    if one.actions is None or is_tier_bound(one):
        return True
    return not one.actions.isdisjoint((shape.action, *shape.groups))


def differs(one: Statement, shape: ToolShape, then: JsonObject, now: JsonObject) -> bool:
    """Whether a statement may decide other than it did. `then`, `now`: facets of the tool.

    A tier that rose matters where a permit begins to match or a forbid ceases to; the other way
    round everything that was denied still is.
    """
    before, after = dict(then), dict(now)
    old, new = before.pop("tier", None), after.pop("tier", None)
    if before != after:
        return True
    if old == new:
        return False
    if "tier" in _named(one):
        return True
    did, does = matches(one, shape, old), matches(one, shape, new)
    return does and not did if one.ref.effect is Effect.PERMIT else did and not does


def packed(statements: Sequence[Kept], fit: str) -> JsonObject:
    """The JSON of a projection: equal statements and equal facets are written once."""
    parts: list[Json] = []
    at: dict[bytes, int] = {}
    numbers: list[Json] = []
    for kept in statements:
        part = _part(kept)
        text = msgspec.json.encode(part)
        if text not in at:
            at[text] = len(parts)
            parts.append(part)
        numbers.append(at[text])
    return {"v": VERSION, "fit": fit, "statements": numbers, "parts": parts}


def unpacked(projection: JsonObject) -> list[Kept] | None:
    """The facets of each statement; None where a version keeps none, or in an unknown form."""
    parts, numbers = projection.get("parts"), projection.get("statements")
    if projection.get("v") != VERSION or not isinstance(parts, list):
        return None
    if not isinstance(numbers, list):
        return None
    read = [_read(part) for part in parts]
    wanted = [n for n in numbers if isinstance(n, int) and 0 <= n < len(read)]
    return [read[n] for n in wanted] if len(wanted) == len(numbers) else None


def _part(kept: Kept) -> list[Json]:
    grouped: dict[bytes, tuple[JsonObject, dict[str, list[Json]]]] = {}
    for kind, name in sorted(kept):
        facet = kept[kind, name]
        text = msgspec.json.encode(facet, order="deterministic")
        _, actions = grouped.setdefault(text, (facet, {}))
        actions.setdefault(kind, []).append(name)
    return [
        {"actions": dict[str, Json](actions), "facet": facet} for facet, actions in grouped.values()
    ]


def _read(part: Json) -> Kept:
    found: dict[Uid, JsonObject] = {}
    for group in part if isinstance(part, list) else ():
        actions = group.get("actions") if isinstance(group, dict) else None
        facet = group.get("facet") if isinstance(group, dict) else None
        if isinstance(actions, dict) and isinstance(facet, dict):
            for kind, names in actions.items():
                found.update({(kind, str(name)): facet for name in _list(names)})
    return found


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()


def _named(one: Statement) -> frozenset[str]:
    """What the statement names; a tool's attributes only where it can read them.

    `Wicket::Action::"destructive"` reads no `destructive`.
    """
    tokens = lexer.significant(one.text)
    read = {
        token.text if token.kind == "ident" else lexer.unquote(token.text)
        for before, token in pairwise(tokens)
        if before.text != "::" and token.kind in {"ident", "string"}
    }
    return lexer.names(one.text) - ({"tier", *_HINTS} - read)


def matches(one: Statement, shape: ToolShape, tier: Json) -> bool:
    """Whether the statement's action scope matches the tool in this tier; None: in no tier."""
    own = ("Wicket::Action", tier) if isinstance(tier, str) else _ELSEWHERE
    others = (uid for uid in shape.groups if uid not in _TIERS)
    return one.actions is None or not one.actions.isdisjoint((shape.action, *others, own))


def _facet(
    shape: ToolShape,
    paths: Mapping[tuple[str, ...], str],
    named: frozenset[str],
    *,
    is_tiered: bool,
) -> Facet:
    value: JsonObject = {
        "paths": {
            _pointer(path): text
            for path, text in paths.items()
            if WHOLE in named or path[-1] in named
        },
        "types": [*shape.types],
        "mapping": None if shape.target is None else _mapping(shape.target, paths),
        "hints": {
            name: getattr(shape.hints, field) for name, field in _HINTS.items() if name in named
        },
    }
    if is_tiered or "tier" in named:
        value["tier"] = shape.tier.value
    digest = hashlib.sha256(msgspec.json.encode(value, order="deterministic")).digest()
    return Facet(value, digest)


def _mapping(rule: TargetRule, paths: Mapping[tuple[str, ...], str]) -> JsonObject:
    """How arguments become a resource, with the types of those that do."""
    templates = [rule.id, *rule.attrs.values(), *(text for _, text in rule.parents)]
    used = sorted({name for text in templates for name in _PLACEHOLDER.findall(text)})
    return {
        "entity": rule.entity,
        "id": rule.id,
        "pattern": rule.pattern,
        "fold": rule.fold,
        "attrs": dict[str, Json](rule.attrs),
        "parents": [[entity, text] for entity, text in rule.parents],
        "optional": rule.optional,
        "arguments": {name: paths.get((name,)) for name in used},
    }


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _typed(shape: Record) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for path, kind in _walk(shape, ()):
        # Two ways to one path (a set of records) are both part of its type.
        found[path] = f"{found[path]}, {kind}" if path in found else kind
    return found


def _walk(shape: Shape, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every path below `input` with its full type; the element of a set has the set's path."""
    if isinstance(shape, SetOf):
        yield from _walk(shape.element, at)
    elif isinstance(shape, Record):
        for name in sorted(shape.attributes):
            child = shape.attributes[name]
            yield (*at, name), type_text(child)
            yield from _walk(child, (*at, name))

"""What part of a tool's inputSchema Cedar can see, as a tree of types (policy spec, 1.4).

Counterparts: `policy.schema` prints the tree, `policy.encode` encodes by it. Invariant: total on
any JSON; what is not understood is `None`, and a caller's value there is reported as unmodelled,
never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from wicketd.domain.json import Json, JsonObject

MAX_PROPERTIES: Final = 200
MAX_DEPTH: Final = 8
MAX_HOPS: Final = 20


class Scalar(StrEnum):
    """Cedar types of single values, as the schema text spells them."""

    STRING = "String"
    LONG = "Long"
    BOOL = "Bool"
    DECIMAL = "decimal"


@dataclass(frozen=True, slots=True)
class SetOf:
    """An array with one element type; order, duplicates and length are lost."""

    element: "Shape"


@dataclass(frozen=True, slots=True)
class Record:
    """An object; every attribute is optional. A key that is not listed is unmodelled."""

    attributes: Mapping[str, "Shape"]


Shape: TypeAlias = Scalar | SetOf | Record

EMPTY: Final = Record({})

_SCALARS: Final = {
    "string": Scalar.STRING,
    "integer": Scalar.LONG,
    "number": Scalar.DECIMAL,
    "boolean": Scalar.BOOL,
}


def input_shape(definition: JsonObject | None) -> Record:
    """The shape of `context.input` for a tool definition as its server listed it.

    Empty if none is known.
    """
    schema = (definition or {}).get("inputSchema")
    if not isinstance(schema, dict):
        return EMPTY
    shape = _Reader(schema).shape(schema, 0, frozenset())
    return shape if isinstance(shape, Record) else EMPTY


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8: a lone surrogate cannot."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(slots=True)
class _Reader:
    """Reads one inputSchema.

    `budget`: properties that may still be modelled, against `$ref` bombs.
    """

    root: JsonObject
    budget: int = field(default=MAX_PROPERTIES)

    def shape(self, schema: Json, depth: int, seen: frozenset[str]) -> Shape | None:
        """The type of a subschema, or None. `seen`: references being resolved above it."""
        for _ in range(MAX_HOPS + 1):
            if not isinstance(schema, dict) or depth > MAX_DEPTH:
                return None
            reference = schema.get("$ref")
            if reference is None:
                return self._typed(schema, depth, seen)
            if not isinstance(reference, str) or reference in seen:
                return None
            seen |= {reference}
            schema = self._resolve(reference)
        return None

    def _typed(self, schema: JsonObject, depth: int, seen: frozenset[str]) -> Shape | None:
        kind = schema.get("type")
        if isinstance(kind, list):
            others = [one for one in kind if one != "null"]
            kind = others[0] if len(others) == 1 else "mixed"
        if kind is None:
            return self._union(schema, depth, seen)
        if kind == "object":
            return self._record(schema, depth, seen)
        if kind == "array":
            return self._set(schema, depth, seen)
        return _SCALARS.get(kind) if isinstance(kind, str) else None

    def _record(self, schema: JsonObject, depth: int, seen: frozenset[str]) -> Record | None:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or (depth > 0 and not properties):
            return None
        usable = sorted(name for name in properties if not name.startswith("__") and is_text(name))
        # Reserved before descending: an object's own attributes go before those of its children.
        kept = usable[: self.budget]
        self.budget -= len(kept)
        shapes = {name: self.shape(properties[name], depth + 1, seen) for name in kept}
        return Record({name: shape for name, shape in shapes.items() if shape is not None})

    def _set(self, schema: JsonObject, depth: int, seen: frozenset[str]) -> SetOf | None:
        if "prefixItems" in schema:
            return None
        element = self.shape(schema.get("items"), depth + 1, seen)
        return SetOf(element) if element is not None else None

    def _union(self, schema: JsonObject, depth: int, seen: frozenset[str]) -> Shape | None:
        """`anyOf`, `oneOf` with one type beside null, or `allOf` of one."""
        together = schema.get("allOf")
        if isinstance(together, list):
            return self.shape(together[0], depth, seen) if len(together) == 1 else None
        branches = schema.get("anyOf", schema.get("oneOf"))
        if not isinstance(branches, list):
            return None
        found = [
            self.shape(branch, depth, seen)
            for branch in branches
            if not (isinstance(branch, dict) and branch.get("type") == "null")
        ]
        first = found[0] if found else None
        return first if first is not None and all(shape == first for shape in found) else None

    def _resolve(self, reference: str) -> Json:
        """Follows a local JSON pointer (RFC 6901); anything else gives None."""
        if not reference.startswith("#"):
            return None
        node: Json = self.root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict):
                node = node.get(key)
            elif (
                isinstance(node, list) and key.isascii() and key.isdigit() and int(key) < len(node)
            ):
                node = node[int(key)]
            else:
                return None
        return node

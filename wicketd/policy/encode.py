"""Turns a call's arguments into the typed record that Cedar reads (policy spec, section 2).

Counterpart of `policy.shapes`. Invariant: pure and total; only this module writes `__extn`, no
value is coerced or rounded, and what it gives is accepted by Cedar under the tool's schema.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Reason
from wicketd.policy.shapes import EMPTY, Record, Scalar, SetOf, Shape, is_text

_LONG_MIN: Final = -(2**63)
_LONG_MAX: Final = 2**63 - 1
_DECIMAL_MAX: Final = Decimal("922337203685477.5807")
_DECIMAL_DIGITS: Final = 4
_EXPECTED: Final = {
    Scalar.STRING: "a string",
    Scalar.LONG: "an integer of 64 bits",
    Scalar.BOOL: "true or false",
    Scalar.DECIMAL: "a number with at most 4 decimals",
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """`input_json`.

    What becomes `context.input`; `unmodelled`: JSON Pointers of what no policy can see.
    """

    input_json: JsonObject
    unmodelled: tuple[str, ...]


NOTHING: Final = Encoded({}, ())


@dataclass(frozen=True, slots=True)
class EncodeRefusal:
    """Why a call cannot be decided.

    The caller learns pointer and expectation, the audit the cause (E2 to E7).
    """

    code: Reason
    pointer: str
    expected: str
    cause: str


class _Unencodable(Exception):
    """Carries the refusal up the recursion."""

    def __init__(self, pointer: str, expected: str, rule: str) -> None:
        super().__init__(rule)
        self.refusal = EncodeRefusal(Reason.NOT_REPRESENTABLE, pointer, expected, rule)

    @property
    def may_be_left_out(self) -> bool:
        """E12: a value of the wrong type or range, in an argument that no statement reads."""
        return self.refusal.cause in {"E3", "E4"}


def arguments(
    value: JsonObject, shape: Record, *, named: frozenset[str] | None, strict: bool
) -> Encoded | EncodeRefusal:
    """Encodes a tool's arguments by its shape.

    `value`: from the strict decode (depth <= 32). `named`: the names that the statements in force
    mention, None for all; a top-level argument outside it is checked and left out (E11), or, unless
    `strict`, reported as unmodelled where it has no representation (E12).
    """
    try:
        _scan(value)
        encoder = _Encoder()
        encoded: JsonObject = {}
        for name, item in value.items():
            is_named = named is None or name in named
            mark = len(encoder.unmodelled)
            try:
                _attribute(encoder, encoded, shape, name, item)
            except _Unencodable as error:
                if strict or is_named or not error.may_be_left_out:
                    raise
                del encoder.unmodelled[mark:]
                encoder.unmodelled.append(pointer("", name))
            if not is_named:
                encoded.pop(name, None)
    except _Unencodable as error:
        return error.refusal
    return Encoded(encoded, tuple(encoder.unmodelled))


def unmodelled(value: JsonObject) -> Encoded | EncodeRefusal:
    """Arguments of prompts: nothing of them is an attribute, all of them are reported."""
    return arguments(value, EMPTY, named=None, strict=True)


def pointer(parent: str, key: str | int) -> str:
    """A JSON Pointer one step further (RFC 6901)."""
    step = str(key)
    if "~" in step or "/" in step:
        step = step.replace("~", "~0").replace("/", "~1")
    return f"{parent}/{step}"


def _attribute(encoder: "_Encoder", into: JsonObject, shape: Record, name: str, item: Json) -> None:
    if item is None:
        return
    inner = shape.attributes.get(name)
    if inner is None:
        encoder.unmodelled.append(pointer("", name))
    elif inner is Scalar.STRING and isinstance(item, str):
        into[name] = item
    else:
        into[name] = encoder.value(item, inner, pointer("", name))


def _scan(value: Json) -> None:
    """E2 and E7 for every node, modelled or not, without recursion."""
    stack: list[tuple[Json, str]] = [(value, "")]
    while stack:
        node, at = stack.pop()
        if isinstance(node, str):
            if not is_text(node):
                raise _Unencodable(at, "text without lone surrogates", "E7")
        elif isinstance(node, dict):
            for key, item in node.items():
                if key.startswith("__"):
                    raise _Unencodable(pointer(at, key), "a name without leading __", "E2")
                if not is_text(key):
                    raise _Unencodable(at, "names without lone surrogates", "E7")
                # The path is written out only for what needs a look below or at itself.
                if isinstance(item, (dict, list)) or (isinstance(item, str) and not item.isascii()):
                    stack.append((item, pointer(at, key)))
        elif isinstance(node, list):
            stack.extend(
                (item, pointer(at, index))
                for index, item in enumerate(node)
                if isinstance(item, (dict, list)) or (isinstance(item, str) and not item.isascii())
            )


@dataclass(slots=True)
class _Encoder:
    """Collects pointers of what is dropped while it walks shape and value together."""

    unmodelled: list[str] = field(default_factory=list)

    def value(self, value: Json, shape: Shape, at: str) -> Json:
        """The Cedar JSON of one value; raises on any doubt."""
        if isinstance(shape, Scalar):
            return _scalar(value, shape, at)
        if isinstance(shape, SetOf):
            return self._set(value, shape.element, at)
        return self._record(value, shape, at)

    def _record(self, value: Json, shape: Record, at: str) -> Json:
        if not isinstance(value, dict):
            raise _Unencodable(at, "an object", "E3")
        encoded: JsonObject = {}
        for name, item in value.items():
            inner = shape.attributes.get(name)
            if item is None:
                continue
            if inner is None:
                self.unmodelled.append(pointer(at, name))
            else:
                encoded[name] = self.value(item, inner, pointer(at, name))
        return encoded

    def _set(self, value: Json, element: Shape, at: str) -> Json:
        if not isinstance(value, list):
            raise _Unencodable(at, "an array", "E3")
        encoded: list[Json] = []
        for index, item in enumerate(value):
            if item is None:
                raise _Unencodable(pointer(at, index), "a value other than null", "E6")
            encoded.append(self.value(item, element, pointer(at, index)))
        if isinstance(element, Scalar) and element is not Scalar.DECIMAL:
            return list(dict.fromkeys(encoded))
        return encoded


def _scalar(value: Json, shape: Scalar, at: str) -> Json:
    expected = _EXPECTED[shape]
    if shape is Scalar.STRING:
        if not isinstance(value, str):
            raise _Unencodable(at, expected, "E3")
        return value
    if shape is Scalar.BOOL:
        if not isinstance(value, bool):
            raise _Unencodable(at, expected, "E3")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Unencodable(at, expected, "E3")
    return _long(value, at) if shape is Scalar.LONG else _decimal(value, at)


def _long(value: float, at: str) -> int:
    if not isinstance(value, int) and not value.is_integer():
        raise _Unencodable(at, _EXPECTED[Scalar.LONG], "E3")
    if not _LONG_MIN <= value <= _LONG_MAX:
        raise _Unencodable(at, _EXPECTED[Scalar.LONG], "E4")
    return int(value)


def _decimal(value: float, at: str) -> Json:
    number = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_DECIMAL_DIGITS:
        raise _Unencodable(at, _EXPECTED[Scalar.DECIMAL], "E4")
    if not -_DECIMAL_MAX <= number <= _DECIMAL_MAX:
        raise _Unencodable(at, _EXPECTED[Scalar.DECIMAL], "E4")
    text = f"{number + 0:.{_DECIMAL_DIGITS}f}"
    return {"__extn": {"fn": "decimal", "arg": text}}

"""Which `params` fit a method: paths and shapes as data, checked before anything is looked up.

Counterpart of `methods`, whose rows hold the rules. Invariant: a null under an optional name counts
as absent, everything else of a wrong type is refused by its name, never by its value.
Source: protocol spec, M5, M9, 2.3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from wicketd.domain.calls import Refusal, RefusalKind
from wicketd.domain.json import Json, JsonObject

LOG_LEVELS: Final = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)
MAX_SUBSCRIPTIONS: Final = 256
MAX_ANSWERS: Final = 32
MAX_ANSWER_BYTES: Final = 64 * 1024


class Shape(StrEnum):
    """What a value may be; the words stand in the refusal."""

    STRING = "a string"
    OBJECT = "an object"
    STRINGS = "an object of strings"
    LEVEL = "one of the eight log levels"
    URIS = "a list of at most 256 URIs"
    ANSWERS = "an object of at most 32 objects and 64 KiB"


@dataclass(frozen=True, slots=True)
class Param:
    """One rule: the value under `path` has `shape`, and is there if `is_required`."""

    path: tuple[str, ...]
    shape: Shape
    is_required: bool = True


def required(path: str, shape: Shape) -> Param:
    """A value that must be there; `path`: names joined by `/`."""
    return Param(tuple(path.split("/")), shape)


def optional(path: str, shape: Shape) -> Param:
    """A value that may be absent or null; `path`: names joined by `/`."""
    return Param(tuple(path.split("/")), shape, is_required=False)


def misfit(rules: tuple[Param, ...], params: JsonObject) -> Refusal | None:
    """The first rule that `params` break, as the refusal; None if they fit."""
    for rule in rules:
        value: Json = params
        for name in rule.path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            if rule.is_required:
                return _refusal(rule)
        elif not _FITS[rule.shape](value):
            return _refusal(rule)
    return None


def _refusal(rule: Param) -> Refusal:
    field = "params/" + "/".join(rule.path)
    return Refusal(RefusalKind.PARAMS, {"field": field, "expected": rule.shape.value})


def _is_strings(value: Json) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_uris(value: Json) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_SUBSCRIPTIONS
        and all(isinstance(item, str) for item in value)
    )


def _is_answers(value: Json) -> bool:
    if not isinstance(value, dict) or len(value) > MAX_ANSWERS:
        return False
    is_whole = all(isinstance(item, dict) for item in value.values())
    return is_whole and len(msgspec.json.encode(value)) <= MAX_ANSWER_BYTES


_FITS: Final[Mapping[Shape, Callable[[Json], bool]]] = MappingProxyType(
    {
        Shape.STRING: lambda value: isinstance(value, str),
        Shape.OBJECT: lambda value: isinstance(value, dict),
        Shape.STRINGS: _is_strings,
        Shape.LEVEL: lambda value: value in LOG_LEVELS,
        Shape.URIS: _is_uris,
        Shape.ANSWERS: _is_answers,
    }
)

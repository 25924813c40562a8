"""The values that an attribute can be compared with (policy specification, 9.5). Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wicket_tui.places import Place, Steps
from wicket_tui.snippets import quoted
from wicket_tui.vocabulary import TIERS, WEEKDAYS
from wicketd.api.types.names import Names


@dataclass(frozen=True, slots=True)
class Value:
    """`label`: as people say it; `text`: as Cedar reads it, of the Cedar type `type`."""

    label: str
    text: str
    type: str = "String"


def values_of(place: Place, steps: Steps) -> Iterator[Value]:
    """What the attribute at the end of a path, or an element of it, is known to be."""
    known = _KNOWN.get(steps)
    if known is not None:
        yield from known(place.names)
        return
    attributes = place.at(steps)
    for value in dict.fromkeys(value for one in attributes for value in one.values):
        yield Value(value, quoted(value))
    if attributes and all(one.type == "Bool" for one in attributes):
        yield from (Value(one, one, "Bool") for one in ("true", "false"))


def _days(_: Names) -> Iterator[Value]:
    return (Value(name, str(day), "Long") for day, name in enumerate(WEEKDAYS))


def _tools(names: Names) -> Iterator[Value]:
    every = (f"{one.service}__{one.name}" for one in names.tools if not one.is_gone)
    return (Value(one, quoted(one)) for one in every)


def _tags(names: Names) -> Iterator[Value]:
    return (Value(one, quoted(one)) for one in names.tags)


def _tiers(_: Names) -> Iterator[Value]:
    return (Value(one, quoted(one)) for one in TIERS)


_KNOWN: Final[Mapping[Steps, Callable[[Names], Iterator[Value]]]] = {
    ("context", "time", "weekday"): _days,
    ("context", "session", "tools"): _tools,
    ("principal", "tags"): _tags,
    ("resource", "tier"): _tiers,
}
"""What the names say beside the schema."""

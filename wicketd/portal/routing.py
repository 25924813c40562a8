"""Finds the row of a path. Pure; paths are compared as decoded text, as the byte gate let through.

Invariant: two rows never match the same path, so the order of the table means nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.portal.pages import Route

_PARTS: Final = {
    "agent": r"[0-9a-f-]{36}",
    "service": r"[a-z0-9-]{1,20}",
    "token": r"[A-Za-z0-9_.~-]{1,300}",
    "tag": r"[0-9a-f]{16}",
}
"""The shapes of `{name}` parts; a path with another shape is unknown."""


@dataclass(frozen=True, slots=True)
class Match:
    """A row and the values of its path's parts."""

    route: Route
    params: Mapping[str, str]


class Router:
    """The table, compiled.

    Raises:
        ValueError: two rows have one path, a row answers nothing, or a part has no shape.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._rows = [(_compiled(route), route) for route in routes]
        if len({route.path for route in routes}) != len(routes):
            raise ValueError("two routes have the same path")

    def find(self, path: str) -> Match | None:
        """The row of `path`, if there is one."""
        for pattern, route in self._rows:
            match = pattern.fullmatch(path)
            if match is not None:
                return Match(route, match.groupdict())
        return None


def _compiled(route: Route) -> re.Pattern[str]:
    if route.get is None and route.post is None:
        message = f"the route {route.path} answers nothing"
        raise ValueError(message)
    pattern = ""
    for part in re.split(r"(\{[a-z]+\})", route.path):
        name = part.strip("{}")
        if part.startswith("{"):
            if name not in _PARTS:
                message = f"the route {route.path} has a part without a shape"
                raise ValueError(message)
            pattern += f"(?P<{name}>{_PARTS[name]})"
        else:
            pattern += re.escape(part)
    return re.compile(pattern)

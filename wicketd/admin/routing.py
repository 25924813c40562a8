"""Finds the row of the table that a method and a raw path mean.

Fixed segments win over named ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wicketd.api.endpoints import Endpoint
from wicketd.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class Match:
    """The row, and the path values as they were sent: percent-encoded."""

    endpoint: Endpoint[Any, Any]
    values: Mapping[str, str]


class Router:
    """The compiled table. Raw paths are matched, so an encoded slash never adds a segment."""

    def __init__(self, endpoints: Iterable[Endpoint[Any, Any]]) -> None:
        fixed_first = sorted(endpoints, key=lambda row: row.path.count("{"))
        self._rows = tuple((row, _pattern(row.path)) for row in fixed_first)

    def find(self, method: str, raw_path: bytes) -> Match:
        """The row for a request.

        Raises:
            NotFound: there is none.
        """
        path = raw_path.decode("latin-1")
        for endpoint, pattern in self._rows:
            found = pattern.fullmatch(path) if endpoint.method == method else None
            if found is not None:
                return Match(endpoint, found.groupdict())
        message = "There is no such endpoint."
        raise NotFound(message, hint="docs/admin-api.md lists the endpoints of this API.")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))

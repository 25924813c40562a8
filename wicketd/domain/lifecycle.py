"""Life cycles as data: a table of edges that services take and tests walk.

What is not listed is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from wicketd.domain.errors import Conflict


@dataclass(frozen=True, slots=True)
class Edge:
    """One permitted transition.

    `source` None: the object is created. `audit`: the kind of its row.
    """

    source: StrEnum | None
    target: StrEnum
    trigger: str
    audit: str


def take(edges: Sequence[Edge], source: StrEnum | None, trigger: str, noun: str) -> Edge:
    """The edge that `trigger` takes from `source`.

    Raises:
        Conflict: the table has no such edge.
    """
    for edge in edges:
        if edge.source == source and edge.trigger == trigger:
            return edge
    state = source.value if source is not None else "missing"
    message = f"Cannot {trigger.replace('_', ' ')} this {noun}: it is {state}."
    raise Conflict(message)

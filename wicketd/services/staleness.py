"""Which actions are denied because a live policy was written for another shape of their tool.

A guarded `context.input has path && …` stays valid when the server drops, renames or retypes
`path`, and the forbid never matches again. So a tool that changed since an admin reviewed it is
compared, as far as the statements that can match it name its arguments. Counterpart of
`services.policy_sets`, which blocks these actions; an acknowledgement ends it. Pure.
Source: policy spec, 5.3.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from wicketd.domain.catalogue import ServiceView, Tool
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Mode, Reason
from wicketd.policy import lexer
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.schema import ToolShape
from wicketd.policy.shapes import Record, SetOf, Shape, input_shape

Place: TypeAlias = tuple[str, str]
"""Service key and tool name."""

_WHOLE: Final = "unmodelled"
"""A statement that names this can depend on every argument."""


def unreviewed(views: Iterable[ServiceView]) -> dict[Place, Tool]:
    """Tools that differ from what an admin acknowledged, new ones included."""
    return {
        (view.key, tool.name): tool
        for view in views
        for tool in view.tools
        if tool.definition is not None and tool.hash != tool.acked_hash
    }


def stale(
    snapshot: Snapshot, changed: Mapping[Place, Tool], reviewed: Mapping[Place, JsonObject]
) -> dict[Uid, Reason]:
    """The actions to deny. `reviewed`: definitions as they were when last reviewed."""
    found: dict[Uid, Reason] = {}
    for at, before in reviewed.items():
        tool, shape = changed.get(at), snapshot.schema.shapes.get(at)
        if tool is None or shape is None:
            continue
        if _differs(before, tool.definition, _named(snapshot, shape), shape):
            found[shape.action] = Reason.POLICY_STALE
    return found


def _named(snapshot: Snapshot, shape: ToolShape) -> frozenset[str]:
    """What the statements that can match this action name."""
    actions = {shape.action, *shape.groups}
    texts = (
        one.text
        for one in snapshot.statements
        if one.ref.mode is Mode.ENFORCE
        and (one.actions is None or not one.actions.isdisjoint(actions))
    )
    return frozenset[str]().union(*map(lexer.names, texts))


def _differs(
    before: JsonObject, after: JsonObject | None, named: frozenset[str], shape: ToolShape
) -> bool:
    then, now = dict(_paths(input_shape(before))), dict(_paths(input_shape(after)))
    if _WHOLE not in named:
        then, now = (
            {path: kind for path, kind in paths.items() if path[-1] in named}
            for paths in (then, now)
        )
    # What is required decides whether a call maps to a target.
    is_mapped_alike = shape.target is None or _required(before) == _required(after)
    return then != now or not is_mapped_alike


def _paths(shape: Shape, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """Every path below `input` with its full type; the element of a set has the set's path."""
    if isinstance(shape, SetOf):
        yield from _paths(shape.element, at)
    elif isinstance(shape, Record):
        for name, child in shape.attributes.items():
            yield (*at, name), child
            yield from _paths(child, (*at, name))


def _required(definition: JsonObject | None) -> frozenset[str]:
    schema = (definition or {}).get("inputSchema")
    found = schema.get("required") if isinstance(schema, dict) else None
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()

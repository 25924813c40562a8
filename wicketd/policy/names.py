"""The tree of names that policies of an agent can use: for hints, completion and hover.

Counterpart of `policy.schema`, which prints the same catalogue for the engine. Invariant: pure, the
texts of upstream servers stand in it as they came; whoever shows them makes them safe first.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.catalogue import ServiceView, TargetRule, Tool, ToolStatus
from wicketd.domain.json import JsonObject
from wicketd.policy.schema import CedarSchema, ToolShape
from wicketd.policy.shapes import Record, SetOf, Shape

_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `type` as the schema spells it, `Record` for one with `attributes`."""

    name: str
    type: str
    is_optional: bool = False
    description: str = ""
    values: tuple[str, ...] = ()
    """What its schema says it can be."""
    attributes: tuple["Attribute", ...] = ()


@dataclass(frozen=True, slots=True)
class EntityType:
    """An entity type by its full name."""

    name: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class ToolName:
    """A tool as policies know it. `types`: full names of its resource types."""

    service: str
    namespace: str
    name: str
    tier: str
    types: tuple[str, ...]
    needs_target: bool
    input: tuple[Attribute, ...]
    title: str = ""
    description: str = ""
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class TargetIds:
    """The ids that targets of a type can have: a pattern of the whole id, and its folding."""

    type: str
    pattern: str
    fold: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that can be named. `services`: key and namespace of each."""

    services: tuple[tuple[str, str], ...]
    types: tuple[EntityType, ...]
    context: tuple[Attribute, ...]
    tools: tuple[ToolName, ...]
    targets: tuple[TargetIds, ...]


CONTEXT: Final = (
    Attribute("unmodelled", "Set<String>", description="Arguments that a policy cannot see."),
    Attribute(
        "time",
        "Record",
        description="One reading of the clock.",
        attributes=(
            Attribute("now", "datetime", description="UTC, with milliseconds."),
            Attribute("hour", "Long", description="0 to 23, in the agent's zone."),
            Attribute("minute", "Long", description="0 to 59, in the agent's zone."),
            Attribute("weekday", "Long", description="0 is Sunday, 6 is Saturday."),
            Attribute("date", "String", description="YYYY-MM-DD, in the agent's zone."),
        ),
    ),
    Attribute(
        "session",
        "Record",
        description="The tool session before this call.",
        attributes=(
            Attribute("calls", "Long", description="Calls so far."),
            Attribute("denials", "Long", description="Calls that policies refused so far."),
            Attribute("tools", "Set<String>", description="Tools used, as service__tool."),
            Attribute("ageSeconds", "Long", description="Since its first call."),
        ),
    ),
    Attribute(
        "network",
        "Record",
        description="Where the caller is.",
        attributes=(Attribute("ip", "ipaddr", description="The caller's address."),),
    ),
)
"""Of every action, beside `input`."""
_MEMBER: Final = (
    Attribute("email", "String", description="Empty for a local member."),
    Attribute("role", "String", description="owner or member.", values=("member", "owner")),
    Attribute("tags", "Set<String>", description="Labels that an admin gave."),
)
_TOOL: Final = (
    Attribute("name", "String", description="As the upstream calls it."),
    Attribute("tier", "String", values=("read", "write", "destructive")),
    Attribute("readOnly", "Bool", description="Hint of the server."),
    Attribute("destructive", "Bool", description="Hint of the server."),
    Attribute("idempotent", "Bool", description="Hint of the server."),
    Attribute("openWorld", "Bool", description="Hint of the server."),
    Attribute("annotated", "Bool", description="Whether the server sent any hint."),
)
_FIXED: Final = (
    EntityType("Wicket::Agent", ()),
    EntityType("Wicket::Group", ()),
    EntityType("Wicket::Member", _MEMBER),
    EntityType("Wicket::Prompt", (Attribute("name", "String"),)),
    EntityType("Wicket::Resource", (Attribute("uri", "String"),)),
    EntityType("Wicket::Service", ()),
    EntityType("Wicket::Tool", _TOOL),
)


def tree(schema: CedarSchema, views: Sequence[ServiceView]) -> Names:
    """The names of a schema, with what the servers of `views` say about their tools."""
    definitions = {(view.key, tool.name): tool for view in views for tool in view.tools}
    ordered = sorted(views, key=lambda view: view.key)
    return Names(
        services=tuple((view.key, view.namespace) for view in ordered),
        types=(*_FIXED, *(one for view in ordered for one in _mapped(view))),
        context=CONTEXT,
        tools=tuple(_tool(shape, definitions[at]) for at, shape in schema.shapes.items()),
        targets=tuple(one for view in ordered for one in _targets(view)),
    )


def _tool(shape: ToolShape, tool: Tool) -> ToolName:
    definition = tool.definition or {}
    return ToolName(
        service=shape.service,
        namespace=shape.action[0].rpartition("::")[0],
        name=shape.name,
        tier=shape.tier.value,
        types=shape.types,
        needs_target=shape.needs_target,
        input=_attributes(shape.input, definition.get("inputSchema")),
        title=_text(definition.get("title")),
        description=_text(definition.get("description")),
        is_gone=tool.status is ToolStatus.GONE,
    )


def _attributes(record: Record, schema: object) -> tuple[Attribute, ...]:
    found = schema.get("properties") if isinstance(schema, dict) else None
    properties = found if isinstance(found, dict) else {}
    return tuple(
        _attribute(name, shape, properties.get(name))
        for name, shape in sorted(record.attributes.items())
    )


def _attribute(name: str, shape: Shape, schema: object) -> Attribute:
    said: JsonObject = schema if isinstance(schema, dict) else {}
    values = said.get("enum")
    listed = values if isinstance(values, list) else []
    return Attribute(
        name=name,
        type=_type(shape),
        is_optional=True,
        description=_text(said.get("description")),
        values=tuple(value for value in listed if isinstance(value, str)),
        attributes=_attributes(shape, said) if isinstance(shape, Record) else (),
    )


def _type(shape: Shape) -> str:
    if isinstance(shape, Record):
        return "Record"
    return f"Set<{_type(shape.element)}>" if isinstance(shape, SetOf) else shape.value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapped(view: ServiceView) -> Iterable[EntityType]:
    kinds: dict[str, list[Mapping[str, str]]] = {}
    for rule in view.targets:
        kinds.setdefault(rule.entity, []).append(rule.attrs)
        for entity, _ in rule.parents:
            kinds.setdefault(entity, [])
    for entity, variants in sorted(kinds.items()):
        every = sorted({name for one in variants for name in one})
        attributes = tuple(
            Attribute(name, "String", is_optional=any(name not in one for one in variants))
            for name in every
        )
        yield EntityType(f"{view.namespace}::{entity}", attributes)


def _targets(view: ServiceView) -> Iterable[TargetIds]:
    found = dict.fromkeys(one for rule in view.targets for one in _ids(view.namespace, rule))
    yield from found


def _ids(namespace: str, rule: TargetRule) -> Iterable[TargetIds]:
    for entity, template in ((rule.entity, rule.id), *rule.parents):
        literals = [re.escape(one) for one in _PLACEHOLDER.split(template)]
        yield TargetIds(f"{namespace}::{entity}", f"(?:{rule.pattern})".join(literals), rule.fold)

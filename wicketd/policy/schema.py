"""Prints the Cedar schema of a catalogue (policy spec, section 1).

Counterparts: `policy.shapes` for argument types, `policy.entities` for the entities it declares.
Invariant: pure, the same catalogue gives the same bytes, so its hash names it in caches and in the
audit.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.catalogue import (
    ServiceView,
    TargetRule,
    Tier,
    Tool,
    ToolStatus,
    required_arguments,
    target_rule,
)
from wicketd.policy.shapes import Record, Scalar, SetOf, Shape, input_shape, is_text

GROUP_ANY: Final = "any"
"""Every tool of one namespace; a tool of that name would be its own parent (V4)."""

_HEAD: Final = """\
namespace Wicket {
  entity Agent; entity Group; entity Service;
  entity Member in [Agent, Group] = { "email": String, "role": String, "tags": Set<String> };
  entity Tool in [Service] = { "name": String, "tier": String, "readOnly": Bool, \
"destructive": Bool, "idempotent": Bool, "openWorld": Bool, "annotated": Bool };
  entity Prompt in [Service] = { "name": String }; \
entity Resource in [Service] = { "uri": String };
  type Time = { "now": datetime, "hour": Long, "minute": Long, "weekday": Long, "date": String };
  type Session = { "calls": Long, "denials": Long, "tools": Set<String>, "ageSeconds": Long }; \
type Network = { "ip": ipaddr };
  type Bare = { "input": {}, "unmodelled": Set<String>, "time": Time, "session": Session, \
"network": Network };
"""
_REST: Final = (
    '"unmodelled": Set<String>, "time": Wicket::Time, "session": Wicket::Session, '
    '"network": Wicket::Network } };'
)
_WIDTH: Final = 200
"""Of one context line; a longer one is broken behind its input."""


@dataclass(frozen=True, slots=True)
class Hints:
    """A tool's MCP annotations with the protocol's defaults; `annotated`: the server sent any."""

    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    annotated: bool


@dataclass(frozen=True, slots=True)
class ToolShape:
    """What the schema says about one tool: enough to encode, map and decide a call of it.

    `action`: (entity type, id); `groups`: its ancestors; `types`: full names of its resource types.
    """

    service: str
    name: str
    action: tuple[str, str]
    groups: tuple[tuple[str, str], ...]
    input: Record
    types: tuple[str, ...]
    target: TargetRule | None
    tier: Tier
    hints: Hints

    @property
    def front_name(self) -> str:
        """The name as clients see it; the id of its `Wicket::Tool`."""
        return f"{self.service}__{self.name}"

    @property
    def needs_target(self) -> bool:
        """Whether a call has no resource but the mapped one."""
        return self.target is not None and not self.target.optional


@dataclass(frozen=True, slots=True)
class CedarSchema:
    """A schema text, its SHA-256, and the shape of each tool in it by (service key, tool name)."""

    text: str
    sha256: bytes
    shapes: Mapping[tuple[str, str], ToolShape]
    services: tuple[str, ...]


def render(services: Sequence[ServiceView]) -> CedarSchema:
    """The schema of an agent's enabled services.

    Namespaces and entity names are valid identifiers (V3).
    """
    ordered = sorted(services, key=lambda view: view.namespace)
    shapes = {
        (shape.service, shape.name): shape
        for view in ordered
        for tool in sorted(_live(view), key=lambda one: one.name)
        for shape in [tool_shape(view, tool)]
    }
    parts = [_HEAD, *_group_actions(tuple(shapes.values())), "}\n"]
    for view in ordered:
        parts += _namespace(view, [shape for shape in shapes.values() if shape.service == view.key])
    text = "".join(parts)
    digest = hashlib.sha256(text.encode()).digest()
    return CedarSchema(text, digest, shapes, tuple(sorted(view.key for view in services)))


def quote(value: str) -> str:
    """A Cedar string literal.

    What does not print is escaped, so that no name can bend the text (V2).
    """
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    if char in {'"', "\\"}:
        return "\\" + char
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


def _live(view: ServiceView) -> Iterable[Tool]:
    """Active tools, and gone ones that a policy names (V8)."""
    for tool in view.tools:
        is_kept = tool.status is ToolStatus.GONE and tool.name in view.gone_but_named
        is_usable = tool.name != GROUP_ANY and is_text(tool.name)
        if is_usable and (tool.status is ToolStatus.ACTIVE or is_kept):
            yield tool


def tool_shape(view: ServiceView, tool: Tool) -> ToolShape:
    """What the schema says, or would say, about one tool of a service."""
    rule = target_rule(view.targets, tool.name, required_arguments(tool.definition))
    types = ["Wicket::Tool"] if rule is None or rule.optional else []
    if rule is not None:
        types.append(f"{view.namespace}::{rule.entity}")
    return ToolShape(
        service=view.key,
        name=tool.name,
        action=(f"{view.namespace}::Action", tool.name),
        groups=(
            (f"{view.namespace}::Action", GROUP_ANY),
            ("Wicket::Action", tool.tier.value),
            ("Wicket::Action", "call_tool"),
        ),
        input=input_shape(tool.definition),
        types=tuple(types),
        target=rule,
        tier=tool.tier,
        hints=_hints(tool),
    )


def _hints(tool: Tool) -> Hints:
    sent = (tool.definition or {}).get("annotations")
    annotations = sent if isinstance(sent, dict) else {}

    def hint(name: str, *, default: bool) -> bool:
        value = annotations.get(name)
        return value if isinstance(value, bool) else default

    return Hints(
        read_only=hint("readOnlyHint", default=False),
        destructive=hint("destructiveHint", default=True),
        idempotent=hint("idempotentHint", default=False),
        open_world=hint("openWorldHint", default=True),
        annotated=bool(annotations),
    )


def _group_actions(shapes: Sequence[ToolShape]) -> list[str]:
    """`Wicket`'s own actions, in code-point order; groups apply to what lies beneath them (V5)."""
    lines = {
        "get_prompt": _action("get_prompt", [], ["Prompt"]),
        "read_resource": _action("read_resource", [], ["Resource"]),
        "call_tool": _action("call_tool", [], _union(shapes, "Wicket")),
    }
    for tier in Tier:
        beneath = [shape for shape in shapes if shape.tier is tier]
        types = _union(beneath, "Wicket")
        lines[tier.value] = _action(tier.value, ['Action::"call_tool"'], types)
    return [lines[name] for name in sorted(lines)]


def _action(name: str, groups: Sequence[str], types: Sequence[str]) -> str:
    parents = f" in [{', '.join(groups)}]" if groups else ""
    applies = f"principal: [Member], resource: [{', '.join(types)}], context: Bare"
    return f"  action {quote(name)}{parents} appliesTo {{ {applies} }};\n"


def _union(shapes: Iterable[ToolShape], namespace: str) -> list[str]:
    types = {kind for shape in shapes for kind in shape.types} or {"Wicket::Tool"}
    return _local(types, namespace)


def _local(types: Iterable[str], namespace: str) -> list[str]:
    """Type names as that namespace writes them, in code-point order."""
    return sorted(name.removeprefix(f"{namespace}::") for name in types)


def _namespace(view: ServiceView, shapes: Sequence[ToolShape]) -> list[str]:
    types = ", ".join(_union(shapes, view.namespace))
    actions = {
        GROUP_ANY: '  action "any" in [Wicket::Action::"call_tool"] appliesTo '
        f"{{ principal: [Wicket::Member], resource: [{types}], context: Wicket::Bare }};\n"
    }
    for shape in shapes:
        actions[shape.name] = _tool_action(view.namespace, shape)
    lines = [actions[name] for name in sorted(actions)]
    return [f"namespace {view.namespace} {{\n", *_entities(view.targets), *lines, "}\n"]


def _entities(rules: Sequence[TargetRule]) -> list[str]:
    """Mapped and parent types, all of them in `Wicket::Service` (V7)."""
    parents: dict[str, set[str]] = {}
    attributes: dict[str, list[frozenset[str]]] = {}
    for rule in rules:
        parents.setdefault(rule.entity, set()).update(entity for entity, _ in rule.parents)
        attributes.setdefault(rule.entity, []).append(frozenset(rule.attrs))
        for entity, _ in rule.parents:
            parents.setdefault(entity, set())
    lines = []
    for entity in sorted(parents):
        above = ", ".join(sorted({*parents[entity], "Wicket::Service"}))
        lines.append(f"  entity {entity} in [{above}]{_attributes(attributes.get(entity, []))};\n")
    return lines


def _attributes(variants: Sequence[frozenset[str]]) -> str:
    """An attribute that only some rules of a type set is optional."""
    every = frozenset[str]().union(*variants)
    if not every:
        return ""
    marks = {name: "" if all(name in one for one in variants) else "?" for name in every}
    body = ", ".join(f"{quote(name)}{marks[name]}: String" for name in sorted(every))
    return f" = {{ {body} }}"


def _tool_action(namespace: str, shape: ToolShape) -> str:
    types = ", ".join(_local(shape.types, namespace))
    head = (
        f'  action {quote(shape.name)} in [Action::"any", Wicket::Action::"{shape.tier.value}"] '
        f"appliesTo {{ principal: [Wicket::Member], resource: [{types}],"
    )
    if not shape.input.attributes:
        return f"{head} context: Wicket::Bare }};\n"
    context = f'    context: {{ "input": {type_text(shape.input)},'
    if len(context) + 1 + len(_REST) <= _WIDTH:
        return f"{head}\n{context} {_REST}\n"
    return f"{head}\n{context}\n{' ' * 15}{_REST}\n"


def type_text(shape: Shape) -> str:
    """The Cedar type of a shape as the schema text spells it."""
    if isinstance(shape, Scalar):
        return shape.value
    if isinstance(shape, SetOf):
        return f"Set<{type_text(shape.element)}>"
    if not shape.attributes:
        return "{}"
    inner = ", ".join(
        f"{quote(name)}?: {type_text(shape.attributes[name])}" for name in sorted(shape.attributes)
    )
    return f"{{ {inner} }}"

"""What policy and proxy see of an agent's services: stored tools under the connectors in force.

Disabled services stay in view, so that policies about them keep their meaning; their calls are
refused before. The built-in service `wicket` is a view without a row. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.catalogue import (
    Connector,
    Service,
    ServiceState,
    ServiceView,
    Tool,
    ToolStatus,
)
from wicketd.domain.policies import PolicyVersion
from wicketd.policy.entities import ACTIONS, ActionAt
from wicketd.policy.lexer import paths
from wicketd.policy.schema import CedarSchema

ServiceTools = tuple[Service, Sequence[Tool]]
"""A stored service with its stored tools."""


def view(
    service: Service, tools: Sequence[Tool], connector: Connector, named: frozenset[str]
) -> ServiceView:
    """One service. `named`: tool names that live policies mention in its namespace."""
    gone = sorted(
        tool.name for tool in tools if tool.status is ToolStatus.GONE and tool.name in named
    )
    return ServiceView(
        key=connector.key,
        namespace=connector.namespace,
        tools=tuple(sorted(tools, key=lambda tool: tool.name)),
        targets=connector.targets,
        gone_but_named=tuple(gone),
        is_enabled=service.state is ServiceState.ENABLED,
    )


def views(
    rows: Iterable[ServiceTools], catalogue: Catalogue, records: Iterable[PolicyVersion]
) -> dict[str, ServiceView]:
    """Every service by key; one whose connector file is gone has no view, so nothing reaches it."""
    named = named_tools(records)
    found: dict[str, ServiceView] = {}
    for service, tools in rows:
        connector = catalogue.get(service.key)
        if connector is not None and service.state is not ServiceState.REMOVED:
            names = named.get(connector.namespace, frozenset())
            found[service.key] = view(service, tools, connector, names)
    return found


def live(schema: CedarSchema, seen: Iterable[ServiceView]) -> tuple[ActionAt, ...]:
    """What calls can be about now, or once a service is enabled: tools, prompts and resources."""
    found: list[ActionAt] = []
    for one in seen:
        shapes = [schema.shapes.get((one.key, tool.name)) for tool in one.tools if _listed(tool)]
        found += [ActionAt.of(shape) for shape in shapes if shape is not None]
        found += [ActionAt.other(kind, one.key) for kind in ACTIONS]
    return tuple(found)


def _listed(tool: Tool) -> bool:
    return tool.status is not ToolStatus.GONE


def named_tools(records: Iterable[PolicyVersion]) -> Mapping[str, frozenset[str]]:
    """Tool names by namespace that the records' texts mention as actions."""
    found: dict[str, set[str]] = {}
    for record in records:
        for path in paths(record.text):
            namespace, _, kind = path.type.rpartition("::")
            if kind == "Action" and namespace:
                found.setdefault(namespace, set()).add(path.id)
    return {namespace: frozenset(names) for namespace, names in found.items()}


def named_types(records: Iterable[PolicyVersion]) -> frozenset[str]:
    """Full entity types that the records' texts mention, such as `GitHubMCP::Repository`."""
    return frozenset(path.type for record in records for path in paths(record.text))

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
from wicketd.policy.lexer import paths

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

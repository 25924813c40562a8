"""Services, their tools and what drift found: tables `services`, `tools`, `tool_changes`.

The app secret has queries of its own in a later module, so that nothing here can return it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from wicketd.domain.catalogue import (
    Service,
    ServiceState,
    Tier,
    TierSource,
    Tool,
    ToolStatus,
    UpstreamEra,
)
from wicketd.domain.ids import AgentId, Revision, ServiceId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Query, Statement

_COLUMNS: Final = (
    "id, agent_id, key, connector_sha256, state, catalogue, era, era_at, tools_hash, "
    "discovered_at, drift, last_error, created_at, rev"
)
_SELECT: Final = f"SELECT {_COLUMNS}, client_id IS NOT NULL, secret_set_at FROM services"
_TOOL_COLUMNS: Final = (
    "name, definition, hash, tier, tier_source, override_tier, status, exclude_reason, acked_hash, "
    "first_seen_at, last_seen_at"
)
_CHANGE_COLUMNS: Final = (
    "id, service_id, tool, kind, old_definition, new_definition, broken_policies, at, acked_at, "
    "acked_by"
)


@dataclass(frozen=True, slots=True)
class ToolChange:
    """One change of a tool at its server. `kind`: "added", "changed" or "removed"."""

    id: str
    service_id: ServiceId
    tool: str
    kind: str
    old_definition: JsonObject | None
    new_definition: JsonObject | None
    broken_policies: tuple[str, ...]
    """Keys of the policies that no longer fit."""
    at: int
    acked_at: int | None = None
    acked_by: str | None = None


def read(row: Sequence[Any]) -> Service:
    """The service of a row."""
    return Service(
        id=ServiceId(row[0]),
        agent_id=AgentId(row[1]),
        key=row[2],
        connector_sha256=row[3],
        state=ServiceState(row[4]),
        catalogue=row[5],
        era=None if row[6] is None else UpstreamEra(row[6]),
        era_at=row[7],
        tools_hash=row[8],
        discovered_at=row[9],
        drift=row[10],
        last_error=row[11],
        created_at=row[12],
        rev=Revision(row[13]),
        has_app=bool(row[14]),
        secret_set_at=row[15],
    )


def of_agent(agent_id: AgentId) -> Query[Service]:
    """Services of the agent that are not removed, by key."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? AND state <> 'removed' ORDER BY key", (agent_id,), read
    )


def by_key(agent_id: AgentId, key: str) -> Query[Service]:
    """The service that is not removed."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? AND key = ? AND state <> 'removed'", (agent_id, key), read
    )


def insert(service: Service) -> Statement:
    """Adds a service; `Conflict` when the agent has it already."""
    return Statement(
        f"INSERT INTO services ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            service.id,
            service.agent_id,
            service.key,
            service.connector_sha256,
            service.state,
            service.catalogue,
            service.era,
            service.era_at,
            service.tools_hash,
            service.discovered_at,
            service.drift,
            service.last_error,
            service.created_at,
            service.rev,
        ),
    )


def update(after: Service) -> Statement:
    """Writes what may change of a service; `after.rev` is the new revision."""
    return Statement(
        "UPDATE services SET connector_sha256 = ?, state = ?, catalogue = ?, era = ?, era_at = ?, "
        "tools_hash = ?, discovered_at = ?, drift = ?, last_error = ?, rev = ? "
        "WHERE id = ? AND rev = ? - 1",
        (
            after.connector_sha256,
            after.state,
            after.catalogue,
            after.era,
            after.era_at,
            after.tools_hash,
            after.discovered_at,
            after.drift,
            after.last_error,
            after.rev,
            after.id,
            after.rev,
        ),
    )


def set_state(service_id: ServiceId, state: ServiceState, rev: Revision) -> Statement:
    """Moves a service; `rev`: as read."""
    return Statement(
        "UPDATE services SET state = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
        (state, service_id, rev),
    )


def set_discovery(service_id: ServiceId, tools_hash: str, at_ms: int) -> Statement:
    """Notes a tool list that was read; the last error is gone."""
    return Statement(
        "UPDATE services SET catalogue = 'discovered', tools_hash = ?, discovered_at = ?, "
        "last_error = NULL, rev = rev + 1 WHERE id = ?",
        (tools_hash, at_ms, service_id),
    )


def set_error(service_id: ServiceId, error: str | None) -> Statement:
    """Notes why the upstream could not be read; not a change of the service's revision."""
    return Statement("UPDATE services SET last_error = ? WHERE id = ?", (error, service_id))


def clear_error(service_id: ServiceId, error: str) -> Statement:
    """Takes this very error back, if it is the last one."""
    return Statement(
        "UPDATE services SET last_error = NULL WHERE id = ? AND last_error = ?", (service_id, error)
    )


def set_era(service_id: ServiceId, era: UpstreamEra | None, at_ms: int | None) -> Statement:
    """Notes a verdict of the era probe, or forgets it; not a change of the service's revision."""
    return Statement(
        "UPDATE services SET era = ?, era_at = ? WHERE id = ?", (era, at_ms, service_id)
    )


def set_drift(service_id: ServiceId, drift: str) -> Statement:
    """Flags ("flagged") or clears ("clean") a service."""
    return Statement(
        "UPDATE services SET drift = ?, rev = rev + 1 WHERE id = ? AND drift <> ?",
        (drift, service_id, drift),
    )


def set_connector(service_id: ServiceId, sha256: str) -> Statement:
    """Notes the connector file in force."""
    return Statement(
        "UPDATE services SET connector_sha256 = ?, rev = rev + 1 "
        "WHERE id = ? AND connector_sha256 <> ?",
        (sha256, service_id, sha256),
    )


def read_tool(row: Sequence[Any]) -> Tool:
    """The tool of a row."""
    return Tool(
        name=row[0],
        definition=_decode(row[1]),
        hash=row[2],
        tier=Tier(row[3]),
        tier_source=TierSource(row[4]),
        override_tier=None if row[5] is None else Tier(row[5]),
        status=ToolStatus(row[6]),
        exclude_reason=row[7],
        acked_hash=row[8],
        first_seen_at=row[9],
        last_seen_at=row[10],
    )


def tools(service_id: ServiceId) -> Query[Tool]:
    """Every tool of the service, excluded and gone ones too, by name."""
    return Query(
        f"SELECT {_TOOL_COLUMNS} FROM tools WHERE service_id = ? ORDER BY name",
        (service_id,),
        read_tool,
    )


def tool(service_id: ServiceId, name: str) -> Query[Tool]:
    """One tool."""
    return Query(
        f"SELECT {_TOOL_COLUMNS} FROM tools WHERE service_id = ? AND name = ?",
        (service_id, name),
        read_tool,
    )


def put_tool(service_id: ServiceId, tool: Tool) -> Statement:
    """Writes a tool, new or not; the time it was first seen stays."""
    return Statement(
        f"INSERT INTO tools (service_id, {_TOOL_COLUMNS}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (service_id, name) DO UPDATE SET definition = excluded.definition, "
        "hash = excluded.hash, tier = excluded.tier, tier_source = excluded.tier_source, "
        "override_tier = excluded.override_tier, status = excluded.status, "
        "exclude_reason = excluded.exclude_reason, acked_hash = excluded.acked_hash, "
        "last_seen_at = excluded.last_seen_at",
        (
            service_id,
            tool.name,
            _encode(tool.definition),
            tool.hash,
            tool.tier,
            tool.tier_source,
            tool.override_tier,
            tool.status,
            tool.exclude_reason,
            tool.acked_hash,
            tool.first_seen_at,
            tool.last_seen_at,
        ),
    )


def set_tool_status(
    service_id: ServiceId, name: str, status: ToolStatus, reason: str | None
) -> Statement:
    """Marks a tool active, excluded (`reason`: why) or gone."""
    return Statement(
        "UPDATE tools SET status = ?, exclude_reason = ? WHERE service_id = ? AND name = ?",
        (status, reason, service_id, name),
    )


def set_override(
    service_id: ServiceId, name: str, override: Tier | None, tier: Tier, source: TierSource
) -> Statement:
    """Sets or takes back an admin's tier; `tier` and `source`: what holds now."""
    return Statement(
        "UPDATE tools SET override_tier = ?, tier = ?, tier_source = ? "
        "WHERE service_id = ? AND name = ?",
        (override, tier, source, service_id, name),
    )


def ack(service_id: ServiceId, name: str, definition_hash: str) -> Statement:
    """Notes that an admin has seen this very definition; 0 rows when it has changed since."""
    return Statement(
        "UPDATE tools SET acked_hash = ? WHERE service_id = ? AND name = ? AND hash = ?",
        (definition_hash, service_id, name, definition_hash),
    )


def read_change(row: Sequence[Any]) -> ToolChange:
    """The change of a row."""
    return ToolChange(
        id=row[0],
        service_id=ServiceId(row[1]),
        tool=row[2],
        kind=row[3],
        old_definition=_decode(row[4]),
        new_definition=_decode(row[5]),
        broken_policies=tuple(msgspec.json.decode(row[6], type=list[str])),
        at=row[7],
        acked_at=row[8],
        acked_by=row[9],
    )


def insert_change(change: ToolChange) -> Statement:
    """Notes a change."""
    return Statement(
        f"INSERT INTO tool_changes ({_CHANGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            change.id,
            change.service_id,
            change.tool,
            change.kind,
            _encode(change.old_definition),
            _encode(change.new_definition),
            msgspec.json.encode(change.broken_policies).decode(),
            change.at,
            change.acked_at,
            change.acked_by,
        ),
    )


def open_changes(service_id: ServiceId) -> Query[ToolChange]:
    """Changes that nobody has acknowledged, oldest first."""
    return Query(
        f"SELECT {_CHANGE_COLUMNS} FROM tool_changes "
        "WHERE service_id = ? AND acked_at IS NULL ORDER BY id",
        (service_id,),
        read_change,
    )


def ack_changes(service_id: ServiceId, name: str, at_ms: int, by: str) -> Statement:
    """Closes the open changes of a tool."""
    return Statement(
        "UPDATE tool_changes SET acked_at = ?, acked_by = ? "
        "WHERE service_id = ? AND acked_at IS NULL AND tool = ?",
        (at_ms, by, service_id, name),
    )


def _decode(text: str | None) -> JsonObject | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def _encode(value: JsonObject | None) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="deterministic").decode()

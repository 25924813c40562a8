"""Connectors, services and tools as contract structs. Counterpart: `mapping`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from wicketd.admin import mapping
from wicketd.api.types import services as wire
from wicketd.connectors.catalogue import CatalogueDiff
from wicketd.domain.catalogue import Connector, HttpTransport, Service, Tool, ToolStatus
from wicketd.services.discovery import Excluded
from wicketd.services.drift import Taken
from wicketd.services.enabling import EnableReport, ServiceReport
from wicketd.services.impact import Impact
from wicketd.storage.services import ToolChange


def connector(value: Connector) -> wire.Connector:
    """A connector file."""
    transport = value.transport
    http = isinstance(transport, HttpTransport)
    return wire.Connector(
        key=value.key,
        name=value.name,
        namespace=value.namespace,
        transport="streamable-http" if http else "stdio",
        address=transport.url
        if isinstance(transport, HttpTransport)
        else transport.socket or " ".join(transport.command),
        credential=value.credential.kind.value,
        hint_url=value.credential.hint_url,
        source=value.source,
        sha256=value.sha256,
        read=value.tools.read,
        write=value.tools.write,
        destructive=value.tools.destructive,
        rest=value.tools.rest,
        targets=tuple(f"{value.namespace}::{rule.entity}" for rule in value.targets),
    )


def tool(value: Tool) -> wire.Tool:
    """A tool as stored."""
    return wire.Tool(
        name=value.name,
        tier=value.tier.value,
        source=value.tier_source.value,
        status=value.status.value,
        hash=value.hash,
        acked_hash=value.acked_hash,
        exclude_reason=value.exclude_reason,
        first_seen_at=mapping.iso_or_none(value.first_seen_at or None),
        last_seen_at=mapping.iso_or_none(value.last_seen_at or None),
        definition=value.definition,
    )


def tier_counts(tools: Sequence[Tool]) -> dict[str, int]:
    """Live tools by tier."""
    return dict(Counter(tool.tier.value for tool in tools if tool.status.value == "active"))


def service(value: ServiceReport) -> wire.Service:
    """A service with counts of its tools and connections."""
    row, connector = value.service, value.connector
    return wire.Service(
        id=row.id,
        key=row.key,
        name=None if connector is None else connector.name,
        state=row.state.value,
        catalogue=row.catalogue,
        credential=None if connector is None else connector.credential.kind.value,
        era=None if row.era is None else row.era.value,
        drift=row.drift,
        last_error=row.last_error,
        discovered_at=mapping.iso_or_none(row.discovered_at),
        callback_url=value.callback_url,
        secret_set_at=mapping.iso_or_none(row.secret_set_at),
        tools=tier_counts(value.tools),
        connections=dict(Counter(one.state.value for one in value.connections)),
        created_at=mapping.iso(row.created_at),
        rev=row.rev,
    )


def enable_report(value: EnableReport) -> wire.EnableReport:
    """What enabling did or would do."""
    return wire.EnableReport(
        service=service(value.service),
        applied=value.applied,
        tools=tuple(map(tool, value.service.tools)),
        excluded=excluded(value.excluded),
        broken=broken(value.broken),
        baselines=value.baselines,
        baseline_text=value.baseline_text,
        note=value.note,
    )


def switched_off(value: ServiceReport) -> wire.EnableReport:
    """What switching off did: the service alone."""
    return wire.EnableReport(
        service=service(value),
        applied=True,
        tools=(),
        excluded=(),
        broken=(),
        baselines=(),
        baseline_text=None,
        note=None,
    )


def discovered(value: Taken) -> wire.Discovered:
    """The difference that a discovery found."""
    changes = value.plan.changes

    def names(kind: str) -> tuple[str, ...]:
        return tuple(change.after.name for change in changes if change.kind == kind)

    return wire.Discovered(
        added=names("added"),
        changed=names("changed"),
        removed=names("removed"),
        excluded=excluded(value.plan.excluded),
        broken=broken(value.broken),
        stale=stale(value.impact),
        total=sum(one.status is ToolStatus.ACTIVE for one in value.plan.tools),
    )


def stale(value: Impact) -> tuple[wire.StalePolicy, ...]:
    """Policies that were written for other tools."""
    return tuple(wire.StalePolicy(policy=key, tools=tools) for key, tools in value.stale.items())


def drift(row: Service, changes: Iterable[ToolChange], impact: Impact) -> wire.Drift:
    """A service's changes that wait for a review."""
    return wire.Drift(
        drift=row.drift,
        changes=tuple(
            wire.DriftChange(
                tool=change.tool,
                kind=change.kind,
                at=mapping.iso(change.at),
                old_definition=change.old_definition,
                new_definition=change.new_definition,
                broken_policies=change.broken_policies,
            )
            for change in changes
        ),
        stale=stale(impact),
        broken=broken(impact.broken),
        tiers=tuple(
            wire.TierChange(tool=one.tool, before=one.before, after=one.after)
            for one in impact.tiers
        ),
        added=tuple(
            wire.NewTool(tool=one.tool, tier=one.tier, statements=one.statements)
            for one in impact.added
        ),
        lists=tuple(
            wire.MemberTools(member=one.member.principal, gains=one.gains, loses=one.loses)
            for one in impact.lists
        ),
        members_left_out=impact.left_out,
    )


def reloaded(value: CatalogueDiff) -> wire.CatalogueReloaded:
    """What a reload changed, one row a connector and change."""
    rows = (
        ("added", value.added),
        ("removed", value.removed),
        ("changed", value.changed),
        ("moved", value.moved),
    )
    return wire.CatalogueReloaded(
        changes=tuple(
            wire.CatalogueChange(key=key, change=change) for change, keys in rows for key in keys
        )
    )


def excluded(values: Iterable[Excluded]) -> tuple[wire.Excluded, ...]:
    """Tools that clients never see."""
    return tuple(wire.Excluded(tool=one.tool, reason=one.reason) for one in values)


def broken(values: Mapping[str, str]) -> tuple[wire.BrokenPolicy, ...]:
    """Policies that no longer fit, with the reason."""
    return tuple(wire.BrokenPolicy(policy=key, reason=why) for key, why in values.items())

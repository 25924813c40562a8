"""Which actions are denied because a live policy was written for another shape of their tool.

Counterpart of `policy.projections`, which says what a statement can depend on: a record is compared
with what its version keeps, and where a tool came later, with the tool as it was before the oldest
change that nobody reviewed. `services.standing` gathers both. Pure. Source: policy spec, 5.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wicketd.domain.catalogue import ServiceView, TierSource, Tool
from wicketd.domain.policies import Mode, PolicyVersion, Problem, Reason
from wicketd.policy import projections
from wicketd.policy.entities import ACTIONS, Uid
from wicketd.policy.projections import Projected
from wicketd.policy.schema import CedarSchema, ToolShape, tool_shape
from wicketd.policy.slices import Statement

Place: TypeAlias = tuple[str, str]
"""Service key and tool name."""
Affected: TypeAlias = Mapping[Uid, frozenset[str]]
"""Keys of records by action."""

_OTHERS: Final = frozenset(ACTIONS.values())


@dataclass(frozen=True, slots=True)
class Findings:
    """What the tools of now mean for the records of now.

    `stale`, `broken_at`: by action; `broken`: the first error by record. Shadow records are named
    like others and deny nothing.
    """

    stale: Affected = field(default_factory=dict)
    broken_at: Affected = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def denied(self, enforced: frozenset[str]) -> dict[Uid, Reason]:
        """The actions to deny. `enforced`: keys of the records that decide."""
        return {
            action: Reason.POLICY_STALE
            for affected in (self.stale, self.broken_at)
            for action, keys in affected.items()
            if not keys.isdisjoint(enforced)
        }

    def of(self, action: Uid) -> frozenset[str]:
        """Keys of the records that an action's tool makes stale or breaks."""
        return self.stale.get(action, frozenset()) | self.broken_at.get(action, frozenset())


@dataclass(frozen=True, slots=True)
class Compared:
    """A set under a schema. `projected`: by record key; `reviewed`: see the module's text."""

    schema: CedarSchema
    views: Mapping[str, ServiceView]
    records: Sequence[PolicyVersion]
    statements: Mapping[str, Sequence[Statement]]
    projected: Mapping[str, Projected]
    reviewed: Mapping[Place, Tool]


def by_record(statements: Iterable[Statement]) -> dict[str, list[Statement]]:
    """A set's statements by record key, in order."""
    found: dict[str, list[Statement]] = {}
    for one in statements:
        found.setdefault(one.ref.key, []).append(one)
    return found


def undiscovered(schema: CedarSchema, views: Iterable[ServiceView]) -> frozenset[Uid]:
    """Actions of tools that a connector file names and no server has listed yet."""
    unknown = {
        (view.key, tool.name) for view in views for tool in view.tools if tool.definition is None
    }
    return frozenset(shape.action for at, shape in schema.shapes.items() if at in unknown)


def enforced(records: Iterable[PolicyVersion]) -> frozenset[str]:
    """Keys of the records that decide."""
    return frozenset(one.key for one in records if one.enabled and one.mode is Mode.ENFORCE)


def stale(compared: Compared) -> Affected:
    """The actions whose tools are not what a record was written for."""
    earlier = _earlier(compared)
    shapes = {shape.action: shape for shape in compared.schema.shapes.values()}
    overridden = _decided_tiers(compared)
    found: dict[Uid, frozenset[str]] = {}
    for record in compared.records:
        projected = compared.projected.get(record.key)
        if projected is None:
            continue
        kept = projections.unpacked(record.projection)
        statements = compared.statements.get(record.key, ())
        for number, (one, facets) in enumerate(zip(statements, projected.statements, strict=True)):
            then = kept[number] if kept is not None and number < len(kept) else {}
            for action, facet in facets.items():
                before = then.get(action)
                if before is None and action in earlier:
                    before = projections.facet_of(one, earlier[action])
                if before is None:
                    continue
                if action in overridden and "tier" in facet.value:
                    before = {**before, "tier": facet.value["tier"]}
                if projections.differs(one, shapes[action], before, facet.value):
                    found[action] = found.get(action, frozenset()) | {record.key}
    return found


def broken_at(
    compared: Compared, record: PolicyVersion, errors: Sequence[Problem]
) -> frozenset[Uid]:
    """The actions that a record's broken statements touch, now or as they were written."""
    kept = projections.unpacked(record.projection) or []
    numbers = {problem.statement for problem in errors}
    found: set[Uid] = set()
    for number, one in enumerate(compared.statements.get(record.key, ())):
        if None not in numbers and number + 1 not in numbers:
            continue
        then = kept[number] if number < len(kept) else {}
        for shape in compared.schema.shapes.values():
            tiers = {shape.tier.value, then.get(shape.action, {}).get("tier", shape.tier.value)}
            if any(projections.matches(one, shape, tier) for tier in tiers):
                found.add(shape.action)
        found.update(uid for uid in _OTHERS if one.actions is None or uid in one.actions)
    return frozenset(found)


def _earlier(compared: Compared) -> dict[Uid, ToolShape]:
    found: dict[Uid, ToolShape] = {}
    for (service, _), tool in compared.reviewed.items():
        view = compared.views.get(service)
        if view is not None:
            shape = tool_shape(view, tool)
            found[shape.action] = shape
    return found


def _decided_tiers(compared: Compared) -> frozenset[Uid]:
    """Actions whose tier an administrator set: by hand, or in the connector file."""
    decided = {
        (view.key, tool.name)
        for view in compared.views.values()
        for tool in view.tools
        if tool.tier_source in {TierSource.OVERRIDE, TierSource.CATALOGUE}
    }
    return frozenset(shape.action for at, shape in compared.schema.shapes.items() if at in decided)

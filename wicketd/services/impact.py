"""What a change of tools means: which policies, which tiers, which member's list.

Counterparts: `services.drift` reports it with each new list, `services.connectors` on request since
the last review. Nothing is stored: both sides are compiled sets. Source: policy spec, 5.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import ServiceView, ToolStatus
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.policy import listing, projections
from wicketd.policy.engine import CACHED, Snapshot
from wicketd.policy.lru import Lru
from wicketd.services.staleness import Affected, Findings, Place

PAIRS_MAX: Final = 10_000
"""Members times tools that one report looks at; what is left out is counted."""
_NAMED: Final = 50
"""Members that an audit row names."""


@dataclass(frozen=True, slots=True)
class Side:
    """A compiled set with the services it was compiled for."""

    views: Mapping[str, ServiceView]
    engine: Snapshot


@dataclass(frozen=True, slots=True)
class TierMove:
    """A tool, as `service__tool`, in another tier."""

    tool: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class NewTool:
    """A tool that was not there. `statements`: `policy#number` of those that match its calls."""

    tool: str
    tier: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberLists:
    """What a member's tool list gains and loses, as `service__tool`."""

    member: Member
    gains: tuple[str, ...]
    loses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """The whole report. `stale`, `broken_at`: tools by policy; `broken`: the reason by policy.

    `left_out`: members whose lists were not compared, since there are too many.
    """

    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    tiers: tuple[TierMove, ...] = ()
    added: tuple[NewTool, ...] = ()
    lists: tuple[MemberLists, ...] = ()
    left_out: int = 0

    def of_tool(self, tool: str) -> JsonObject:
        """What an audit row of one tool says; members by their ids."""
        new = [one.statements for one in self.added if one.tool == tool]
        row: JsonObject = {
            "broken_policies": _policies(self.broken_at, tool),
            "stale_policies": _policies(self.stale, tool),
            "covered_by": list[Json](new[0]) if new else [],
        }
        for name, members in (
            ("gained_by", [one.member.id for one in self.lists if tool in one.gains]),
            ("lost_by", [one.member.id for one in self.lists if tool in one.loses]),
        ):
            row[name] = list[Json](members[:_NAMED])
            row[f"{name}_count"] = len(members)
        return row


def impact(
    before: Side, after: Side, findings: Findings, agent: Agent, members: Sequence[Member]
) -> Impact:
    """Compares two sides; on a thread, it takes time. `members`: those that may call."""
    old, new = _active(before.views), _active(after.views)
    moved = [at for at in sorted(old | new) if _is_moved(before.engine, after.engine, at, old, new)]
    shown = members[: PAIRS_MAX // max(1, len(moved))]
    return Impact(
        stale=_by_policy(findings.stale, after.engine),
        broken_at=_by_policy(findings.broken_at, after.engine),
        broken=findings.broken,
        tiers=tuple(_tiers(before.engine, after.engine, old & new)),
        added=tuple(_added(after.engine, sorted(new - old))),
        lists=tuple(_lists(before, after, agent, shown, moved)) if moved else (),
        left_out=len(members) - len(shown) if moved else 0,
    )


def _policies(by_policy: Mapping[str, tuple[str, ...]], tool: str) -> list[Json]:
    return [key for key, tools in sorted(by_policy.items()) if tool in tools]


def _active(views: Mapping[str, ServiceView]) -> frozenset[Place]:
    return frozenset(
        (view.key, tool.name)
        for view in views.values()
        if view.is_enabled
        for tool in view.tools
        if tool.status is ToolStatus.ACTIVE
    )


def _is_moved(
    before: Snapshot, after: Snapshot, at: Place, old: frozenset[Place], new: frozenset[Place]
) -> bool:
    then, now = before.schema.shapes.get(at), after.schema.shapes.get(at)
    if (at in old) is not (at in new) or then is None or now is None or then != now:
        return True
    return before.blocked.get(then.action) is not after.blocked.get(now.action)


def _by_policy(affected: Affected, snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    names = {shape.action: shape.front_name for shape in snapshot.schema.shapes.values()}
    found: dict[str, list[str]] = {}
    for action, keys in affected.items():
        for key in keys:
            found.setdefault(key, []).append(names.get(action, action[1]))
    return {key: tuple(sorted(tools)) for key, tools in sorted(found.items())}


def _tiers(before: Snapshot, after: Snapshot, places: Iterable[Place]) -> Iterable[TierMove]:
    for at in sorted(places):
        then, now = before.schema.shapes.get(at), after.schema.shapes.get(at)
        if then is not None and now is not None and then.tier is not now.tier:
            yield TierMove(now.front_name, then.tier.value, now.tier.value)


def _added(after: Snapshot, places: Iterable[Place]) -> Iterable[NewTool]:
    for at in places:
        shape = after.schema.shapes.get(at)
        if shape is not None:
            tier = shape.tier.value
            names = tuple(
                f"{one.ref.key}#{one.ref.statement}"
                for one in after.statements
                if projections.may_reach(one, shape) and projections.matches(one, shape, tier)
            )
            yield NewTool(shape.front_name, tier, names)


def _lists(
    before: Side, after: Side, agent: Agent, members: Iterable[Member], moved: Sequence[Place]
) -> Iterable[MemberLists]:
    sides = [
        (_apart(side.engine), [at for at in moved if at in _active(side.views)])
        for side in (before, after)
    ]
    for member in members:
        then, now = (listing.lists(engine, member, agent, items) for engine, items in sides)
        if then != now:
            yield MemberLists(member, _names(now - then), _names(then - now))


def _names(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(sorted(f"{service}__{name}" for service, name in places))


def _apart(snapshot: Snapshot) -> Snapshot:
    """The same set with memories of its own: those of a set in force belong to its thread."""
    return replace(
        snapshot,
        slices=Lru(CACHED),
        stable=Lru(CACHED),
        listings=Lru(CACHED),
        addresses=Lru(CACHED),
        texts=Lru(CACHED),
    )

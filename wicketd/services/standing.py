"""What stands against a set under the tools of now: stale and broken records, held tools.

Counterpart: `services.policy_sets`, which compiles a set and denies what is found here;
`services.staleness` compares. Everything is worked out from stored tools, changes and versions, so
a restart finds what the process before it found. Invariant: what cannot be validated is broken.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.catalogue import ServiceView, Tool
from wicketd.domain.ids import AgentId
from wicketd.domain.policies import PolicyVersion, Problem, Reason
from wicketd.domain.ports import Database
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.projections import Projected, Projector
from wicketd.services.discovery import definition_hash, first_discovered, is_changed, retiered
from wicketd.services.staleness import (
    Compared,
    Findings,
    Place,
    broken_at,
    by_record,
    enforced,
    stale,
)
from wicketd.storage import services

_CHECKED: Final = 4_096

Problems: TypeAlias = Callable[[PolicyVersion], Awaitable[Sequence[Problem]]]
"""What stands against a record's text under the schema at hand."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A set that compiled, with its records projected on its schema, by key."""

    engine: Snapshot
    records: Sequence[PolicyVersion]
    views: Mapping[str, ServiceView]
    projected: Mapping[str, Projected]

    @classmethod
    def of(
        cls, snapshot: Snapshot, records: Sequence[PolicyVersion], views: Mapping[str, ServiceView]
    ) -> "Compiled":
        """Projects a compiled set; on a thread, it takes time."""
        projector = Projector(snapshot.schema)
        grouped = by_record(snapshot.statements)
        projected = {key: projector.record(ones) for key, ones in grouped.items()}
        return cls(snapshot, records, views, projected)


@dataclass(frozen=True, slots=True)
class Move:
    """What a change does to tools beside what is stored.

    `replaced`: tools as it finds them; `accepted`: tools that it acknowledges.
    """

    replaced: Mapping[Place, Tool] = field(default_factory=dict)
    accepted: frozenset[Place] = frozenset()


class Standing:
    """Finds what is stale, broken or held. `hold_changed`: see `SetRules`."""

    def __init__(
        self, db: Database, catalogue: Callable[[], Catalogue], *, hold_changed: bool
    ) -> None:
        self._db = db
        self._catalogue = catalogue
        self._hold_changed = hold_changed
        self._checked: OrderedDict[tuple[str, str, bytes], tuple[Problem, ...]] = OrderedDict()

    async def of(
        self,
        agent_id: AgentId,
        compiled: Compiled,
        move: Move,
        problems: Problems,
    ) -> tuple[Findings, dict[Uid, Reason]]:
        """Findings, and the actions to deny."""
        reviewed = {**move.replaced, **await self.reviewed(agent_id, compiled.views)}
        compared = Compared(
            schema=compiled.engine.schema,
            views=compiled.views,
            records=compiled.records,
            statements=by_record(compiled.engine.statements),
            projected=compiled.projected,
            reviewed={at: tool for at, tool in reviewed.items() if at not in move.accepted},
        )
        found = await self._with_broken(compared, problems)
        denied = found.denied(enforced(compiled.records)) | self._held(compared)
        return found, denied

    async def reviewed(
        self, agent_id: AgentId, views: Mapping[str, ServiceView]
    ) -> dict[Place, Tool]:
        """Tools as they were before the oldest change that nobody acknowledged."""
        found: dict[Place, Tool] = {}
        for row in await self._db.all(services.of_agent(agent_id)):
            view, connector = views.get(row.key), self._catalogue().get(row.key)
            if view is None or connector is None:
                continue
            tools = {tool.name: tool for tool in view.tools}
            oldest = first_discovered(view.tools, connector)
            for change in await self._db.all(services.open_changes(row.id)):
                tool, then = tools.get(change.tool), change.old_definition
                if tool is None or then is None or (row.key, tool.name) in found:
                    continue
                before = replace(tool, definition=then, hash=definition_hash(then))
                found[row.key, tool.name] = retiered(
                    before, connector, first_discovery=tool.name in oldest
                )
        return found

    async def _with_broken(self, compared: Compared, problems: Problems) -> Findings:
        at: dict[Uid, frozenset[str]] = {}
        why: dict[str, str] = {}
        for record in compared.records:
            projected = compared.projected.get(record.key)
            if projected is None or record.projection.get("fit") == projected.fit:
                continue
            errors = [one for one in await self._seen(compared, record, problems) if _breaks(one)]
            if not errors:
                continue
            why[record.key] = errors[0].message
            for action in broken_at(compared, record, errors):
                at[action] = at.get(action, frozenset()) | {record.key}
        return Findings(stale(compared), at, why)

    async def _seen(
        self, compared: Compared, record: PolicyVersion, problems: Problems
    ) -> Sequence[Problem]:
        """The problems of a record, remembered by text and schema."""
        key = (record.policy_id, record.text, compared.schema.sha256)
        seen = self._checked.get(key)
        if seen is None:
            seen = tuple(await problems(record))
            if all(problem.code != "checker_crashed" for problem in seen):
                self._checked[key] = seen
            if len(self._checked) > _CHECKED:
                self._checked.popitem(last=False)
        return seen

    def _held(self, compared: Compared) -> dict[Uid, Reason]:
        """Actions of tools that changed and wait for an acknowledgement, where that is the rule."""
        if not self._hold_changed:
            return {}
        changed = {
            (view.key, tool.name)
            for view in compared.views.values()
            for tool in view.tools
            if is_changed(tool) or _has_moved(tool, compared.reviewed.get((view.key, tool.name)))
        }
        return {
            shape.action: Reason.TOOL_HELD
            for at, shape in compared.schema.shapes.items()
            if at in changed
        }


def _has_moved(tool: Tool, before: Tool | None) -> bool:
    """Whether a tool that nobody acknowledged yet is not what it was when it came."""
    return before is not None and tool.acked_hash is None and before.hash != tool.hash


def _breaks(problem: Problem) -> bool:
    """Whether the validator refuses the text, or could not be asked.

    What only our own checks find, such as an id that does not exist, matches nothing and is
    reported by coverage.
    """
    is_found_by_engine = problem.engine_message is not None
    return problem.severity == "error" and (is_found_by_engine or problem.code == "checker_crashed")

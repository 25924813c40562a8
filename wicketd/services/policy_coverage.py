"""What an agent's set covers, and which of its policies do nothing (policy spec, 7.4).

Read off the set in force, the counts of the audit and today's schema; nothing is stored.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import ToolStatus
from wicketd.domain.errors import Unhealthy
from wicketd.domain.policies import PolicyVersion
from wicketd.policy import coverage
from wicketd.policy.coverage import ToolCover
from wicketd.services import find, watching
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets
from wicketd.storage import audit_counts

DAYS: Final = 30
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class PolicyCover:
    """One live policy. `hits`: calls that it determined; `broken`: its first error today.

    `stale`: tools, as clients name them, whose calls are denied since they changed under it.
    """

    record: PolicyVersion
    hits: int
    is_unmatchable: bool
    stale: tuple[str, ...]
    broken: str | None
    flips: int | None
    """Calls that it would turn round since it is watched; None: it is enforced."""


@dataclass(frozen=True, slots=True)
class SetCover:
    """Tools by name, policies by key, hits of the last `days` days."""

    tools: Sequence[ToolCover]
    policies: Sequence[PolicyCover]
    days: int


class PolicyCoverage:
    """The use case of coverage."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def show(self, agent: str) -> SetCover:
        """Each live tool and each live policy.

        Raises:
            NotFound: there is no such agent.
            Unhealthy: its set does not load, so nothing can be said of it.
        """
        owner = await find.read_agent(self._desk.db, agent)
        now = await self._sets.read(owner)
        snapshot = self._desk.snapshots.engine_of(owner.id)
        if snapshot is None:
            message = f"The policies of {owner.key} are not loaded. See why with wicket status."
            raise Unhealthy(message, hint="wicket status")
        live = {
            (view.key, tool.name)
            for view in now.views.values()
            if view.is_enabled
            for tool in view.tools
            if tool.status is ToolStatus.ACTIVE
        }
        until = self._desk.clock.now_ms()
        rows = await self._desk.db.all(
            audit_counts.policy_stats(owner.id, until - DAYS * _DAY_MS, until)
        )
        hits: Counter[str] = Counter()
        for row in rows:
            hits[row.policy_id] += row.n
        tools = coverage.tools(snapshot, live, by_member=owner.trust is Trust.UNTRUSTED)
        flips = await watching.watched(self._desk.db, owner.id)
        idle, broken = coverage.unmatchable(snapshot, live), await self._sets.broken(now)
        policies = [
            PolicyCover(
                record=one,
                hits=hits[one.policy_id],
                is_unmatchable=one.key in idle,
                stale=tuple(
                    f"{tool.service}__{tool.tool}"
                    for tool in tools
                    if tool.is_stale and one.key in tool.policies
                ),
                broken=broken.get(one.key),
                flips=flips[one.policy_id].flips if one.policy_id in flips else None,
            )
            for one in now.records
        ]
        return SetCover(tools, policies, DAYS)

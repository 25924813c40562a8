"""What records in shadow mode would have changed since they are watched (policy spec, 4 and 7.4).

Counterpart of `services.entries`, which records a flip beside the row that it is about. Read off
the audit; nothing is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wicketd.domain.ids import AgentId, PolicyId
from wicketd.domain.ports import Database
from wicketd.storage import shadow_flips


@dataclass(frozen=True, slots=True)
class Watched:
    """Calls that a record would have decided otherwise, since `since_ms`, when it was set so.

    `allow_deny`: allowed and would be denied; `deny_allow`: the other way round.
    """

    since_ms: int
    allow_deny: int
    deny_allow: int

    @property
    def flips(self) -> int:
        """Both together."""
        return self.allow_deny + self.deny_allow


async def watched(db: Database, agent_id: AgentId) -> Mapping[PolicyId, Watched]:
    """The live records in shadow mode, by id. Reads what their flips left, not the log."""
    rows = await db.all(shadow_flips.of_agent(agent_id))
    return {row.policy_id: Watched(row.since_ms, row.allow_deny, row.deny_allow) for row in rows}

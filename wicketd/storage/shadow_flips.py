"""Flips of records in shadow mode, counted from `audit_policies`. Written by the journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wicketd.domain.ids import AgentId, PolicyId
from wicketd.domain.ports import Query


@dataclass(frozen=True, slots=True)
class ShadowFlips:
    """One live record in shadow mode. `since_ms`: when its run of watched versions began."""

    policy_id: PolicyId
    since_ms: int
    allow_deny: int
    deny_allow: int


def of_agent(agent_id: AgentId) -> Query[ShadowFlips]:
    """Every live record of the agent whose current version is watched.

    A call counts once however many statements flip it. A forbid flips an allowed call, a permit a
    denied one.
    """
    return Query(
        "WITH watched AS (SELECT p.id AS policy_id, 1 + coalesce((SELECT max(e.version) "
        "FROM policy_versions AS e WHERE e.policy_id = p.id AND e.mode = 'enforce'), 0) AS first "
        "FROM policies AS p JOIN policy_versions AS now "
        "ON now.policy_id = p.id AND now.version = p.current_version "
        "WHERE p.agent_id = ? AND p.deleted_at IS NULL AND now.mode = 'shadow') "
        "SELECT w.policy_id, v.created_at, "
        "count(DISTINCT CASE h.effect WHEN 'forbid' THEN h.seq END), "
        "count(DISTINCT CASE h.effect WHEN 'permit' THEN h.seq END) "
        "FROM watched AS w JOIN policy_versions AS v "
        "ON v.policy_id = w.policy_id AND v.version = w.first "
        "LEFT JOIN audit_policies AS h "
        "ON h.policy_id = w.policy_id AND h.version >= w.first AND h.mode = 'shadow' "
        "GROUP BY w.policy_id, v.created_at",
        (agent_id,),
        _read,
    )


def _read(row: Sequence[Any]) -> ShadowFlips:
    return ShadowFlips(PolicyId(row[0]), row[1], row[2], row[3])

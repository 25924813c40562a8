"""Coverage of policies between the contract and the domain."""

from wicketd.api.types import coverage as wire
from wicketd.policy.coverage import ToolCover
from wicketd.services.policy_coverage import PolicyCover, SetCover


def coverage(value: SetCover) -> wire.Coverage:
    """What a set covers."""
    return wire.Coverage(
        tools=tuple(map(_tool, value.tools)),
        policies=tuple(map(_policy, value.policies)),
        days=value.days,
    )


def _tool(value: ToolCover) -> wire.ToolCover:
    return wire.ToolCover(
        service=value.service,
        tool=value.tool,
        tier=value.tier,
        cover=value.cover.value,
        policies=value.policies,
        stale=value.is_stale,
    )


def _policy(value: PolicyCover) -> wire.PolicyCover:
    return wire.PolicyCover(
        policy=value.record.key,
        version=value.record.version,
        enabled=value.record.enabled,
        mode=value.record.mode.value,
        hits=value.hits,
        unmatchable=value.is_unmatchable,
        stale=value.stale,
        broken=value.broken,
        flips=value.flips,
    )

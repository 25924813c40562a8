"""Baseline policies: what an agent may do before anybody wrote a policy. Pure texts and drafts.

Source: product spec, sections 3 and 6; policy spec, section 6. On untrusted agents a baseline
belongs to one member.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from wicketd.domain.agents import Agent, Trust
from wicketd.domain.members import Member
from wicketd.domain.policies import Cause
from wicketd.policy.schema import quote
from wicketd.services.builtin import BUILT_IN_KEY
from wicketd.services.versions import Draft

PREFIX: Final = "baseline-"
TIERS: Final = ("read", "write", "destructive")


class Allow(StrEnum):
    """Up to which tier a baseline goes; naming one admits prompts and resources too."""

    READ = "read"
    WRITE = "write"
    ALL = "all"


def text(service: str, allow: Allow | None = None) -> str:
    """The baseline of a service. `allow` None: tools of the read tier and nothing else."""
    where = f"resource in Wicket::Service::{quote(service)}"
    if allow is None:
        return f'permit (principal, action in Wicket::Action::"read", {where});'
    count = {Allow.READ: 1, Allow.WRITE: 2, Allow.ALL: 3}[allow]
    tiers = ", ".join(f"Wicket::Action::{quote(tier)}" for tier in TIERS[:count])
    other = 'Wicket::Action::"get_prompt", Wicket::Action::"read_resource"'
    return (
        f"permit (principal, action in [{tiers}], {where});\n"
        f"permit (principal, action in [{other}], {where});"
    )


def of_service(
    agent: Agent, service: str, members: Iterable[Member], allow: Allow | None = None
) -> Sequence[Draft]:
    """The baselines that enabling a service makes.

    `members`: the approved ones, of whom each gets an own record on an untrusted agent.
    """
    key, name, body = f"{PREFIX}{service}", f"Baseline of {service}", text(service, allow)
    if agent.trust is Trust.TRUSTED:
        return [Draft(key, name, body, cause=Cause.BASELINE)]
    return [
        Draft(
            key=f"{key}-{member.id[-8:]}",
            name=f"{name} for {member.principal}"[:120],
            text=body,
            scope=member.id,
            cause=Cause.BASELINE,
        )
        for member in members
    ]


def of_new_agent(agent: Agent, services: Iterable[str]) -> Sequence[Draft]:
    """The baseline of the status tool; an untrusted agent has no member yet, so none."""
    return of_service(agent, BUILT_IN_KEY, ()) if BUILT_IN_KEY in services else []


def of_new_member(agent: Agent, services: Iterable[str], member: Member) -> Sequence[Draft]:
    """The baselines of every service of an untrusted agent for one more member."""
    if agent.trust is Trust.TRUSTED:
        return []
    return [draft for key in sorted(services) for draft in of_service(agent, key, [member])]

"""Agents: the unit that owns members, services and policies.

Life cycle: product spec, section 3.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AgentId, PolicyRevision, Revision
from wicketd.domain.lifecycle import Edge


class AgentStatus(StrEnum):
    """Whether calls of this agent are considered at all."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class Trust(StrEnum):
    """Untrusted agents need a policy scoped to the very member before anything is evaluated."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class SessionScope(StrEnum):
    """What bounds a tool session: the client's conversation id, or the member key alone."""

    CONVERSATION = "conversation"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent as stored. `tz` is an IANA zone name; times are ms since 1970 UTC."""

    id: AgentId
    key: str
    name: str
    status: AgentStatus
    disabled_reason: str | None
    trust: Trust
    tz: str
    session_scope: SessionScope
    policy_revision: PolicyRevision
    tags: tuple[str, ...]
    created_by: str
    created_at: int
    deleted_at: int | None
    rev: Revision


EDGES: Final = (
    Edge(None, AgentStatus.ACTIVE, "create", "agent.created"),
    Edge(AgentStatus.ACTIVE, AgentStatus.DISABLED, "disable", "agent.disabled"),
    Edge(AgentStatus.DISABLED, AgentStatus.ACTIVE, "enable", "agent.enabled"),
    Edge(AgentStatus.DISABLED, AgentStatus.DELETED, "delete", "agent.deleted"),
)

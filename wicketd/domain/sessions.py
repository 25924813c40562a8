"""Tool sessions: the counters that policies read as `context.session` (product spec, section 7)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AgentId, MemberId, ToolSessionId
from wicketd.domain.lifecycle import Edge


class SessionState(StrEnum):
    """A session ends once and stays ended."""

    ACTIVE = "active"
    ENDED = "ended"


class SessionEnd(StrEnum):
    """Why a session ended."""

    INACTIVITY = "inactivity"
    MANUAL_RESET = "manual_reset"
    PROXY_RESTART = "proxy_restart"
    KEY_ENDED = "key_ended"


EDGES: Final = (
    Edge(None, SessionState.ACTIVE, "start", "session.started"),
    Edge(SessionState.ACTIVE, SessionState.ENDED, "end", "session.ended"),
)

IDLE_MS: Final = 30 * 60 * 1000
TOOLS_IN_CONTEXT: Final = 256


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The counters before the call, as policies see them."""

    calls: int
    denials: int
    tools: tuple[str, ...]
    """`service__tool` of allowed calls, first 256."""
    age_seconds: int


@dataclass(frozen=True, slots=True)
class SessionCandidate:
    """Where a session id may come from; the first one present counts."""

    source: str
    value: str


@dataclass(slots=True)
class ToolSession:
    """One running session, in memory and on disk.

    Owned by `services.sessions`, changed under the loop.
    """

    id: ToolSessionId
    agent_id: AgentId
    member_id: MemberId
    member_key_row: str
    external_mac: bytes
    external_id: str | None
    id_source: str
    client_name: str | None
    client_version: str | None
    created_at: int
    last_activity_at: int
    calls: int = 0
    denials: int = 0
    terminated_at: int | None = None
    terminated_reason: SessionEnd | None = None
    tools: dict[str, int] = field(default_factory=dict)
    """Allowed calls by `service__tool`, in order of first use."""
    allow_counts: dict[str, int] = field(default_factory=dict)
    deny_counts: dict[str, int] = field(default_factory=dict)

    def facts(self, at_ms: int) -> SessionFacts:
        """What a policy sees before the next call."""
        age = max(0, at_ms - self.created_at) // 1000
        return SessionFacts(self.calls, self.denials, tuple(self.tools)[:TOOLS_IN_CONTEXT], age)

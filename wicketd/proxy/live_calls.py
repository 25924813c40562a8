"""Ends what runs and streams: requests, sessions, and processes started for somebody.

Implements `services.desk.LiveCalls` over `presence`, `session_table` and `client`.
"""

from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.presence import Presences
from wicketd.proxy.session_table import SessionTable


class LiveCalls:
    """All sides at once; ending them is not waited for."""

    def __init__(
        self, presences: Presences, sessions: SessionTable, upstreams: UpstreamClient
    ) -> None:
        self._upstreams = upstreams
        self._presences = presences
        self._sessions = sessions

    def end_agent(self, agent_id: AgentId) -> None:
        """Cancels what runs for the agent."""
        self._presences.end_agent(agent_id)
        self._sessions.end_agent(agent_id)
        self._upstreams.forget(agent_id)

    def end_member(self, member_id: MemberId) -> None:
        """Cancels what runs for the member."""
        self._presences.end_member(member_id)
        self._sessions.end_member(member_id)
        self._upstreams.forget(member_id=member_id)

    def end_key(self, key_id: KeyId) -> None:
        """Cancels what runs under the key."""
        self._presences.end_key(key_id)

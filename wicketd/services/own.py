"""What a member sees of its own: agents with the next step, services, activity, tool sessions.

Counterpart of the admin's reads. Invariant: every query names the member, found through the
visitor's account; what is somebody else's does not exist (promise P15). Policy names are shown to
owners and on untrusted agents, where the policies are the member's own (product spec, section 2).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.accounts import Visitor
from wicketd.domain.agents import Agent, AgentStatus, Trust
from wicketd.domain.audit import AuditRow
from wicketd.domain.catalogue import Connector, CredentialKind, ServiceState, Tier, ToolStatus
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import NotFound
from wicketd.domain.members import Member, MemberKey, MemberState, Role
from wicketd.domain.ports import Database
from wicketd.domain.sessions import ToolSession
from wicketd.services.sessions import ToolSessions
from wicketd.storage import agents, audit, connections, keys, members, services, sessions
from wicketd.storage.audit import AuditFilters

PAGE: Final = 50


class Step(StrEnum):
    """What the member does next; the first that holds, in this order."""

    ACCEPT = "accept"
    DISABLED = "disabled"
    RECONNECT = "reconnect"
    CONNECT = "connect"
    APPROVAL = "approval"
    KEY = "key"
    CLIENT = "client"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class OwnService:
    """One enabled service of the agent. `tools`: how many of each tier, by the tier's word."""

    key: str
    name: str
    kind: CredentialKind
    connection: Connection | None
    tools: Mapping[str, int]
    hint_url: str | None
    revoke_url: str | None

    @property
    def is_connected(self) -> bool:
        """Whether nothing is left to do here."""
        if self.kind is CredentialKind.NONE:
            return True
        held = self.connection
        return held is not None and held.state in {ConnectionState.PENDING, ConnectionState.SEALED}

    @property
    def is_broken(self) -> bool:
        """Whether it was connected and has to be again."""
        held = self.connection
        return held is not None and held.state is ConnectionState.NEEDS_RECONNECT


@dataclass(frozen=True, slots=True)
class OwnAgent:
    """An agent as its member sees it.

    `contacts`: addresses of its owners; `is_used`: a client called a tool with this very key.
    """

    agent: Agent
    member: Member
    services: tuple[OwnService, ...]
    key: MemberKey | None
    is_used: bool = False
    contacts: tuple[str, ...] = ()

    @property
    def is_approved(self) -> bool:
        """Whether a key may be made."""
        return self.member.state is MemberState.APPROVED

    @property
    def pending_until(self) -> int | None:
        """When the first tokens that wait for a key are destroyed, ms."""
        times = [
            one.connection.pending_expires_at
            for one in self.services
            if one.connection is not None
            and one.connection.state is ConnectionState.PENDING
            and one.connection.pending_expires_at is not None
        ]
        return min(times, default=None)

    @property
    def step(self) -> Step:
        """What the member does next."""
        steps = (
            (Step.ACCEPT, self.member.state is MemberState.INVITED),
            (Step.DISABLED, self.agent.status is not AgentStatus.ACTIVE),
            (Step.RECONNECT, any(one.is_broken for one in self.services)),
            (Step.CONNECT, not all(one.is_connected for one in self.services)),
            (Step.APPROVAL, not self.is_approved),
            (Step.KEY, self.key is None),
            (Step.CLIENT, not self.is_used),
        )
        return next((step for step, holds in steps if holds), Step.READY)


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """One entry of the member's activity. `policies` None: not for this member to see."""

    seq: int
    at_ms: int
    kind: str
    service: str | None
    tool: str | None
    decision: str | None
    reason: str | None
    messages: tuple[str, ...]
    policies: tuple[str, ...] | None
    outcome: str | None
    duration_ms: int | None
    ref: str | None
    client: str | None


@dataclass(frozen=True, slots=True)
class Activity:
    """A page of entries, newest first. `older`: the cursor of the next page, if there is one."""

    entries: tuple[OwnEntry, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class ActivityFilters:
    """What to show; None: all. `before`: the cursor; `ref`: as people type it."""

    before: int | None = None
    decision: str | None = None
    service: str | None = None
    ref: str | None = None


class Own:
    """The reads of a member."""

    def __init__(
        self, db: Database, sessions: ToolSessions, catalogue: Callable[[], Catalogue]
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._catalogue = catalogue

    async def agents(self, visitor: Visitor) -> Sequence[OwnAgent]:
        """The account's memberships that have not ended, by the agent's name."""
        found = []
        for member in await self._db.all(members.memberships(visitor.account.id)):
            agent = await self._db.one(agents.by_key_or_id(member.agent_id))
            if agent is not None and agent.status is not AgentStatus.DELETED:
                found.append(await self._whole(agent, member))
        return sorted(found, key=lambda one: (one.agent.name.casefold(), one.agent.id))

    async def agent(self, visitor: Visitor, agent_id: str) -> OwnAgent:
        """One of them, by the agent's id.

        Raises:
            NotFound: it does not exist, or the visitor is no member of it.
        """
        agent, member = await self._membership(visitor, agent_id)
        return await self._whole(agent, member)

    async def service(
        self, visitor: Visitor, agent_id: str, key: str
    ) -> tuple[OwnAgent, OwnService]:
        """One enabled service of such an agent.

        Raises:
            NotFound: there is no such agent or service for this visitor.
        """
        own = await self.agent(visitor, agent_id)
        for one in own.services:
            if one.key == key:
                return own, one
        raise NotFound("This agent has no such service. Choose one from the agent's page.")

    async def activity(self, visitor: Visitor, agent_id: str, filters: ActivityFilters) -> Activity:
        """The member's own entries, 50 a page.

        Raises:
            NotFound: the visitor is no member of such an agent.
        """
        agent, member = await self._membership(visitor, agent_id)
        asked = AuditFilters(
            agent_id=agent.id,
            member_id=member.id,
            decision=filters.decision,
            service=filters.service,
            ref=filters.ref,
        )
        rows = await self._db.all(audit.page(asked, before=filters.before, limit=PAGE + 1))
        shown = rows[:PAGE]
        calls = [row.call_id for row in shown if row.call_id is not None]
        outcomes = await self._db.all(audit.outcomes_of(calls)) if calls else []
        by_call = {row.call_id: row for row in outcomes}
        with_policies = member.role is Role.OWNER or agent.trust is Trust.UNTRUSTED
        entries = tuple(
            _entry(row, by_call.get(row.call_id), with_policies=with_policies) for row in shown
        )
        return Activity(entries, shown[-1].seq if len(rows) > PAGE else None)

    async def sessions(self, visitor: Visitor, agent_id: str) -> Sequence[ToolSession]:
        """The member's own tool sessions, newest activity first.

        Raises:
            NotFound: the visitor is no member of such an agent.
        """
        agent, member = await self._membership(visitor, agent_id)
        return await self._sessions.of_member(agent.id, member.id)

    async def _membership(self, visitor: Visitor, agent_id: str) -> tuple[Agent, Member]:
        missing = NotFound("There is no such agent for you. Open the list of your agents.")
        for member in await self._db.all(members.memberships(visitor.account.id)):
            if member.agent_id == agent_id:
                agent = await self._db.one(agents.by_key_or_id(member.agent_id))
                if agent is not None and agent.status is not AgentStatus.DELETED:
                    return agent, member
        raise missing

    async def _whole(self, agent: Agent, member: Member) -> OwnAgent:
        rows = await self._db.all(connections.of_member_with_service(agent.id, member.id))
        held = {connection.service_id: connection for connection, _ in rows}
        found = []
        for service in await self._db.all(services.of_agent(agent.id)):
            connector = self._catalogue().get(service.key)
            if connector is not None and service.state is ServiceState.ENABLED:
                tiers = [
                    tool.tier
                    for tool in await self._db.all(services.tools(service.id))
                    if tool.status is ToolStatus.ACTIVE
                ]
                found.append(_service(connector, held.get(service.id), tiers))
        owners = [
            one.principal
            for one in await self._db.all(members.of_agent(agent.id, MemberState.APPROVED))
            if one.role is Role.OWNER and one.id != member.id and one.email is not None
        ]
        key = await self._db.one(keys.active_of(agent.id, member.id))
        is_used = key is not None and any(
            session.member_key_row == key.id
            for session in await self._db.all(sessions.of_member(agent.id, member.id))
        )
        return OwnAgent(agent, member, tuple(found), key, is_used, tuple(owners))


def _service(
    connector: Connector, connection: Connection | None, tiers: Sequence[Tier]
) -> OwnService:
    return OwnService(
        key=connector.key,
        name=connector.name,
        kind=connector.credential.kind,
        connection=connection,
        tools={tier.value: tiers.count(tier) for tier in Tier},
        hint_url=connector.credential.hint_url,
        revoke_url=connector.revoke_url,
    )


def _entry(row: AuditRow, outcome: AuditRow | None, *, with_policies: bool) -> OwnEntry:
    body: dict[str, Any] = msgspec.json.decode(row.body, type=dict[str, Any])
    after: dict[str, Any] = (
        {} if outcome is None else msgspec.json.decode(outcome.body, type=dict[str, Any])
    )
    policies = tuple(f"{one['key']}@{one['version']}" for one in body.get("determining", ()) or ())
    return OwnEntry(
        seq=row.seq,
        at_ms=row.ts,
        kind=row.kind,
        service=row.service,
        tool=row.tool,
        decision=row.decision,
        reason=row.reason_code,
        messages=tuple(str(text) for text in body.get("denyMessages", ()) or ()),
        policies=policies if with_policies else None,
        outcome=after.get("outcome"),
        duration_ms=after.get("durationMs"),
        ref=row.ref,
        client=body.get("clientName"),
    )

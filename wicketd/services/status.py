"""How the daemon is: health, audit head, counts. Counterpart: `admin.routes.status`.

What stops calls of everybody makes it degraded and stands in `reasons`; what concerns one agent or
waits for somebody stands in `details`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wicketd.domain.agents import Agent, AgentStatus
from wicketd.domain.catalogue import ServiceState
from wicketd.domain.connections import ConnectionState
from wicketd.domain.health import Health, KeyUse, Settings
from wicketd.domain.ids import AgentId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import MemberState
from wicketd.domain.ports import Clock, Database
from wicketd.services.keyring import KeyringStatus
from wicketd.services.metrics import Metrics
from wicketd.storage import agents, checkpoints, connections, keys, members, services
from wicketd.storage.audit import AuditTable
from wicketd.storage.health import Health as DatabaseHealth


class HealthyDatabase(Database, Protocol):
    """A database that says whether it takes writes."""

    @property
    def health(self) -> DatabaseHealth:
        """Whether writes are taken now."""


class BrokenSets(Protocol):
    """The snapshots, as far as their failures go."""

    def broken(self) -> Mapping[AgentId, str]:
        """Agents whose set does not load, with the reason."""


class DueTruncation(Protocol):
    """The write-ahead log, as far as it still holds what was destroyed."""

    @property
    def is_overdue(self) -> bool:
        """Whether a truncation has waited for over a minute."""


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the parts of the answer come from."""

    snapshots: BrokenSets
    wal: DueTruncation
    keyring: KeyringStatus
    metrics: Metrics
    settings: Settings
    faults: Callable[[], Mapping[tuple[AgentId, str], str]]
    """Services that lists lack now, and why."""
    servers: Callable[[], Mapping[tuple[AgentId, str], int]]
    """Servers over pipes that are alive."""


class Status:
    """The daemon about itself."""

    def __init__(self, db: HealthyDatabase, clock: Clock, sources: StatusSources) -> None:
        self._db = db
        self._sources = sources
        self._started_at = clock.now_ms()

    @property
    def is_degraded(self) -> bool:
        """Whether new calls are refused: what `/api/status` says, and nothing more."""
        return self._db.health.degraded

    async def health(self) -> Health:
        """How the daemon is, and the head of its audit."""
        head = await self._db.one(AuditTable().head())
        signed = await self._db.one(checkpoints.newest())
        everyone = await self._db.all(agents.all())
        return Health(
            reasons=self._reasons(),
            started_at=self._started_at,
            audit_seq=0 if head is None else head[0],
            audit_hash=None if head is None else head[1],
            audit_epoch=1 if head is None else head[2],
            checkpoint=signed,
            counts=await self._counts(everyone),
            details=self._details(everyone),
        )

    def settings(self) -> Settings:
        """The configuration in force, without secrets."""
        return self._sources.settings

    async def keyring(self) -> Sequence[KeyUse]:
        """The keys of the keyring, the active one first."""
        return await self._sources.keyring.report()

    def _reasons(self) -> tuple[str, ...]:
        reason = self._db.health.reason
        return () if reason is None else (f"No new calls: {reason}.",)

    def _details(self, everyone: Sequence[Agent]) -> JsonObject:
        names = {agent.id: agent.key for agent in everyone}
        broken: JsonObject = {
            names.get(agent_id, agent_id): why
            for agent_id, why in self._sources.snapshots.broken().items()
        }
        samples: list[Json] = [
            {"name": one.metric.name, "labels": list[Json](one.labels), "value": one.value}
            for one in self._sources.metrics.samples()
        ]
        return {
            "agents_without_policies": broken,
            "unavailable": _by_service(self._sources.faults(), names),
            "stdio_servers": _by_service(self._sources.servers(), names),
            "truncation_overdue": self._sources.wal.is_overdue,
            "metrics": samples,
        }

    async def _counts(self, everyone: Sequence[Agent]) -> dict[str, int]:
        counts = dict.fromkeys(COUNTS, 0)
        for agent in everyone:
            if agent.status is AgentStatus.DELETED:
                continue
            counts["agents"] += 1
            counts["agents_disabled"] += agent.status is AgentStatus.DISABLED
            await self._count_agent(agent, counts)
        return counts

    async def _count_agent(self, agent: Agent, counts: dict[str, int]) -> None:
        people = await self._db.all(members.of_agent(agent.id))
        counts["members"] += sum(one.state is MemberState.APPROVED for one in people)
        counts["members_pending"] += sum(one.state is MemberState.PENDING for one in people)
        issued = await self._db.all(keys.of_agent(agent.id))
        counts["keys"] += sum(key.ended_at is None for key in issued)
        enabled = await self._db.all(services.of_agent(agent.id))
        counts["services"] += sum(one.state is ServiceState.ENABLED for one in enabled)
        counts["services_flagged"] += sum(one.drift == "flagged" for one in enabled)
        held = await self._db.all(connections.of_agent(agent.id))
        counts["connections"] += sum(one.state is ConnectionState.SEALED for one in held)
        counts["connections_broken"] += sum(
            one.state is ConnectionState.NEEDS_RECONNECT for one in held
        )


COUNTS = (
    "agents",
    "agents_disabled",
    "members",
    "members_pending",
    "keys",
    "services",
    "services_flagged",
    "connections",
    "connections_broken",
)
"""What is counted, in the order in which it is shown."""


def _by_service(
    found: Mapping[tuple[AgentId, str], Json], names: Mapping[AgentId, str]
) -> JsonObject:
    """By `agent/service`, as administrators name them."""
    return {
        f"{names.get(agent_id, agent_id)}/{service}": value
        for (agent_id, service), value in sorted(found.items())
    }

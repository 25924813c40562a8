"""The compiled view of each agent that calls are decided on.

One immutable object per (agent, policy revision, catalogue). A call keeps the one it started with;
a change compiles the next one first and swaps it in with one reference assignment. A set that does
not load, or whose MAC or hashes differ, is never put in force and denies (security spec, FC3).
Counterparts: `services.policy_sets` loads and compiles, `services.calls` reads.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from wicketd.connectors.catalogue import Catalogue
from wicketd.connectors.mapping import CompiledRule
from wicketd.domain.agents import Agent, AgentStatus
from wicketd.domain.catalogue import Connector, ServiceView, Tool, ToolStatus
from wicketd.domain.errors import NotFound, WicketError
from wicketd.domain.ids import AgentId
from wicketd.domain.ports import Database
from wicketd.policy import engine
from wicketd.services.builtin import BUILT_IN_KEY
from wicketd.services.staleness import Findings
from wicketd.storage import agents as agent_rows


@dataclass(frozen=True, slots=True)
class AgentSnapshot:
    """Everything a decision needs, immutable.

    `services`: by key, disabled ones included; `connectors`: theirs (the built-in service has
    none); `tools`: active tools of enabled services by (service, name); `targets`: their rules.
    """

    agent: Agent
    services: Mapping[str, ServiceView]
    connectors: Mapping[str, Connector]
    tools: Mapping[tuple[str, str], Tool]
    targets: Mapping[tuple[str, str], CompiledRule]
    engine: engine.Snapshot
    findings: Findings = field(default_factory=Findings)
    """Which records the tools of now leave stale or broken."""

    def is_enabled(self, service: str) -> bool:
        """Whether calls of the service are considered at all."""
        view = self.services.get(service)
        return view is not None and view.is_enabled


Loaded = tuple[Mapping[str, ServiceView], engine.Snapshot, Findings]


class Snapshots:
    """Holds the snapshot in force of each agent and rebuilds it from what is stored.

    `load`: verifies and compiles an agent's stored set (`policy_sets`).
    """

    def __init__(
        self,
        db: Database,
        catalogue: Callable[[], Catalogue],
        load: Callable[[Agent], Awaitable[Loaded]],
    ) -> None:
        self._db = db
        self._catalogue = catalogue
        self._load = load
        self._in_force: dict[AgentId, AgentSnapshot] = {}
        self._broken: dict[AgentId, str] = {}

    def of(self, agent_id: AgentId) -> AgentSnapshot | None:
        """The snapshot in force, or None: every call is denied (`snapshot_missing`)."""
        return self._in_force.get(agent_id)

    def engine_of(self, agent_id: AgentId) -> engine.Snapshot | None:
        """The compiled set in force, whose schema handle the next one may reuse."""
        snapshot = self._in_force.get(agent_id)
        return snapshot.engine if snapshot is not None else None

    def findings_of(self, agent_id: AgentId) -> Findings:
        """Which records the tools of now leave stale or broken."""
        snapshot = self._in_force.get(agent_id)
        return snapshot.findings if snapshot is not None else Findings()

    def broken(self) -> Mapping[AgentId, str]:
        """Agents whose set does not load, with the reason; shown in `/v1/status`."""
        return MappingProxyType(self._broken)

    async def start(self) -> None:
        """Builds every agent that is not deleted; one that fails denies its calls, no others'."""
        for agent in await self._db.all(agent_rows.all()):
            if agent.status is not AgentStatus.DELETED:
                await self.rebuild(agent.id)

    async def rebuild(self, agent_id: AgentId) -> None:
        """Puts what is stored in force; a set that fails leaves none in force."""
        try:
            agent = await self._db.one(agent_rows.by_key_or_id(agent_id))
            if agent is None:
                raise NotFound(f"No agent {agent_id}.")
            services, compiled, findings = await self._load(agent)
        except WicketError as error:
            self._broken[agent_id] = error.message
            self._in_force.pop(agent_id, None)
            return
        self.swap(agent, services, compiled, findings)

    def swap(
        self,
        agent: Agent,
        services: Mapping[str, ServiceView],
        compiled: engine.Snapshot,
        findings: Findings | None = None,
    ) -> None:
        """Puts a compiled set in force: one reference assignment, running calls keep the old."""
        catalogue = self._catalogue()
        connectors = {key: catalogue.get(key) for key in services}
        shapes = compiled.schema.shapes.items()
        self._in_force[agent.id] = AgentSnapshot(
            agent=agent,
            services=MappingProxyType(dict(services)),
            connectors=MappingProxyType({key: one for key, one in connectors.items() if one}),
            tools=MappingProxyType(_tools(services)),
            targets=MappingProxyType(
                {at: CompiledRule.of(shape.target) for at, shape in shapes if shape.target}
            ),
            engine=compiled,
            findings=findings or Findings(),
        )
        self._broken.pop(agent.id, None)

    def drop(self, agent_id: AgentId) -> None:
        """The agent is deleted."""
        self._in_force.pop(agent_id, None)
        self._broken.pop(agent_id, None)

    def is_known(self, service: str) -> bool:
        """Whether a connector of that key exists, enabled or not."""
        return service == BUILT_IN_KEY or self._catalogue().get(service) is not None


def _tools(services: Mapping[str, ServiceView]) -> dict[tuple[str, str], Tool]:
    return {
        (view.key, tool.name): tool
        for view in services.values()
        if view.is_enabled
        for tool in view.tools
        if tool.status is ToolStatus.ACTIVE
    }

"""Takes a server's tool list into the stored catalogue: first discovery, and drift ever after.

Counterpart: `services.discovery` compares, `services.connectors` asks the servers. One list is one
transaction with its audit rows; the new schema is in force before `take` returns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Connector, Service, Tool
from wicketd.domain.errors import NotFound
from wicketd.domain.ids import Revision
from wicketd.domain.json import JsonObject
from wicketd.services import find
from wicketd.services.desk import Desk, Unit
from wicketd.services.discovery import Change, Plan, Reading, definition_hash, plan
from wicketd.services.events import Topic
from wicketd.services.policy_sets import PolicySets, Prepared, SetNow
from wicketd.storage import services
from wicketd.storage.services import ToolChange


@dataclass(frozen=True, slots=True)
class Taken:
    """What a list changed. `broken`: keys of live policies that no longer fit, with the reason."""

    plan: Plan
    broken: dict[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """A service as it is stored now, under the connector in force."""

    agent: Agent
    service: Service
    tools: tuple[Tool, ...]
    connector: Connector
    now: SetNow


class Drift:
    """Compares and stores tool lists."""

    def __init__(
        self, desk: Desk, sets: PolicySets, catalogue: Callable[[], Catalogue], name_max: int = 48
    ) -> None:
        self._desk = desk
        self._sets = sets
        self._catalogue = catalogue
        self._name_max = name_max

    async def stored(self, agent: str, key: str) -> Stored:
        """The service with everything a comparison needs.

        Raises:
            NotFound: there is no such agent, service or connector file.
            Unhealthy: the agent's set does not verify.
        """
        owner = await find.read_live_agent(self._desk.db, agent)
        service = await find.read_service(self._desk.db, owner, key)
        tools = tuple(await self._desk.db.all(services.tools(service.id)))
        now = await self._sets.read(owner)
        return Stored(owner, service, tools, self.connector(key), now)

    def connector(self, key: str) -> Connector:
        """The connector in force.

        Raises:
            NotFound: no file declares it.
        """
        connector = self._catalogue().get(key)
        if connector is None:
            message = (
                f"There is no connector {key[:80]!r}. List the catalogue to see which there are."
            )
            raise NotFound(message, hint="wicket catalogue list")
        return connector

    async def compare(self, stored: Stored, listed: Sequence[JsonObject]) -> Plan:
        """What a list would change; nothing is written."""
        open_changes = await self._desk.db.all(services.open_changes(stored.service.id))
        reported = frozenset(
            (change.tool, definition_hash(change.new_definition))
            for change in open_changes
            if change.new_definition is not None
        )
        reading = Reading(
            connector=stored.connector,
            name_max=self._name_max,
            at_ms=self._desk.clock.now_ms(),
            is_first=stored.service.catalogue == "declared",
            reported=reported,
        )
        return plan(stored.tools, listed, reading)

    async def take(
        self, actor: Actor, agent: str, key: str, listed: Sequence[JsonObject], *, asked: bool
    ) -> Taken:
        """Stores a list. `asked`: an admin wanted it, so it is recorded even if nothing changed.

        Raises:
            NotFound: there is no such agent, service or connector file.
            Unhealthy: the agent's set does not verify, or the new schema is refused.
        """
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            stored = await self.stored(agent_id, key)
            found = await self.compare(stored, listed)
            if not asked and not found.writes and stored.service.catalogue == "discovered":
                return Taken(found, {})
            after = self.views_with(stored, found.tools)
            broken = await self._broken(stored, found, after)
            prepared = await self._sets.prepare(
                stored.now, (), after.views, _replaced(stored.service.key, found)
            )
            await self._desk.change(
                actor, lambda unit: self.write(unit, stored, Taken(found, broken))
            )
            self._sets.put_in_force(prepared, stored.agent)
        self._tell(stored, found)
        return Taken(found, broken)

    def views_with(self, stored: Stored, tools: Sequence[Tool]) -> SetNow:
        """The set as it stands once the service has these tools."""
        view = self._sets.views_of([(stored.service, tools)], stored.now.records)
        return replace(stored.now, views={**stored.now.views, **view})

    async def rewrite(
        self, actor: Actor, stored: Stored, tool: Tool, write: Callable[[Unit], None]
    ) -> Prepared:
        """Changes one stored tool by `write` and puts the schema that follows in force.

        Held under the agent's lock by the caller.
        """
        tools = [tool if one.name == tool.name else one for one in stored.tools]
        prepared = await self._sets.prepare(stored.now, (), self.views_with(stored, tools).views)
        await self._desk.change(actor, write)
        self._sets.put_in_force(prepared, stored.agent)
        return prepared

    async def _broken(self, stored: Stored, found: Plan, after: SetNow) -> dict[str, str]:
        if not found.changes:
            return {}
        before = await self._sets.broken(stored.now)
        return {
            key: why for key, why in (await self._sets.broken(after)).items() if key not in before
        }

    def write(self, unit: Unit, stored: Stored, taken: Taken) -> None:
        """Writes what a list changed, with its audit rows, in the caller's transaction."""
        service, now = stored.service, unit.desk.clock.now_ms()
        for tool in taken.plan.writes:
            unit.tx.run(services.put_tool(service.id, tool))
        is_first = service.catalogue == "declared"
        after = replace(
            service,
            catalogue="discovered",
            tools_hash=taken.plan.tools_hash,
            discovered_at=now,
            drift="flagged" if taken.plan.changes else service.drift,
            last_error=None,
            rev=Revision(service.rev + 1),
        )
        unit.tx.run(services.update(after))
        summary: JsonObject = {
            "first": is_first,
            "tools": len(taken.plan.tools),
            "tools_hash": taken.plan.tools_hash,
            "excluded": len(taken.plan.excluded),
        }
        unit.audit(
            "service.discovered",
            service.key,
            after=summary,
            agent_id=stored.agent.id,
            service=service.key,
        )
        for change in taken.plan.changes:
            self._write_change(unit, stored, change, tuple(sorted(taken.broken)))

    def _write_change(
        self, unit: Unit, stored: Stored, change: Change, broken: tuple[str, ...]
    ) -> None:
        old = None if change.before is None else change.before.definition
        new = None if change.kind == "removed" else change.after.definition
        row = ToolChange(
            id=unit.desk.ids.uuid7(),
            service_id=stored.service.id,
            tool=change.after.name,
            kind=change.kind,
            old_definition=old,
            new_definition=new,
            broken_policies=broken,
            at=unit.desk.clock.now_ms(),
        )
        unit.tx.run(services.insert_change(row))
        unit.audit(
            f"tool.{change.kind}",
            change.after.name,
            before=None if change.before is None else _facts(change.before),
            after={**_facts(change.after), "broken_policies": list(broken)},
            agent_id=stored.agent.id,
            service=stored.service.key,
            tool=change.after.name,
        )

    def _tell(self, stored: Stored, found: Plan) -> None:
        data: JsonObject = {"service": stored.service.key, "changes": len(found.changes)}
        self._desk.events.publish(Topic.SERVICES, data, stored.agent.id)


def _replaced(service: str, found: Plan) -> dict[tuple[str, str], JsonObject]:
    """The definitions that a list replaces, by service and tool."""
    return {
        (service, change.after.name): change.before.definition
        for change in found.changes
        if change.kind != "removed" and change.before and change.before.definition
    }


def _facts(tool: Tool) -> JsonObject:
    """What a row says of a tool; its definition as canonical text, since bodies hold no floats."""
    definition = tool.definition
    text = None if definition is None else msgspec.json.encode(definition, order="deterministic")
    return {
        "hash": tool.hash,
        "tier": tool.tier.value,
        "status": tool.status.value,
        "definition": None if text is None else text.decode(),
    }

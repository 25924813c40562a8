"""Puts edited connector files in force: checks first, then everything that hangs on them follows.

Counterpart: `services.connector_files` holds the catalogue. Connections whose connector moved
break, stored tiers follow the new rules, sets that saw a changed connector are compiled anew.
"""

from collections.abc import Sequence

from wicketd.connectors.catalogue import CatalogueDiff
from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Connector, Service, Tool
from wicketd.domain.json import Json, JsonObject
from wicketd.services.connections import Connections
from wicketd.services.connector_files import ConnectorFiles, refuse_renaming
from wicketd.services.desk import Desk, Unit
from wicketd.services.discovery import first_discovered, retiered
from wicketd.services.events import Topic
from wicketd.services.policy_sets import PolicySets
from wicketd.storage import agents, policies, services


class CatalogueReload:
    """The one use case that changes the catalogue."""

    def __init__(
        self, desk: Desk, sets: PolicySets, files: ConnectorFiles, connected: Connections
    ) -> None:
        self._desk = desk
        self._sets = sets
        self._files = files
        self._connected = connected

    async def reload(self, actor: Actor) -> CatalogueDiff:
        """See `Services.reload`."""
        old, new = self._files(), self._files.read()
        everyone = await self._desk.db.all(agents.all())
        for agent in everyone:
            refuse_renaming(old, new, await self._desk.db.all(policies.current(agent.id)))
        found = self._files.put(new)
        summary = _diff_facts(found)
        await self._desk.change(
            actor, lambda unit: unit.audit("catalogue.reloaded", "catalogue", after=summary)
        )
        await self._connected.follow_destinations(actor)
        touched = {*found.added, *found.removed, *found.changed}
        for agent in everyone:
            await self._follow(actor, agent, touched)
        self._desk.events.publish(Topic.SERVICES, {"reloaded": list[Json](sorted(touched))})
        return found

    async def _follow(self, actor: Actor, agent: Agent, touched: set[str]) -> None:
        """Brings stored tiers and the set in force in line with changed connector files."""
        async with self._desk.locks.hold(agent.id):
            rows = [
                (service, tools)
                for service, tools in await self._sets.services(agent.id)
                if service.key in touched
            ]
            if not rows:
                return

            def work(unit: Unit) -> None:
                for service, tools in rows:
                    connector = self._files().get(service.key)
                    if connector is not None:
                        _retier(unit, service, tools, connector)

            await self._desk.change(actor, work)
            await self._desk.snapshots.rebuild(agent.id)


def _retier(unit: Unit, service: Service, tools: Sequence[Tool], connector: Connector) -> None:
    oldest = first_discovered(tools, connector)
    for tool in tools:
        after = retiered(tool, connector, first_discovery=tool.name in oldest)
        if after != tool:
            unit.tx.run(services.put_tool(service.id, after))
    unit.tx.run(services.set_connector(service.id, connector.sha256))


def _diff_facts(found: CatalogueDiff) -> JsonObject:
    return {
        "added": list[Json](found.added),
        "removed": list[Json](found.removed),
        "changed": list[Json](found.changed),
        "moved": list[Json](found.moved),
    }

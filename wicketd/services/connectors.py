"""Services of agents: enable with a report, discover, set tiers, acknowledge, switch off, remove.

Life cycle: `domain.catalogue.SERVICE_EDGES`. Counterparts: `services.drift` stores tool lists,
`services.connector_files` holds the catalogue. No verb takes a URL or command: files are the only
source of those.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from wicketd.connectors.catalogue import CatalogueDiff
from wicketd.domain.actor import SYSTEM, Actor
from wicketd.domain.catalogue import (
    SERVICE_EDGES,
    Connector,
    CredentialKind,
    Service,
    ServiceState,
    Tier,
    Tool,
)
from wicketd.domain.connections import Connection
from wicketd.domain.errors import NotFound, SignInRejected, Upstream
from wicketd.domain.ids import Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.services import find, rules
from wicketd.services.baselines import Allow
from wicketd.services.catalogue_reload import CatalogueReload
from wicketd.services.connections import Connections
from wicketd.services.connector_files import ConnectorFiles
from wicketd.services.desk import Desk, Unit
from wicketd.services.discovery import first_discovered, retiered
from wicketd.services.drift import Drift, Stored, Taken
from wicketd.services.enabling import (
    NO_CREDENTIAL,
    Enabler,
    EnableReport,
    Enabling,
    ServiceReport,
    ServiceSettings,
    Upstreams,
    sign_in_hint,
)
from wicketd.services.events import Topic
from wicketd.services.flow_tools import CALLBACK_PATH
from wicketd.services.impact import Impact
from wicketd.services.policy_sets import PolicySets
from wicketd.services.tokens import one_off
from wicketd.services.transitions import Held, revoke_all
from wicketd.storage import app_credentials, connections, services
from wicketd.storage.services import ToolChange


class Services:
    """The use cases of services."""

    def __init__(
        self,
        desk: Desk,
        sets: PolicySets,
        files: ConnectorFiles,
        upstreams: Upstreams,
        connected: Connections,
        settings: ServiceSettings | None = None,
    ) -> None:
        self._desk = desk
        self._settings = settings or ServiceSettings()
        self._sets = sets
        self._files = files
        self._upstreams = upstreams
        self._drift = Drift(desk, sets, files, self._settings.name_max)
        self._reloader = CatalogueReload(desk, sets, files, connected)
        self._enabler = Enabler(desk, sets, self._drift, upstreams)

    def catalogue(self) -> Sequence[Connector]:
        """The connectors in force, by key."""
        return self._files().all()

    async def reload(self, actor: Actor) -> CatalogueDiff:
        """Reads the connector files anew; after an error the old set stays in force.

        Raises:
            ConfigInvalid: a file is refused; the message names file and field.
            Conflict: live policies name what the new files no longer have.
        """
        return await self._reloader.reload(actor)

    async def list(self, agent: str) -> Sequence[ServiceReport]:
        """The agent's services with tools and connections, by key.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        held = await self._desk.db.all(connections.of_agent(owner.id))
        return [
            self._report(service, tools, held)
            for service, tools in await self._sets.services(owner.id)
        ]

    async def get(self, agent: str, key: str) -> ServiceReport:
        """One service.

        Raises:
            NotFound: there is no such agent or service.
        """
        owner = await find.read_agent(self._desk.db, agent)
        service = await find.read_service(self._desk.db, owner, key)
        tools = await self._desk.db.all(services.tools(service.id))
        held = await self._desk.db.all(connections.of_agent(owner.id))
        return self._report(service, tools, held)

    async def tools(self, agent: str, key: str) -> Sequence[Tool]:
        """Every stored tool of a service, excluded and gone ones too, by name.

        Raises:
            NotFound: there is no such agent or service.
        """
        return (await self.get(agent, key)).tools

    async def drift(self, agent: str, key: str) -> tuple[Service, Sequence[ToolChange]]:
        """The changes of a service's tools that wait for a review, oldest first.

        Raises:
            NotFound: there is no such agent or service.
        """
        owner = await find.read_agent(self._desk.db, agent)
        service = await find.read_service(self._desk.db, owner, key)
        return service, await self._desk.db.all(services.open_changes(service.id))

    async def impact(self, agent: str, key: str) -> Impact:
        """What these changes mean for policies and lists, since the last review.

        Raises:
            NotFound: there is no such agent, service or connector file.
            Unhealthy: the agent's set does not verify.
        """
        return await self._drift.impact(agent, key)

    async def discover(
        self, actor: Actor, agent: str, key: str, bearer: str | None = None
    ) -> Taken:
        """Lists the server's tools now. `bearer`: a one-off token, used once and never stored.

        Raises:
            NotFound: there is no such agent, service or connector file.
            Invalid: the token could not stand in a header.
            Upstream: the server cannot be reached, refuses, or answers wrongly.
        """
        owner = await find.read_live_agent(self._desk.db, agent)
        service = await find.read_service(self._desk.db, owner, key)
        connector = self._drift.connector(key)
        credential = NO_CREDENTIAL if bearer is None else one_off(connector, bearer)
        try:
            listed = await self._upstreams.list_tools(connector, owner.id, credential)
        except Upstream as error:
            said = services.set_error(service.id, error.message[:500])
            await self._desk.db.write(lambda tx: tx.run(said))
            if isinstance(error, SignInRejected):
                error.hint = sign_in_hint(owner, connector)
            raise
        return await self._drift.take(actor, owner.id, key, listed, asked=True)

    async def observe(self, agent_id: str, key: str, listed: Sequence[JsonObject]) -> None:
        """Compares a list that a member's request brought with the stored catalogue.

        Raises:
            NotFound: the service is gone.
            Unhealthy: the agent's set does not verify, or the new schema is refused.
        """
        await self._drift.take(SYSTEM, agent_id, key, listed, asked=False)

    async def enable(
        self,
        actor: Actor,
        agent: str,
        key: str,
        *,
        dry_run: bool = False,
        strict_names: bool = False,
        allow: Allow | None = None,
    ) -> EnableReport:
        """Enables a connector on an agent, or a disabled service again, and reports.

        Raises:
            NotFound: there is no such agent or connector.
            Conflict: the service is enabled, or the agent is deleted.
            Invalid: `strict_names`, and the server has tools that clients could not name.
            Unhealthy: the agent's set does not verify, or the schema is refused.
        """
        how = Enabling(dry_run, strict_names, allow)
        report = await self._enabler.enable(actor, agent, key, how)
        shown = replace(report.service, callback_url=self._callback_url(key))
        return replace(report, service=shown)

    async def disable(self, actor: Actor, agent: str, key: str) -> Service:
        """Switches a service off: its tools vanish, calls are refused, connections are kept.

        Raises:
            NotFound: there is no such agent or service.
            Conflict: it is not enabled.
        """

        def work(unit: Unit) -> Service:
            owner = find.agent(unit.tx, agent)
            return _move(unit, find.service(unit.tx, owner, key), "disable")

        return await self._switch(actor, agent, work)

    async def remove(self, actor: Actor, agent: str, key: str, *, purge: bool = False) -> Service:
        """Switches a service off; with `purge` removes a disabled one with all its credentials.

        Raises:
            NotFound: there is no such agent or service.
            Conflict: it is not enabled, or with `purge` not disabled.
        """
        if not purge:
            return await self.disable(actor, agent, key)

        def work(unit: Unit) -> Service:
            owner = find.agent(unit.tx, agent)
            service = find.service(unit.tx, owner, key)
            rows = unit.tx.all(connections.of_agent_with_service(owner.id))
            held = [Held(row, name) for row, name in rows if row.service_id == service.id]
            revoke_all(unit, held)  # first: providers are told with the app's own credentials
            unit.tx.run(app_credentials.destroy(owner.id, service.id))
            return _move(unit, service, "remove")

        gone = await self._switch(actor, agent, work)
        self._desk.rows.forget()
        await self._desk.wal.truncate()
        return gone

    async def set_tier(
        self,
        actor: Actor,
        agent: str,
        key: str,
        tool: str,
        tier: Tier | None,
        *,
        expected: int | None,
    ) -> Tool:
        """Overrides a tool's tier, or takes the override back. `expected`: the service's revision.

        Raises:
            NotFound: there is no such agent, service or tool.
            RevisionRequired: `expected` is None.
            RevisionMoved: somebody changed the service in the meantime.
        """
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            stored = await self._drift.stored(agent_id, key)
            rules.revision(stored.service.rev, expected)
            before = _tool(stored, tool)
            oldest = first_discovered(stored.tools, stored.connector)
            after = retiered(
                replace(before, override_tier=tier),
                stored.connector,
                first_discovery=before.name in oldest,
            )

            def work(unit: Unit) -> None:
                unit.tx.run(services.put_tool(stored.service.id, after))
                unit.tx.run(services.update(_next(stored.service)))
                unit.audit(
                    "tool.tier_set",
                    before.name,
                    before=_tier_facts(before),
                    after=_tier_facts(after),
                    agent_id=agent_id,
                    service=key,
                    tool=before.name,
                )

            await self._drift.rewrite(actor, stored, after, work)
        self._tell(stored.service)
        return after

    async def ack(
        self, actor: Actor, agent: str, key: str, tool: str, definition_hash: str
    ) -> Tool:
        """Accepts a tool as it is now. `definition_hash`: of the definition that was reviewed, hex.

        Raises:
            NotFound: there is no such agent, service or tool.
            RevisionMoved: the tool changed since it was reviewed.
            Conflict: a live policy does not fit the tool any more.
        """
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            stored = await self._drift.stored(agent_id, key)
            before = _tool(stored, tool)
            if before.hash != definition_hash:
                raise rules.moved_hash(before.hash)
            after = replace(before, acked_hash=before.hash)

            def work(unit: Unit) -> None:
                _ack(unit, stored, after)

            await self._drift.accept(actor, stored, after, work)
        self._tell(stored.service)
        return after

    async def _switch(self, actor: Actor, agent: str, work: Callable[[Unit], Service]) -> Service:
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            after = await self._desk.change(actor, work)
            await self._desk.snapshots.rebuild(agent_id)
        self._tell(after)
        return after

    def _report(
        self, service: Service, tools: Sequence[Tool], held: Sequence[Connection]
    ) -> ServiceReport:
        own = tuple(row for row in held if row.service_id == service.id)
        connector = self._files().get(service.key)
        return ServiceReport(service, connector, tuple(tools), own, self._callback_url(service.key))

    def _callback_url(self, key: str) -> str | None:
        connector = self._files().get(key)
        if connector is None or connector.credential.kind is not CredentialKind.OAUTH:
            return None
        return f"{self._settings.public_url}{CALLBACK_PATH}/{key}"

    def _tell(self, service: Service) -> None:
        data: JsonObject = {"service": service.key, "state": service.state.value}
        self._desk.events.publish(Topic.SERVICES, data, service.agent_id)


def _tool(stored: Stored, name: str) -> Tool:
    for tool in stored.tools:
        if tool.name == name:
            return tool
    message = f"The service {stored.service.key} has no tool {name[:80]!r}. List its tools."
    raise NotFound(message, hint=f"wicket service tools {stored.agent.key} {stored.service.key}")


def _move(unit: Unit, before: Service, trigger: str) -> Service:
    edge = take(SERVICE_EDGES, before.state, trigger, "service")
    after = replace(_next(before), state=ServiceState(edge.target))
    unit.tx.run(services.update(after))
    unit.audit(
        edge.audit,
        after.key,
        before={"state": before.state.value},
        after={"state": after.state.value},
        agent_id=after.agent_id,
        service=after.key,
    )
    return after


def _next(service: Service) -> Service:
    return replace(service, rev=Revision(service.rev + 1))


def _ack(unit: Unit, stored: Stored, tool: Tool) -> None:
    service, now = stored.service, unit.desk.clock.now_ms()
    unit.tx.run(services.put_tool(service.id, tool))
    unit.tx.run(services.ack_changes(service.id, tool.name, now, unit.author.label()))
    is_clean = not unit.tx.all(services.open_changes(service.id))
    after = replace(_next(service), drift="clean" if is_clean else service.drift)
    unit.tx.run(services.update(after))
    unit.audit(
        "tool.acked",
        tool.name,
        after={"hash": tool.hash, "drift": after.drift},
        agent_id=service.agent_id,
        service=service.key,
        tool=tool.name,
    )


def _tier_facts(tool: Tool) -> JsonObject:
    return {"tier": tool.tier.value, "source": tool.tier_source.value}

"""Takes a server's tool list into the stored catalogue: first discovery, and drift ever after.

Counterpart: `services.discovery` compares, `services.connectors` asks the servers. One list is one
transaction with its audit rows; the new schema is in force before `take` returns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Connector, Service, Tool, ToolStatus
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ids import Revision
from wicketd.domain.json import Json, JsonObject
from wicketd.policy.schema import ToolShape
from wicketd.services import find
from wicketd.services.acceptance import accepted
from wicketd.services.desk import Desk, Unit
from wicketd.services.discovery import Change, Plan, Reading, definition_hash, plan
from wicketd.services.events import Topic
from wicketd.services.impact import Impact, Side
from wicketd.services.policy_sets import PolicySets, Prepared, SetNow
from wicketd.services.standing import Move
from wicketd.services.versions import Edit
from wicketd.storage import services
from wicketd.storage.services import ToolChange


@dataclass(frozen=True, slots=True)
class Taken:
    """What a list changed, and what the tools mean for the live policies then.

    `broken`: keys of policies that no longer fit and did before, with the reason.
    """

    plan: Plan
    broken: Mapping[str, str]
    impact: Impact = field(default_factory=Impact)


@dataclass(frozen=True, slots=True)
class Stored:
    """A service as it is stored now, under the connector in force."""

    agent: Agent
    service: Service
    tools: tuple[Tool, ...]
    connector: Connector
    now: SetNow


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """A stored tool as it is to be, with the versions that go with it."""

    tool: Tool
    edits: Sequence[Edit] = ()
    move: Move = field(default_factory=Move)


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
        reported = {
            (change.tool, definition_hash(change.new_definition)): change.new_definition
            for change in open_changes
            if change.new_definition is not None
        }
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
            move = Move(replaced(stored, found))
            prepared = await self._sets.prepare(stored.now, (), after.views, move)
            taken = await self.taken(stored, found, prepared)
            prepared = self._raised(prepared)

            def work(unit: Unit) -> Agent:
                self.write(unit, stored, taken)
                return self._sets.commit(unit, prepared)

            raised = await self._desk.change(actor, work)
            self._sets.put_in_force(prepared, raised)
        self._tell(stored, taken)
        return taken

    async def impact(self, agent: str, key: str) -> Impact:
        """What changed at a server means, against its tools as they were last reviewed.

        Raises:
            NotFound: there is no such agent, service or connector file.
            Unhealthy: the agent's set does not verify.
        """
        stored = await self.stored(agent, key)
        now = stored.now
        reviewed = await self._sets.standing.reviewed(stored.agent.id, now.views)
        opened = await self._desk.db.all(services.open_changes(stored.service.id))
        first = {change.tool: change for change in reversed(opened)}
        then = [
            _as_reviewed(tool, reviewed.get((key, tool.name)))
            for tool in stored.tools
            if tool.name not in first or first[tool.name].old_definition is not None
        ]
        prepared = await self._sets.prepare(now, ())
        earlier = await self._sets.prepare(now, (), self.views_with(stored, then).views)
        before = Side(earlier.views, earlier.engine.with_blocked({}))
        return await self._sets.impact(before, prepared)

    async def taken(self, stored: Stored, found: Plan, prepared: Prepared) -> Taken:
        """What a list means for the policies, against what is in force."""
        known = self._desk.snapshots.findings_of(stored.agent.id).broken
        broken = {key: why for key, why in prepared.findings.broken.items() if key not in known}
        in_force = self._desk.snapshots.engine_of(stored.agent.id)
        if in_force is None:
            return Taken(found, broken)
        before = Side(stored.now.views, in_force)
        return Taken(found, broken, await self._sets.impact(before, prepared))

    def _raised(self, prepared: Prepared) -> Prepared:
        """At the next revision, if calls are denied now that were not.

        Else a save that was begun before the list came would end what nobody has seen.
        """
        before = self._desk.snapshots.engine_of(prepared.now.agent.id)
        known = before.blocked if before is not None else {}
        is_new = any(known.get(uid) is not why for uid, why in prepared.engine.blocked.items())
        return self._sets.raised(prepared) if is_new else prepared

    def views_with(self, stored: Stored, tools: Sequence[Tool]) -> SetNow:
        """The set as it stands once the service has these tools."""
        view = self._sets.views_of([(stored.service, tools)], stored.now.records)
        return replace(stored.now, views={**stored.now.views, **view})

    async def rewrite(
        self, actor: Actor, stored: Stored, tool: Tool, write: Callable[[Unit], None]
    ) -> None:
        """Changes one stored tool by `write` and puts the schema that follows in force.

        Held under the agent's lock by the caller.
        """
        await self._write_tool(actor, stored, _Rewritten(tool), write)

    async def accept(
        self, actor: Actor, stored: Stored, tool: Tool, write: Callable[[Unit], None]
    ) -> None:
        """As `rewrite`, for an acknowledged tool: policies go on with it as it is now.

        Each gets a version that keeps the tool's shape of now.

        Raises:
            Conflict: a live policy does not fit the tool any more.
        """
        place = (stored.service.key, tool.name)
        ready = await self._sets.prepare(stored.now, (), None, Move(accepted=frozenset({place})))
        shape = ready.engine.schema.shapes.get(place)
        edits = [] if shape is None else self._edits(actor, ready, shape)
        await self._write_tool(
            actor, stored, _Rewritten(tool, edits, Move(accepted=frozenset({place}))), write
        )

    def _edits(self, actor: Actor, ready: Prepared, shape: ToolShape) -> list[Edit]:
        left = sorted(ready.findings.broken_at.get(shape.action, ()))
        if left:
            message = (
                f"The tool {shape.name} changed in a way that {', '.join(left)} does not fit any "
                "more. Correct the policy, then acknowledge the tool."
            )
            agent = ready.now.agent
            raise Conflict(message, hint=f"wicket policy save {agent.key} {left[0]} FILE")
        return accepted(self._desk, actor, ready, shape)

    async def _write_tool(
        self,
        actor: Actor,
        stored: Stored,
        rewritten: _Rewritten,
        write: Callable[[Unit], None],
    ) -> None:
        tool = rewritten.tool
        tools = [tool if one.name == tool.name else one for one in stored.tools]
        after = self.views_with(stored, tools).views
        prepared = await self._sets.prepare(stored.now, rewritten.edits, after, rewritten.move)

        def work(unit: Unit) -> Agent:
            raised = self._sets.commit(unit, prepared)
            write(unit)
            return raised

        raised = await self._desk.change(actor, work)
        self._sets.put_in_force(prepared, raised)

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
            self._write_change(unit, stored, change, taken.impact)

    def _write_change(self, unit: Unit, stored: Stored, change: Change, impact: Impact) -> None:
        said = impact.of_tool(f"{stored.service.key}__{change.after.name}")
        broken = said["broken_policies"]
        old = None if change.before is None else change.before.definition
        new = None if change.kind == "removed" else change.after.definition
        row = ToolChange(
            id=unit.desk.ids.uuid7(),
            service_id=stored.service.id,
            tool=change.after.name,
            kind=change.kind,
            old_definition=old,
            new_definition=new,
            broken_policies=tuple(map(str, broken)) if isinstance(broken, list) else (),
            at=unit.desk.clock.now_ms(),
        )
        unit.tx.run(services.insert_change(row))
        unit.audit(
            f"tool.{change.kind}",
            change.after.name,
            before=None if change.before is None else _facts(change.before),
            after={**_facts(change.after), **said},
            agent_id=stored.agent.id,
            service=stored.service.key,
            tool=change.after.name,
        )

    def _tell(self, stored: Stored, taken: Taken) -> None:
        data: JsonObject = {
            "service": stored.service.key,
            "changes": len(taken.plan.changes),
            "stale": list[Json](taken.impact.stale),
            "broken": list[Json](taken.impact.broken),
        }
        self._desk.events.publish(Topic.SERVICES, data, stored.agent.id)


def replaced(stored: Stored, found: Plan) -> dict[tuple[str, str], Tool]:
    """The tools that a list replaces, by service and name."""
    before = {tool.name: tool for tool in stored.tools if tool.definition is not None}
    written = (tool.name for tool in found.writes)
    return {(stored.service.key, name): before[name] for name in written if name in before}


def _as_reviewed(tool: Tool, before: Tool | None) -> Tool:
    return tool if before is None else replace(before, status=ToolStatus.ACTIVE)


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

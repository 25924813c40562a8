"""Agents: create, change, switch off and on, delete. Life cycle: `domain.agents.EDGES`.

The kill switch (`set_status`) takes no lock and no revision: it must always work.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NotRequired, TypedDict, Unpack

from wicketd.domain.actor import Actor
from wicketd.domain.agents import EDGES, Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.errors import Conflict, Invalid
from wicketd.domain.ids import AgentId, PolicyRevision, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.services import baselines, find, rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.policy_sets import PolicySets, SetNow
from wicketd.services.transitions import Held, end_key, revoke_all
from wicketd.services.versions import first
from wicketd.storage import agents, connections, keys


class AgentFields(TypedDict):
    """What an admin says about a new agent, not yet checked. `trust` is fixed with it.

    `session_scope` absent: `conversation` for trusted agents, `key` for untrusted ones (product
    spec, 7).
    """

    key: str
    name: str
    trust: NotRequired[Trust]
    tz: NotRequired[str]
    tags: NotRequired[Sequence[str]]
    session_scope: NotRequired[SessionScope | None]


class AgentChanges(TypedDict, total=False):
    """What may change later; what is absent or None stays."""

    name: str | None
    tz: str | None
    tags: Sequence[str] | None
    session_scope: SessionScope | None


class Agents:
    """The use cases of agents."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def list(self) -> Sequence[Agent]:
        """Every agent, deleted ones included, by key."""
        return await self._desk.db.all(agents.all())

    async def get(self, ref: str) -> Agent:
        """One agent by key or id.

        Raises:
            NotFound: there is none.
        """
        return await find.read_agent(self._desk.db, ref)

    async def create(self, actor: Actor, **fields: Unpack[AgentFields]) -> Agent:
        """Makes an active agent with the baseline of the status tool; everything else is denied.

        Raises:
            Invalid: a value breaks its rule.
            Conflict: the key is or was in use.
        """
        agent = self._new(actor, fields)
        now = SetNow(agent, (), self._sets.built_in())
        drafts = baselines.of_new_agent(agent, now.views)
        edits = [first(self._desk, actor, agent.id, draft) for draft in drafts]
        prepared = await self._sets.prepare(now, edits)

        def work(unit: Unit) -> Agent:
            if unit.tx.one(agents.by_key_or_id(agent.key)) is not None:
                message = (
                    f"The agent key {agent.key} is taken; keys are never reused. Choose another."
                )
                raise Conflict(message)
            edge = take(EDGES, None, "create", "agent")
            unit.tx.run(agents.insert(agent))
            unit.audit(edge.audit, agent.key, after=_facts(agent), agent_id=agent.id)
            return self._sets.commit(unit, prepared)

        created = await self._desk.change(actor, work)
        self._sets.put_in_force(prepared, created)
        self._tell(created)
        return created

    async def update(
        self, actor: Actor, ref: str, *, expected: int | None, **changes: Unpack[AgentChanges]
    ) -> Agent:
        """Changes name, zone, tags or session scope. `expected`: the revision this is based on.

        Raises:
            NotFound: there is no such agent.
            Invalid: a value breaks its rule.
            Conflict: the agent is deleted.
            RevisionRequired: `expected` is None.
            RevisionMoved: somebody changed it in the meantime.
        """

        def work(unit: Unit) -> Agent:
            before = find.live_agent(unit.tx, ref)
            rules.revision(before.rev, expected)
            after = _changed(before, changes)
            unit.tx.run(agents.update(after))
            unit.audit(
                "agent.updated",
                after.key,
                before=_facts(before),
                after=_facts(after),
                agent_id=after.id,
            )
            return after

        agent_id = (await find.read_agent(self._desk.db, ref)).id
        async with self._desk.locks.hold(agent_id):
            after = await self._desk.change(actor, work)
            self._desk.forget_agent(agent_id)
            await self._desk.snapshots.rebuild(agent_id)
        self._tell(after)
        return after

    async def set_status(
        self, actor: Actor, ref: str, status: AgentStatus, reason: str | None = None
    ) -> Agent:
        """The kill switch and its way back; it holds for the next request.

        Calls in flight are cancelled.

        Raises:
            NotFound: there is no such agent.
            Conflict: it is in that state already, or deleted.
        """
        trigger = "enable" if status is AgentStatus.ACTIVE else "disable"
        why = rules.note(reason)

        def work(unit: Unit) -> Agent:
            return _switch(unit, find.agent(unit.tx, ref), trigger, why)

        after = await self._desk.change(actor, work)
        if after.status is AgentStatus.DISABLED:
            self._stopped(after)
            return after
        self._desk.forget_agent(after.id)
        async with self._desk.locks.hold(after.id):
            await self._desk.snapshots.rebuild(after.id)
        self._tell(after)
        return after

    async def panic(
        self, actor: Actor, ref: str | None = None, reason: str | None = None
    ) -> Sequence[Agent]:
        """Switches off one agent, or every active one, in one transaction, and gives them.

        Calls in flight are cancelled. What is off already stays as it is.

        Raises:
            NotFound: there is no such agent.
        """
        why = rules.note(reason)

        def work(unit: Unit) -> Sequence[Agent]:
            known = unit.tx.all(agents.all()) if ref is None else [find.agent(unit.tx, ref)]
            active = [agent for agent in known if agent.status is AgentStatus.ACTIVE]
            return [_switch(unit, agent, "disable", why) for agent in active]

        ended = await self._desk.change(actor, work)
        for agent in ended:
            self._stopped(agent)
        return ended

    async def delete(
        self, actor: Actor, ref: str, confirm: str, expected: int | None = None
    ) -> Agent:
        """Deletes a disabled agent: keys end, credentials are destroyed, rows stay.

        `confirm`: the agent's key, typed by a person.

        Raises:
            NotFound: there is no such agent.
            Invalid: `confirm` is not its key.
            Conflict: it is not disabled.
            RevisionRequired: `expected` is None.
            RevisionMoved: somebody changed it in the meantime.
        """
        callbacks: list[Callable[[], None]] = []

        def work(unit: Unit) -> Agent:
            before = find.agent(unit.tx, ref)
            if confirm != before.key:
                message = f"Deleting needs the agent's key as confirmation. Type {before.key}."
                raise Invalid(message)
            edge = take(EDGES, before.status, "delete", "agent")
            rules.revision(before.rev, expected)
            after = replace(
                before,
                status=AgentStatus(edge.target),
                deleted_at=unit.desk.clock.now_ms(),
                rev=Revision(before.rev + 1),
            )
            unit.tx.run(agents.update(after))
            unit.audit(edge.audit, after.key, before=_facts(before), agent_id=after.id)
            callbacks.extend(_end_everything(unit, after.id))
            return after

        agent_id = (await find.read_agent(self._desk.db, ref)).id
        async with self._desk.locks.hold(agent_id):
            after = await self._desk.change(actor, work)
            self._desk.forget_agent(agent_id)
            self._desk.calls.end_agent(agent_id)
            self._desk.snapshots.drop(agent_id)
        for callback in callbacks:
            callback()
        await self._desk.wal.truncate()
        self._tell(after)
        return after

    def _new(self, actor: Actor, fields: AgentFields) -> Agent:
        trust = fields.get("trust", Trust.TRUSTED)
        scope = fields.get("session_scope") or (
            SessionScope.CONVERSATION if trust is Trust.TRUSTED else SessionScope.KEY
        )
        return Agent(
            id=AgentId(self._desk.ids.uuid7()),
            key=rules.agent_key(fields["key"]),
            name=rules.text(fields["name"], "name", rules.NAME_MAX),
            status=AgentStatus.ACTIVE,
            disabled_reason=None,
            trust=trust,
            tz=rules.zone(fields.get("tz", "UTC")),
            session_scope=scope,
            policy_revision=PolicyRevision(0),
            tags=rules.labels(fields.get("tags", ()), "tag"),
            created_by=actor.label(),
            created_at=self._desk.clock.now_ms(),
            deleted_at=None,
            rev=Revision(1),
        )

    def _stopped(self, agent: Agent) -> None:
        self._desk.forget_agent(agent.id)
        self._desk.calls.end_agent(agent.id)
        self._tell(agent)

    def _tell(self, agent: Agent) -> None:
        data: JsonObject = {"agent": agent.key, "status": agent.status.value, "rev": agent.rev}
        self._desk.events.publish(Topic.AGENTS, data, agent.id)


def _switch(unit: Unit, before: Agent, trigger: str, why: str | None) -> Agent:
    edge = take(EDGES, before.status, trigger, "agent")
    kept = why if edge.target is AgentStatus.DISABLED else None
    after = replace(
        before,
        status=AgentStatus(edge.target),
        disabled_reason=kept,
        rev=Revision(before.rev + 1),
    )
    unit.tx.run(agents.update(after))
    unit.audit(
        edge.audit,
        after.key,
        before={"status": before.status.value},
        after={"status": after.status.value, "reason": why},
        agent_id=after.id,
    )
    return after


def _changed(before: Agent, changes: AgentChanges) -> Agent:
    name, tz, tags = changes.get("name"), changes.get("tz"), changes.get("tags")
    return replace(
        before,
        name=before.name if name is None else rules.text(name, "name", rules.NAME_MAX),
        tz=before.tz if tz is None else rules.zone(tz),
        tags=before.tags if tags is None else rules.labels(tags, "tag"),
        session_scope=changes.get("session_scope") or before.session_scope,
        rev=Revision(before.rev + 1),
    )


def _end_everything(unit: Unit, agent_id: AgentId) -> Sequence[Callable[[], None]]:
    """Keys and credentials of a deleted agent end with it."""
    active = [key for key in unit.tx.all(keys.of_agent(agent_id)) if key.ended_at is None]
    callbacks = [end_key(unit, key, "revoke", "agent deleted") for key in active]
    held = unit.tx.all(connections.of_agent_with_service(agent_id))
    revoke_all(unit, [Held(connection, service) for connection, service in held])
    return callbacks


def _facts(agent: Agent) -> JsonObject:
    return {
        "name": agent.name,
        "status": agent.status.value,
        "trust": agent.trust.value,
        "tz": agent.tz,
        "tags": list(agent.tags),
        "session_scope": agent.session_scope.value,
    }

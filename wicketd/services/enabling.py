"""Enables a connector on an agent: ask the server, name and tier its tools, show, then write.

Counterpart: `services.connectors`, the face of all service use cases. A dry run walks the same way
and stops before the transaction, so its report cannot differ from what enabling does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import (
    SERVICE_EDGES,
    Connector,
    CredentialKind,
    Service,
    ServiceState,
    Tool,
)
from wicketd.domain.connections import Connection, Credential
from wicketd.domain.errors import Invalid, SignInRejected, Upstream
from wicketd.domain.ids import AgentId, Revision, ServiceId
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import MemberState
from wicketd.services import baselines, find
from wicketd.services.baselines import Allow
from wicketd.services.desk import Desk, Unit
from wicketd.services.discovery import Excluded, declared
from wicketd.services.drift import Drift, Stored, Taken, replaced
from wicketd.services.events import Topic
from wicketd.services.policy_sets import PolicySets, Prepared
from wicketd.services.standing import Move
from wicketd.services.versions import Edit
from wicketd.storage import members, services

NO_CREDENTIAL: Final = Credential(destination=None, header=None, value=None)


class Upstreams(Protocol):
    """The servers, as discovery asks them."""

    async def list_tools(
        self, connector: Connector, agent_id: AgentId, credential: Credential
    ) -> list[JsonObject]:
        """The definitions as sent, all pages.

        Raises:
            SignInRejected: the server wants a credential, or refuses this one.
            Unreachable: no connection, or its address is refused.
            TimedOut: not within the deadline.
            Malformed: the list breaks the protocol or a cap.
        """


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Values of the configuration.

    `name_max`: longest `service__tool`; `public_url`: where providers send members back.
    """

    name_max: int = 48
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """A service with its connector (None: the file is gone), tools and connections."""

    service: Service
    connector: Connector | None
    tools: tuple[Tool, ...]
    connections: tuple[Connection, ...]
    callback_url: str | None = None
    """Where its provider sends members back; what an admin registers there."""


@dataclass(frozen=True, slots=True)
class EnableReport:
    """What enabling did, or with a dry run would do.

    `broken`: reasons by policy key; `baselines`: keys of the records it makes, `baseline_text`
    theirs; `note`: why no tool list could be read.
    """

    service: ServiceReport
    applied: bool
    excluded: tuple[Excluded, ...]
    broken: Mapping[str, str]
    baselines: tuple[str, ...]
    baseline_text: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Enabling:
    """How a service is to be enabled. `strict_names`: refuse instead of leaving tools out."""

    dry_run: bool = False
    strict_names: bool = False
    allow: Allow | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the server said: its tools, or why there are none."""

    tools: list[JsonObject] | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything that enabling writes. `taken` None: the server was not heard."""

    stored: Stored
    is_new: bool
    tools: tuple[Tool, ...]
    taken: Taken | None
    prepared: Prepared


class Enabler:
    """Enables services."""

    def __init__(self, desk: Desk, sets: PolicySets, drift: Drift, upstreams: Upstreams) -> None:
        self._desk = desk
        self._sets = sets
        self._drift = drift
        self._upstreams = upstreams

    async def enable(self, actor: Actor, agent: str, key: str, how: Enabling) -> EnableReport:
        """Enables a connector, or a disabled service again; see `Services.enable`."""
        connector = self._drift.connector(key)
        owner = await find.read_live_agent(self._desk.db, agent)
        await self._stored(owner, connector)
        asked = await self._ask(owner, connector)
        async with self._desk.locks.hold(owner.id):
            owner = await find.read_live_agent(self._desk.db, agent)
            ready = await self._ready(actor, owner, connector, asked, how)
            report = await self._report(ready, asked)
            if how.strict_names and report.excluded:
                raise _unnameable(report.excluded)
            if how.dry_run:
                return report
            raised = await self._desk.change(actor, lambda unit: self._write(unit, ready))
            self._sets.put_in_force(ready.prepared, raised)
        data: JsonObject = {"service": key, "state": ServiceState.ENABLED.value}
        self._desk.events.publish(Topic.SERVICES, data, owner.id)
        return replace(report, applied=True)

    async def _ask(self, owner: Agent, connector: Connector) -> _Asked:
        """Asks without credential; a server that wants one leaves the catalogue declared."""
        try:
            found = await self._upstreams.list_tools(connector, owner.id, NO_CREDENTIAL)
        except SignInRejected as error:
            return _Asked(None, f"{error.message} {sign_in_hint(owner, connector)}")
        except Upstream as error:
            return _Asked(None, error.message)
        return _Asked(found)

    async def _stored(self, owner: Agent, connector: Connector) -> tuple[Service, bool]:
        """The service as enabling would leave it, and whether it is new.

        Raises:
            Conflict: it is enabled already.
        """
        row = await self._desk.db.one(services.by_key(owner.id, connector.key))
        take(SERVICE_EDGES, None if row is None else row.state, "enable", "service")
        if row is not None:
            changed = replace(
                row,
                state=ServiceState.ENABLED,
                connector_sha256=connector.sha256,
                rev=Revision(row.rev + 1),
            )
            return changed, False
        return self._new(owner, connector), True

    async def _ready(
        self, actor: Actor, owner: Agent, connector: Connector, asked: _Asked, how: Enabling
    ) -> _Ready:
        service, is_new = await self._stored(owner, connector)
        now = await self._sets.read(owner)
        tools = tuple(await self._desk.db.all(services.tools(service.id)))
        if is_new:
            tools = declared(connector, self._desk.clock.now_ms())
        stored = Stored(owner, service, tools, connector, now)
        found, move = None, Move()
        if asked.tools is not None:
            found = await self._drift.compare(stored, asked.tools)
            tools, move = found.tools, Move(replaced(stored, found))
        after = self._drift.views_with(stored, tools)
        edits = await self._baselines(actor, owner, connector.key, how.allow)
        prepared = await self._sets.prepare(now, edits, after.views, move)
        taken = None if found is None else await self._drift.taken(stored, found, prepared)
        return _Ready(stored, is_new, tools, taken, prepared)

    async def _baselines(
        self, actor: Actor, owner: Agent, key: str, allow: Allow | None
    ) -> Sequence[Edit]:
        approved = await self._desk.db.all(members.of_agent(owner.id, MemberState.APPROVED))
        drafts = baselines.of_service(owner, key, approved, allow)
        return await self._sets.firsts(actor, owner.id, drafts)

    async def _report(self, ready: _Ready, asked: _Asked) -> EnableReport:
        made = [edit.after for edit in ready.prepared.edits if edit.after is not None]
        after = replace(ready.stored.now, views=ready.prepared.views)
        return EnableReport(
            service=ServiceReport(ready.stored.service, ready.stored.connector, ready.tools, ()),
            applied=False,
            excluded=() if ready.taken is None else ready.taken.plan.excluded,
            broken=await self._sets.broken(after),
            baselines=tuple(record.key for record in made),
            baseline_text=made[0].text if made else None,
            note=_note(ready.stored, asked),
        )

    def _write(self, unit: Unit, ready: _Ready) -> Agent:
        stored, service = ready.stored, ready.stored.service
        before = unit.tx.one(services.by_key(stored.agent.id, service.key))
        edge = take(SERVICE_EDGES, None if before is None else before.state, "enable", "service")
        unit.tx.run(services.insert(service) if ready.is_new else services.update(service))
        if ready.is_new:
            for tool in stored.tools:
                unit.tx.run(services.put_tool(service.id, tool))
        unit.audit(
            edge.audit,
            service.key,
            before=None if before is None else {"state": before.state.value},
            after={"state": service.state.value, "connector_sha256": service.connector_sha256},
            agent_id=stored.agent.id,
            service=service.key,
        )
        if ready.taken is not None:
            self._drift.write(unit, stored, ready.taken)
        return self._sets.commit(unit, ready.prepared)

    def _new(self, owner: Agent, connector: Connector) -> Service:
        return Service(
            id=ServiceId(self._desk.ids.uuid7()),
            agent_id=owner.id,
            key=connector.key,
            connector_sha256=connector.sha256,
            state=ServiceState.ENABLED,
            catalogue="declared",
            era=None,
            era_at=None,
            tools_hash=None,
            discovered_at=None,
            drift="clean",
            last_error=None,
            created_at=self._desk.clock.now_ms(),
            rev=Revision(1),
        )


def _note(stored: Stored, asked: _Asked) -> str | None:
    """What an admin has to do next, if anything."""
    connector, service = stored.connector, stored.service
    if connector.oauth.get("registration") != "pre" or service.has_app:
        return asked.note
    command = f"wicket service credentials {stored.agent.key} {service.key} --client-id ID"
    missing = f'Members cannot connect yet: register an app at its provider, then run "{command}".'
    return missing if asked.note is None else f"{asked.note} {missing}"


def sign_in_hint(owner: Agent, connector: Connector) -> str:
    """What to do when a server wants a credential to list its tools."""
    if connector.credential.kind is CredentialKind.NONE:
        return f"Its connector {connector.key} sends no credential: give the file one."
    command = f"wicket service discover {owner.key} {connector.key} --token-stdin"
    return f'Show it a token once: run "{command}".'


def _unnameable(excluded: Sequence[Excluded]) -> Invalid:
    names = ", ".join(one.tool[:64] for one in excluded[:10])
    details: list[dict[str, object]] = [
        {"tool": one.tool, "reason": one.reason} for one in excluded
    ]
    message = (
        f"{len(excluded)} tools cannot be named for clients: {names}. "
        "Enable without strict names to leave them out."
    )
    return Invalid(message, details=details)

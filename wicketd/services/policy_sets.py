"""One agent's policy set: read and verified, compiled with its changes, written, put in force.

Every use case that changes a set goes through here, in this order, so that what compiled is exactly
what is written and what is in force (policy spec, 3.2). Invariant: a set whose revision does not
verify is never built upon (section 4), so an edited database is not blessed by the next save.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent, Trust
from wicketd.domain.catalogue import ServiceState, ServiceView
from wicketd.domain.errors import PolicyInvalid, Unhealthy
from wicketd.domain.ids import AgentId, MemberId, PolicyRevision
from wicketd.domain.json import JsonObject
from wicketd.domain.members import MemberState
from wicketd.domain.policies import Cause, PolicyVersion, Problem
from wicketd.policy import diagnose, engine
from wicketd.policy.checks import Scope
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.names import Names, tree
from wicketd.policy.projections import Projected
from wicketd.policy.schema import CedarSchema, render
from wicketd.policy.stack import BigStack
from wicketd.services import rules, views
from wicketd.services.builtin import BUILT_IN_KEY, status_view
from wicketd.services.checker import Checker
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.impact import Impact, Side, impact
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.staleness import Findings, undiscovered
from wicketd.services.standing import Compiled, Move, Standing
from wicketd.services.versions import Draft, Edit, first
from wicketd.services.views import ServiceTools
from wicketd.storage import agents, members, policies, services


@dataclass(frozen=True, slots=True)
class SetRules:
    """Settings of sets. `hold_changed`: tools that differ from what was acknowledged are denied."""

    status_tool: bool = True
    hold_changed: bool = False


@dataclass(frozen=True, slots=True)
class SetNow:
    """A set as stored: the agent at its revision, its current records, its services."""

    agent: Agent
    records: tuple[PolicyVersion, ...]
    views: Mapping[str, ServiceView]

    def record(self, key: str) -> PolicyVersion | None:
        """The live record with this key."""
        return next((one for one in self.records if one.key == key), None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set that compiled and waits for its transaction."""

    now: SetNow
    edits: tuple[Edit, ...]
    records: tuple[PolicyVersion, ...]
    views: Mapping[str, ServiceView]
    engine: Snapshot
    projected: Mapping[str, Projected] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    is_raised: bool = False
    """It is a revision of its own though no record changes."""


@dataclass(frozen=True, slots=True)
class PolicyTools:
    """What works on texts: the child that checks them, the thread and the seal for whole sets."""

    checker: Checker
    stack: BigStack
    seal: RevisionSeal


class PolicySets:
    """Reads, compiles, writes and swaps the sets of agents."""

    def __init__(
        self,
        desk: Desk,
        tools: PolicyTools,
        catalogue: Callable[[], Catalogue],
        settings: SetRules | None = None,
    ) -> None:
        self._desk = desk
        self._tools = tools
        self.checker = tools.checker
        self._catalogue = catalogue
        self._settings = settings or SetRules()
        hold = self._settings.hold_changed
        self._worded: tuple[dict[str, ServiceView], CedarSchema, Names] | None = None
        self.standing = Standing(desk.db, catalogue, hold_changed=hold)

    def built_in(self) -> dict[str, ServiceView]:
        """What every agent has before any service is enabled."""
        return {BUILT_IN_KEY: status_view()} if self._settings.status_tool else {}

    def views_of(
        self, rows: Iterable[ServiceTools], records: Iterable[PolicyVersion]
    ) -> dict[str, ServiceView]:
        """The views of stored services under the catalogue in force, the built-in one included."""
        return self.built_in() | views.views(rows, self._catalogue(), records)

    async def views_now(self, agent_id: AgentId) -> dict[str, ServiceView]:
        """The views of the agent's services, for reading only: the set is not verified."""
        records = await self._desk.db.all(policies.current(agent_id))
        return self.views_of(await self.services(agent_id), records)

    async def services(self, agent_id: AgentId) -> list[ServiceTools]:
        """The agent's services that are not removed, with all their tools."""
        rows = await self._desk.db.all(services.of_agent(agent_id))
        return [
            (row, await self._desk.db.all(services.tools(row.id)))
            for row in rows
            if row.state is not ServiceState.REMOVED
        ]

    async def read(self, agent: Agent) -> SetNow:
        """The stored set, verified against its revision.

        Raises:
            Unhealthy: the records are not those that the revision sealed.
        """
        records = tuple(await self._desk.db.all(policies.current(agent.id)))
        await self._verify(agent, records)
        seen = self.views_of(await self.services(agent.id), records)
        return SetNow(agent, records, seen)

    async def load(self, agent: Agent) -> tuple[Mapping[str, ServiceView], Snapshot, Findings]:
        """The stored set, verified and compiled: what a start or rebuild puts in force.

        Raises:
            Unhealthy: it does not verify, or the engine refuses the schema.
            PolicyInvalid: a stored text is refused.
        """
        prepared = await self.prepare(await self.read(agent), ())
        return prepared.views, prepared.engine, prepared.findings

    async def prepare(
        self,
        now: SetNow,
        edits: Sequence[Edit],
        new_views: Mapping[str, ServiceView] | None = None,
        move: Move | None = None,
    ) -> Prepared:
        """Compiles the set as `edits` leave it; `new_views`: where the services change too.

        `move`: what the change does to tools beside.

        Raises:
            PolicyInvalid: a text is refused, or the set is over its caps.
            Unhealthy: the engine refuses the schema.
        """
        records = _applied(now.records, edits)
        seen = now.views if new_views is None else new_views
        schema = render(list(seen.values()))
        revision = PolicyRevision(now.agent.policy_revision + (1 if edits else 0))
        previous = self._desk.snapshots.engine_of(now.agent.id)

        def work() -> Compiled:
            made = engine.compile_set(now.agent.key, records, schema, revision, previous=previous)
            return Compiled.of(made, records, seen)

        try:
            compiled = await self._tools.stack.run(work)
        except ValueError as error:
            message = (
                f"The tools of {now.agent.key} give a schema that the policy engine refuses. "
                "Disable the service that changed last."
            )
            raise Unhealthy(message) from error
        edits = _projected(edits, compiled, undiscovered(schema, seen.values()))
        records = _applied(now.records, edits)
        under = SetNow(now.agent, records, seen)

        def problems(record: PolicyVersion) -> Awaitable[Sequence[Problem]]:
            return self.problems(under, record.text, record.scope_member_id, is_tried=False)

        compiled = replace(compiled, records=records)
        findings, denied = await self.standing.of(now.agent.id, compiled, move or Move(), problems)
        snapshot = compiled.engine.with_blocked(denied)
        return Prepared(now, tuple(edits), records, seen, snapshot, compiled.projected, findings)

    async def impact(self, before: Side, prepared: Prepared) -> Impact:
        """What it means to go from one compiled set to another."""
        agent, after = prepared.now.agent, Side(prepared.views, prepared.engine)
        asked = await self._desk.db.all(members.of_agent(agent.id, MemberState.APPROVED))
        return await self._tools.stack.run(
            lambda: impact(before, after, prepared.findings, agent, asked)
        )

    def raised(self, prepared: Prepared) -> Prepared:
        """The same set as a revision of its own: what is based on the one before is refused."""
        if prepared.edits:
            return prepared
        stamp = prepared.engine.stamp
        next_one = replace(stamp, revision=PolicyRevision(stamp.revision + 1))
        snapshot = replace(prepared.engine, stamp=next_one)
        return replace(prepared, engine=snapshot, is_raised=True)

    def commit(self, unit: Unit, prepared: Prepared) -> Agent:
        """Writes versions, sealed revision and audit rows; gives the agent at its new revision.

        Raises:
            RevisionMoved: the agent's set changed since it was read.
        """
        agent = prepared.now.agent
        if not prepared.edits and not prepared.is_raised:
            return agent
        if unit.tx.run(agents.bump_revision(agent.id, agent.policy_revision)) == 0:
            raise rules.moved(agent.policy_revision + 1)
        for edit in prepared.edits:
            _write(unit, edit)
        stamp = prepared.engine.stamp
        cause = prepared.edits[0].cause if prepared.edits else Cause.CATALOGUE
        row = self._tools.seal.row(unit, agent.id, stamp, prepared.records, cause)
        unit.tx.run(policies.insert_revision(row))
        return replace(agent, policy_revision=stamp.revision)

    def put_in_force(self, prepared: Prepared, agent: Agent) -> None:
        """Swaps the compiled set in and tells listeners; nothing can fail here."""
        self._desk.snapshots.swap(agent, prepared.views, prepared.engine, prepared.findings)
        if prepared.edits or prepared.is_raised:
            data: JsonObject = {
                "agent": agent.key,
                "revision": agent.policy_revision,
                "policies": [edit.key for edit in prepared.edits],
            }
            self._desk.events.publish(Topic.POLICIES, data, agent.id)

    async def problems(
        self,
        now: SetNow,
        text: str,
        scope: MemberId | None,
        *,
        is_tried: bool = True,
        forbids: Sequence[str] = (),
    ) -> Sequence[Problem]:
        """What stands against a text, errors first; the guard comes before everything.

        `is_tried`: its statements meet the live actions too. `forbids`: in force beside it.
        """
        refused = diagnose.of_guard(text)
        if refused:
            return refused
        schema, names = self._words(now.views)
        may_permit = scope is not None or now.agent.trust is Trust.TRUSTED
        asked = Scope.of(now.agent.key, schema, may_permit=may_permit, names=names)
        everyone = await self._desk.db.all(members.of_agent(now.agent.id))
        live = views.live(schema, now.views.values()) if is_tried else ()
        asked = replace(asked.among(everyone), live=live, forbids=tuple(forbids))
        return await self._tools.checker.check(schema.text, text, asked)

    def _words(self, views: Mapping[str, ServiceView]) -> tuple[CedarSchema, Names]:
        """Schema and names of the views, kept for the next record of the same set.

        Each record of a set is checked against the same words, and there is one for each service.
        """
        if self._worded is None or self._worded[0] != views:
            listed = list(views.values())
            schema = render(listed)
            self._worded = dict(views), schema, tree(schema, listed)
        return self._worded[1:]

    async def require_valid(self, now: SetNow, text: str, scope: MemberId | None) -> None:
        """Lets a text pass that may be in force.

        Raises:
            PolicyInvalid: it has errors; `details` holds every problem.
        """
        problems = await self.problems(now, text, scope)
        if any(problem.severity == "error" for problem in problems):
            raise invalid(problems)

    async def broken(self, now: SetNow) -> dict[str, str]:
        """Enabled records that no longer fit the views of `now`, by key, with the first error."""
        found: dict[str, str] = {}
        for record in now.records:
            if not record.enabled:
                continue
            problems = await self.problems(now, record.text, record.scope_member_id, is_tried=False)
            errors = [problem for problem in problems if problem.severity == "error"]
            if errors:
                found[record.key] = errors[0].message
        return found

    async def format(self, text: str) -> str:
        """The text in the one layout.

        Raises:
            PolicyInvalid: guard or parser refuse it.
        """
        refused = diagnose.of_guard(text)
        if refused:
            raise invalid(refused)
        return await self._tools.checker.format(text)

    async def firsts(self, actor: Actor, agent_id: AgentId, drafts: Iterable[Draft]) -> list[Edit]:
        """First versions of the drafts whose key neither is nor was in use."""
        return [
            first(self._desk, actor, agent_id, draft)
            for draft in drafts
            if await self._desk.db.one(policies.key_in_use(agent_id, draft.key)) is None
        ]

    async def _verify(self, agent: Agent, records: Sequence[PolicyVersion]) -> None:
        if agent.policy_revision == 0 and not records:
            return
        stored = await self._desk.db.one(policies.revision(agent.id, agent.policy_revision))
        if stored is not None and self._tools.seal.holds(agent, records, stored):
            return
        data: JsonObject = {"alarm": "policy_set_altered", "agent": agent.key}
        self._desk.events.publish(Topic.STATUS, data, agent.id)
        message = (
            f"The stored policies of {agent.key} are not those that were saved, so nothing is "
            "built on them. Restore the database from a backup."
        )
        raise Unhealthy(message, hint="wicketd restore FILE")


def invalid(problems: Sequence[Problem]) -> PolicyInvalid:
    """The refusal of a text, with every finding."""
    count = sum(problem.severity == "error" for problem in problems)
    noun = "an error" if count == 1 else f"{count} errors"
    details = [asdict(problem) for problem in problems]
    return PolicyInvalid(f"The policy has {noun}. Correct it and save again.", details=details)


def _applied(records: Sequence[PolicyVersion], edits: Sequence[Edit]) -> tuple[PolicyVersion, ...]:
    by_key = {record.key: record for record in records}
    for edit in edits:
        if edit.after is None:
            by_key.pop(edit.key, None)
        else:
            by_key[edit.key] = edit.after
    return tuple(by_key[key] for key in sorted(by_key))


def _projected(
    edits: Sequence[Edit], compiled: Compiled, unknown: frozenset[Uid]
) -> Sequence[Edit]:
    """The edits with what their versions keep; a version that an acknowledgement wrote has its own.

    A record that is off keeps nothing: it is projected when it is turned on.
    """
    made: list[Edit] = []
    for edit in edits:
        found = None if edit.after is None else compiled.projected.get(edit.after.key)
        if edit.after is None or edit.cause is Cause.CATALOGUE:
            made.append(edit)
        else:
            projection = {} if found is None else found.stored(unknown)
            made.append(replace(edit, after=replace(edit.after, projection=projection)))
    return made


def _write(unit: Unit, edit: Edit) -> None:
    before, after = edit.before, edit.after
    if before is None and after is not None:
        unit.tx.run(policies.insert_policy(after))
    if after is not None:
        unit.tx.run(policies.insert_version(after))
        unit.tx.run(policies.set_current(after.policy_id, after.version))
    elif before is not None:
        unit.tx.run(policies.mark_deleted(before.policy_id, unit.desk.clock.now_ms()))
    record = after or before
    unit.audit(
        edit.kind,
        edit.key,
        before=None if before is None else _facts(before),
        after=None if after is None else _facts(after),
        agent_id=None if record is None else record.agent_id,
        member_id=None if record is None else record.scope_member_id,
    )


def _facts(record: PolicyVersion) -> JsonObject:
    """What a row says of a version; its text is found under policy and version."""
    return {
        "version": record.version,
        "name": record.name,
        "sha256": record.sha256.hex(),
        "enabled": record.enabled,
        "mode": record.mode.value,
        "note": record.note,
    }

"""Policy records: create, save, switch, roll back, delete, check.

Life cycle: product spec, section 3.

A save is one walk (house rules, section 5): guard and check in the policy child, compile of the
whole set, one transaction with version, revision and audit row, one swap. Counterpart:
`services.policy_sets`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, Unpack

from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ids import PolicyRevision, slug
from wicketd.domain.policies import Cause, Mode, PolicyVersion, Problem
from wicketd.policy import slices
from wicketd.services import find, rules, scopes
from wicketd.services.desk import Desk
from wicketd.services.policy_craft import PolicyCraft
from wicketd.services.policy_sets import PolicySets, SetNow
from wicketd.services.versions import Draft, Edit, deletion, first, next_of
from wicketd.storage import policies
from wicketd.storage.policies import RevisionRow


class PolicyFields(TypedDict):
    """What an admin says about a new policy.

    `scope_member`: a member of an untrusted agent, by any name.
    """

    name: str
    text: str
    key: NotRequired[str | None]
    enabled: NotRequired[bool]
    mode: NotRequired[Mode]
    scope_member: NotRequired[str | None]
    note: NotRequired[str | None]


class PolicyChanges(TypedDict, total=False):
    """What a save may change; what is absent or None stays, but for the note."""

    name: str | None
    text: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written, and the agent's revision from which on it holds."""

    version: PolicyVersion
    revision: PolicyRevision


class Policies:
    """The use cases of policies."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets
        self.craft = PolicyCraft(desk, sets)

    async def list(self, agent: str) -> Sequence[PolicyVersion]:
        """The current versions of the agent's live records, by key.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await self._desk.db.all(policies.current(owner.id))

    async def get(self, agent: str, key: str) -> Saved:
        """The current version of one live record, with the agent's revision.

        Raises:
            NotFound: there is no such agent or record.
        """
        owner = await find.read_agent(self._desk.db, agent)
        record = await self._desk.db.one(policies.current_of(owner.id, key))
        if record is None:
            raise _missing(owner, key)
        return Saved(record, owner.policy_revision)

    async def versions(self, agent: str, key: str) -> Sequence[PolicyVersion]:
        """Every version of a record, newest first; of a deleted one too.

        Raises:
            NotFound: there is no such agent or record.
        """
        owner = await find.read_agent(self._desk.db, agent)
        found = await self._desk.db.all(policies.versions(owner.id, key))
        if not found:
            raise _missing(owner, key)
        return found

    async def version(self, agent: str, key: str, number: int) -> PolicyVersion:
        """One version of a record; of a deleted one too.

        Raises:
            NotFound: there is no such agent, record or version.
        """
        owner = await find.read_agent(self._desk.db, agent)
        found = await self._desk.db.one(policies.version(owner.id, key, number))
        if found is None:
            raise _missing(owner, f"{key} version {number}")
        return found

    async def revisions(self, agent: str) -> Sequence[RevisionRow]:
        """The agent's newest revisions, newest first.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await self._desk.db.all(policies.revisions(owner.id))

    async def revision(self, agent: str, number: int) -> RevisionRow:
        """One revision: the set of versions that was in force then.

        Raises:
            NotFound: there is no such agent or revision.
        """
        owner = await find.read_agent(self._desk.db, agent)
        found = await self._desk.db.one(policies.revision(owner.id, number))
        if found is None:
            message = f"The agent {owner.key} has no policy revision {number}. List them."
            raise NotFound(message, hint=f"wicket policy revisions {owner.key}")
        return found

    async def check(
        self, agent: str, text: str, scope_member: str | None = None, policy: str | None = None
    ) -> Sequence[Problem]:
        """What a save of `text` would find, errors first; nothing is stored.

        `policy`: the key of the record that it would replace.

        Raises:
            NotFound: there is no such agent or member.
        """
        owner = await find.read_agent(self._desk.db, agent)
        scope = await scopes.member(self._desk.db, owner, scope_member)
        views = await self._sets.views_now(owner.id)
        in_force = self._desk.snapshots.engine_of(owner.id)
        beside = () if in_force is None else slices.sure_forbids(in_force.statements, scope, policy)
        return await self._sets.problems(SetNow(owner, (), views), text, scope, forbids=beside)

    async def format(self, text: str) -> str:
        """The text in the one layout; unchanged where only layout could not change.

        Raises:
            PolicyInvalid: guard or parser refuse the text.
        """
        return await self._sets.format(text)

    async def create(self, actor: Actor, agent: str, **fields: Unpack[PolicyFields]) -> Saved:
        """Makes a record at version 1; it is in force when this returns.

        Raises:
            NotFound: there is no such agent or member.
            Invalid: a value breaks its rule, or a trusted agent's record names a member.
            PolicyInvalid: the text has errors; `details` holds its problems.
            Conflict: the key is or was in use, or the agent is deleted.
        """
        name = rules.text(fields["name"], "name", rules.POLICY_NAME_MAX)
        key = rules.policy_key(fields.get("key") or slug(name))
        note = rules.note(fields.get("note"))

        async def edit(now: SetNow) -> Edit:
            scope = await scopes.member(self._desk.db, now.agent, fields.get("scope_member"))
            if await self._desk.db.one(policies.key_in_use(now.agent.id, key)) is not None:
                message = f"The policy key {key} is taken; keys are never reused. Choose another."
                raise Conflict(message)
            await self._sets.require_valid(now, fields["text"], scope)
            draft = Draft(
                key=key,
                name=name,
                text=fields["text"],
                scope=scope,
                enabled=fields.get("enabled", True),
                mode=fields.get("mode", Mode.ENFORCE),
                note=note,
            )
            return first(self._desk, actor, now.agent.id, draft)

        return await self._change(actor, agent, edit)

    async def save(
        self,
        actor: Actor,
        agent: str,
        key: str,
        *,
        expected: int | None,
        **changes: Unpack[PolicyChanges],
    ) -> Saved:
        """Writes a new version with another text or name. `expected`: the agent's policy revision.

        Raises:
            NotFound: there is no such agent or record.
            Invalid: a value breaks its rule.
            PolicyInvalid: the text has errors; `details` holds its problems.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """
        name, note = changes.get("name"), rules.note(changes.get("note"))
        checked = None if name is None else rules.text(name, "name", rules.POLICY_NAME_MAX)

        async def edit(now: SetNow) -> Edit:
            before = _live(now, key, expected)
            text = changes.get("text")
            text = before.text if text is None else text
            await self._sets.require_valid(now, text, before.scope_member_id)
            cause = Cause.SAVE if text != before.text or checked is None else Cause.RENAME
            return next_of(
                self._desk,
                actor,
                before,
                cause,
                name=checked or before.name,
                text=text,
                note=note,
            )

        return await self._change(actor, agent, edit)

    async def set_enabled(
        self, actor: Actor, agent: str, key: str, *, enabled: bool, expected: int | None
    ) -> Saved:
        """Turns a record on or off.

        Raises:
            NotFound: there is no such agent or record.
            Conflict: it is that already.
            PolicyInvalid: it is to be turned on and no longer fits the agent's tools.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """

        async def edit(now: SetNow) -> Edit:
            before = _live(now, key, expected)
            if before.enabled is enabled:
                state = "on" if enabled else "off"
                message = f"The policy {key} is {state} already. Nothing was changed."
                raise Conflict(message)
            if enabled:
                await self._sets.require_valid(now, before.text, before.scope_member_id)
            cause = Cause.ENABLE if enabled else Cause.DISABLE
            return next_of(self._desk, actor, before, cause, enabled=enabled)

        return await self._change(actor, agent, edit)

    async def set_mode(
        self, actor: Actor, agent: str, key: str, *, mode: Mode, expected: int | None
    ) -> Saved:
        """Enforces a record, or lets it only be watched.

        Raises:
            NotFound: there is no such agent or record.
            Conflict: it is in that mode already.
            PolicyInvalid: it no longer fits the agent's tools.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """

        async def edit(now: SetNow) -> Edit:
            before = _live(now, key, expected)
            if before.mode is mode:
                message = f"The policy {key} is in mode {mode.value} already. Nothing was changed."
                raise Conflict(message)
            if mode is Mode.ENFORCE:
                await self._sets.require_valid(now, before.text, before.scope_member_id)
            return next_of(self._desk, actor, before, Cause.MODE, mode=mode)

        return await self._change(actor, agent, edit)

    async def rollback(
        self,
        actor: Actor,
        agent: str,
        key: str,
        version: int,
        note: str | None = None,
        *,
        expected: int | None,
    ) -> Saved:
        """Writes a new version with the text of an old one, checked against today's schema.

        Raises:
            NotFound: there is no such agent, record or version.
            PolicyInvalid: the old text no longer fits the agent's tools.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """
        remark = rules.note(note)

        async def edit(now: SetNow) -> Edit:
            before = _live(now, key, expected)
            old = await self._desk.db.one(policies.version(now.agent.id, key, version))
            if old is None:
                raise _missing(now.agent, f"{key} version {version}")
            await self._sets.require_valid(now, old.text, before.scope_member_id)
            return next_of(
                self._desk,
                actor,
                before,
                Cause.ROLLBACK,
                text=old.text,
                note=remark,
                rolled_back_from=version,
            )

        return await self._change(actor, agent, edit)

    async def delete(
        self, actor: Actor, agent: str, key: str, *, expected: int | None
    ) -> PolicyRevision:
        """Takes a record out of the set for good and gives the agent's new revision.

        Raises:
            NotFound: there is no such agent or record.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """

        async def edit(now: SetNow) -> Edit:
            return deletion(_live(now, key, expected))

        return (await self._change(actor, agent, edit)).revision

    async def _change(
        self, actor: Actor, agent: str, edit: Callable[[SetNow], Awaitable[Edit]]
    ) -> Saved:
        """One record's change, from the stored set to the set in force."""
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            owner = await find.read_live_agent(self._desk.db, agent_id)
            change = await edit(now := await self._sets.read(owner))
            prepared = await self._sets.prepare(now, [change])
            change = prepared.edits[0]
            raised = await self._desk.change(actor, lambda unit: self._sets.commit(unit, prepared))
            self._sets.put_in_force(prepared, raised)
        version = change.after or change.before
        if version is None:
            message = "A change names no record."
            raise ValueError(message)
        return Saved(version, raised.policy_revision)


def _live(now: SetNow, key: str, expected: int | None) -> PolicyVersion:
    """The record that a write is about, once its revision holds."""
    record = now.record(key)
    if record is None:
        raise _missing(now.agent, key)
    rules.revision(now.agent.policy_revision, expected)
    return record


def _missing(owner: Agent, what: str) -> NotFound:
    return NotFound(
        f"The agent {owner.key} has no policy {what[:80]}. List its policies to see their keys.",
        hint=f"wicket policy list {owner.key}",
    )

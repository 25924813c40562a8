"""Whole sets out and in, so that policies can live in files: a plan first, then one transaction.

Counterpart of `services.policies`, which changes single records. Invariant: an import takes effect
as a whole at one revision, or changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from wicketd.domain.actor import Actor
from wicketd.domain.agents import Agent
from wicketd.domain.errors import Conflict, Invalid, PolicyInvalid
from wicketd.domain.ids import POLICY_KEY, RESERVED_POLICY_KEYS, MemberId, PolicyRevision
from wicketd.domain.policies import Cause, Mode, PolicyVersion
from wicketd.services import find, policy_diffs, rules, scopes
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets, SetNow
from wicketd.services.versions import Draft, Edit, first, next_of
from wicketd.storage import members, policies


@dataclass(frozen=True, slots=True)
class SetItem:
    """One policy of a set in files. `member`: whose record it is, as policies name the member."""

    key: str
    name: str
    text: str
    enabled: bool = True
    mode: Mode = Mode.ENFORCE
    member: str | None = None


class Change(StrEnum):
    """What an import does to a record."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One record's part of a plan. `fields`: what changes; `diff`: of the text, unified."""

    key: str
    change: Change
    fields: tuple[str, ...]
    diff: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A plan, and whether it was carried out. `revision`: the agent's now."""

    steps: tuple[Step, ...]
    unchanged: int
    applied: bool
    revision: PolicyRevision


class PolicyTransfers:
    """The use cases of whole sets."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def export(self, agent: str) -> tuple[Agent, Sequence[SetItem]]:
        """The agent's live policies, by key.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        people = await self._desk.db.all(members.of_agent(owner.id))
        names = {one.id: one.principal for one in people}
        records = await self._desk.db.all(policies.current(owner.id))
        return owner, [_item(one, names) for one in records]

    async def replace(
        self,
        actor: Actor,
        agent: str,
        items: Sequence[SetItem],
        note: str | None = None,
        *,
        dry_run: bool,
        expected: int | None,
    ) -> Transfer:
        """Makes the set what `items` say; with `dry_run` only the plan and every refusal.

        A policy that is not among them is deleted. `expected`: the agent's policy revision.

        Raises:
            NotFound: there is no such agent or member.
            Invalid: an item breaks a rule, or would move a policy to another member.
            PolicyInvalid: texts have errors; `details` holds all of them with their policy.
            Conflict: a key belonged to a deleted policy, or the agent is deleted.
            RevisionRequired: `expected` is None.
            RevisionMoved: the agent's set changed in the meantime.
        """
        wanted, remark = _checked(items), rules.note(note)
        agent_id = (await find.read_agent(self._desk.db, agent)).id
        async with self._desk.locks.hold(agent_id):
            owner = await find.read_live_agent(self._desk.db, agent_id)
            now = await self._sets.read(owner)
            rules.revision(owner.policy_revision, expected)
            edits = [
                edit for item in wanted for edit in await self._edits(actor, now, item, remark)
            ]
            kept = {item.key for item in wanted}
            gone = [one for one in now.records if one.key not in kept]
            edits += [Edit(Cause.IMPORT, one, None) for one in gone]
            await self._require_valid(now, edits)
            prepared = await self._sets.prepare(now, edits)
            steps = tuple(sorted(map(_step, edits), key=lambda one: one.key))
            unchanged = len(now.records) - sum(edit.before is not None for edit in edits)
            if dry_run or not edits:
                return Transfer(steps, unchanged, not dry_run, owner.policy_revision)
            raised = await self._desk.change(actor, lambda unit: self._sets.commit(unit, prepared))
            self._sets.put_in_force(prepared, raised)
        return Transfer(steps, unchanged, applied=True, revision=raised.policy_revision)

    async def _edits(
        self, actor: Actor, now: SetNow, item: SetItem, note: str | None
    ) -> Sequence[Edit]:
        """The one change that an item asks for, if any."""
        before = now.record(item.key)
        scope = await scopes.member(self._desk.db, now.agent, item.member)
        if before is None:
            return [await self._new(actor, now.agent, item, scope, note)]
        if before.scope_member_id != scope:
            message = (
                f"The policy {item.key} cannot move to another member. Import it under a new key."
            )
            raise Invalid(message)
        said = (item.name, item.text, item.enabled, item.mode)
        if said == (before.name, before.text, before.enabled, before.mode):
            return []
        edit = next_of(
            self._desk,
            actor,
            before,
            Cause.IMPORT,
            name=item.name,
            text=item.text,
            enabled=item.enabled,
            mode=item.mode,
            note=note,
        )
        return [edit]

    async def _new(
        self, actor: Actor, owner: Agent, item: SetItem, scope: MemberId | None, note: str | None
    ) -> Edit:
        if await self._desk.db.one(policies.key_in_use(owner.id, item.key)) is not None:
            message = (
                f"The policy key {item.key} belonged to a deleted policy; keys are never reused. "
                "Rename the file and its entry."
            )
            raise Conflict(message)
        draft = Draft(
            item.key, item.name, item.text, scope, item.enabled, item.mode, note, Cause.IMPORT
        )
        return first(self._desk, actor, owner.id, draft)

    async def _require_valid(self, now: SetNow, edits: Sequence[Edit]) -> None:
        """Lets a set pass of which every changed text may be in force."""
        found: list[dict[str, object]] = []
        for edit in edits:
            if edit.after is None:
                continue
            problems = await self._sets.problems(now, edit.after.text, edit.after.scope_member_id)
            found += [
                {"policy": edit.key, **asdict(one)} for one in problems if one.severity == "error"
            ]
        if found:
            broken = sorted({str(one["policy"]) for one in found})
            message = (
                f"Of the set, {', '.join(broken[:5])}{' and others' if len(broken) > 5 else ''} "
                "cannot be saved, so nothing was changed. Correct what is listed."
            )
            raise PolicyInvalid(message, details=found)


def _item(record: PolicyVersion, names: dict[MemberId, str]) -> SetItem:
    scope = record.scope_member_id
    return SetItem(
        key=record.key,
        name=record.name,
        text=record.text,
        enabled=record.enabled,
        mode=record.mode,
        member=None if scope is None else names.get(scope, scope),
    )


def _checked(items: Sequence[SetItem]) -> list[SetItem]:
    """The items by key, each of them once and well-formed.

    Raises:
        Invalid: one is not.
    """
    for key, count in Counter(item.key for item in items).items():
        if count > 1:
            message = f"The policy {key[:80]} stands {count} times in the set. Keep one of them."
            raise Invalid(message)
    for item in items:
        if not POLICY_KEY.fullmatch(item.key) or item.key in RESERVED_POLICY_KEYS:
            message = f"{item.key[:80]!r} is no policy key. Use 1 to 63 of a-z, 0-9 and -."
            raise Invalid(message)
        if rules.text(item.name, "name", rules.POLICY_NAME_MAX) != item.name:
            message = f"The name of {item.key} begins or ends with a space. Trim it."
            raise Invalid(message)
    return sorted(items, key=lambda item: item.key)


def _step(edit: Edit) -> Step:
    before, after = edit.before, edit.after
    if before is None or after is None:
        record, change = (after, Change.CREATE) if before is None else (before, Change.DELETE)
        text = "" if record is None else record.text
        old, new = ("", text) if before is None else (text, "")
        return Step(edit.key, change, (), policy_diffs.unified(old, new, edit.key, edit.key))
    found = policy_diffs.between(before, after)
    fields = (*(["text"] if found.text else []), *found.fields)
    return Step(edit.key, Change.UPDATE, fields, found.text)

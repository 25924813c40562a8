"""Sets of policies that are not in force: the live one with a draft, or one that a caller brings.

Counterpart of `policy.setups`, whose wire form they take into the policy child. Invariant: a text
that nobody has checked is checked before anything compiles it, and nothing here is ever written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wicketd.domain.agents import Agent
from wicketd.domain.errors import NotFound, PolicyInvalid
from wicketd.domain.ids import MemberId
from wicketd.domain.policies import Mode, PolicyVersion
from wicketd.policy import setups
from wicketd.policy.setups import DRAFT_VERSION, RecordFacts, Setup
from wicketd.policy.simulate import Explained, HypotheticalCall
from wicketd.services import find
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets, SetNow
from wicketd.services.recorded import RecordedArguments
from wicketd.vault.sealing import Sealer

DRAFT = "draft"
"""Key and id of a draft that is no record's."""


class Simulator(Protocol):
    """The policy child, as far as it decides calls in thought."""

    async def simulate(self, setup: Setup, call: HypotheticalCall) -> list[Explained]:
        """The call as each set of the setup decides it, and why."""


@dataclass(frozen=True, slots=True)
class DraftText:
    """A text to be tried. `policy`: the record it would replace; `scope`: see a record's."""

    text: str
    policy: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class SetRecord:
    """One record of a set that a caller brings."""

    key: str
    text: str
    enabled: bool = True
    mode: Mode = Mode.ENFORCE
    scope: str | None = None


class Rehearsals:
    """Builds such sets.

    `sealer`: opens the arguments of real calls; `strict`: see `policy.setups.Setup`.
    """

    def __init__(
        self,
        desk: Desk,
        sets: PolicySets,
        simulator: Simulator,
        sealer: Sealer,
        *,
        strict: bool,
    ) -> None:
        self._desk = desk
        self._sets = sets
        self.is_strict = strict
        self.simulate = simulator.simulate
        self.recorded = RecordedArguments(desk.db, sealer)

    async def live(self, agent: str) -> SetNow:
        """The stored set of an agent, verified.

        Raises:
            NotFound: there is no such agent.
            Unhealthy: the stored set is not the one that was sealed.
        """
        return await self._sets.read(await find.read_agent(self._desk.db, agent))

    async def drafted(self, now: SetNow, draft: DraftText) -> PolicyVersion:
        """The record that a draft would be, enforced.

        Raises:
            NotFound: there is no such record or member.
            PolicyInvalid: the text has errors.
        """
        before = None if draft.policy is None else now.record(draft.policy)
        if before is None and draft.policy is not None:
            message = f"The agent {now.agent.key} has no policy {draft.policy[:80]}. List them."
            raise NotFound(message, hint=f"wicket policy list {now.agent.key}")
        scope = await self._scope(now.agent, draft.scope)
        if before is not None:
            scope = before.scope_member_id
        await self._sets.require_valid(now, draft.text, scope)
        if before is None:
            record = SetRecord(DRAFT, draft.text)
            return _version(now.agent, record, scope)
        return replace(
            before, text=draft.text, version=DRAFT_VERSION, enabled=True, mode=Mode.ENFORCE
        )

    async def enforced(self, now: SetNow, version: PolicyVersion) -> PolicyVersion:
        """A stored version as if it were in force, checked against today's tools.

        Raises:
            PolicyInvalid: its text no longer fits them.
        """
        await self._sets.require_valid(now, version.text, version.scope_member_id)
        return replace(version, enabled=True, mode=Mode.ENFORCE)

    async def brought(self, now: SetNow, records: Sequence[SetRecord]) -> list[PolicyVersion]:
        """A whole set in place of the stored one.

        Raises:
            NotFound: there is no such member.
            PolicyInvalid: a text has errors; the message names its record.
        """
        made = []
        for record in records:
            scope = await self._scope(now.agent, record.scope)
            try:
                await self._sets.require_valid(now, record.text, scope)
            except PolicyInvalid as error:
                message = f"{record.key[:80]}: {error.message}"
                raise PolicyInvalid(message, details=error.details) from error
            made.append(_version(now.agent, record, scope))
        return made

    def setup(self, now: SetNow, *sets: Iterable[PolicyVersion], is_blocked: bool = True) -> Setup:
        """These sets over the agent's tools.

        `is_blocked`: with the actions that are denied now whatever the policies say.
        """
        in_force = self._desk.snapshots.engine_of(now.agent.id) if is_blocked else None
        blocked = {} if in_force is None else in_force.blocked
        return setups.setup(now.agent, now.views.values(), sets, blocked, strict=self.is_strict)

    async def _scope(self, owner: Agent, member: str | None) -> MemberId | None:
        if member is None:
            return None
        return (await find.read_member(self._desk.db, owner, member)).id


def replaced(records: Iterable[PolicyVersion], by: PolicyVersion) -> list[PolicyVersion]:
    """The records with `by` in place of its record."""
    return [*(one for one in records if one.key != by.key), by]


def _version(agent: Agent, record: SetRecord, scope: MemberId | None) -> PolicyVersion:
    facts = RecordFacts(
        record.key, record.key, DRAFT_VERSION, record.text, record.enabled, record.mode, scope
    )
    return facts.version_of(agent)

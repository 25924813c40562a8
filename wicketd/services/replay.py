"""Replays: a window of the audit decided once more, in the background, at most two at a time.

Each runs in a policy child of its own and reads the audit through a reader, a little at a time, so
that the proxy does not feel it. Counterparts: `services.replay_rows` opens and counts rows,
`policy.replay` decides. Invariant: a replay that did not come to its end says so and has no
summary that looks like one. Source: policy spec, 7.3; product spec, section 9.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from wicketd.domain.actor import Actor
from wicketd.domain.catalogue import ServiceView
from wicketd.domain.errors import BadRequest, Conflict, Invalid, NotFound, WicketError
from wicketd.domain.ids import AgentId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import MemberState
from wicketd.domain.policies import Mode, PolicyVersion
from wicketd.domain.ports import Spawn, Task
from wicketd.policy.replay import ListChange
from wicketd.policy.setups import Setup
from wicketd.services.desk import Desk
from wicketd.services.events import Topic
from wicketd.services.policy_sets import SetNow
from wicketd.services.rehearsals import DraftText, Rehearsals, replaced
from wicketd.services.replay_pages import Pace, decided_ahead, opened, pages
from wicketd.services.replay_rows import (
    Opener,
    Page,
    ReplayChild,
    ReplayRow,
    Tally,
    listable,
    targets,
    with_gone,
)
from wicketd.services.verification import Verifier
from wicketd.storage import members, policies
from wicketd.storage.audit import AuditFilters, AuditTable

RUNNING: Final = 2
KEPT: Final = 16
"""Replays that are remembered, the newest."""
VERIFY_ROWS: Final = 16
"""Rows that are verified before the loop serves calls again."""


class ReplayState(StrEnum):
    """How far a replay is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReplayAsk:
    """What is replayed: which rows, and what takes the place of which record.

    `draft`: a text; or `policy` with its `version` (None: the current one), enforced; neither: the
    set in force as it is. Times of `filters` are [from, to).
    """

    filters: AuditFilters
    draft: DraftText | None = None
    policy: str | None = None
    version: int | None = None
    verify: bool = False
    """Each row under its own revision instead, where only faults are looked for."""


@dataclass(slots=True)
class Replay:
    """One replay, running or over."""

    id: str
    agent_id: AgentId
    agent: str
    ask: ReplayAsk
    key: str | None
    """The record that is replaced or added; None: none."""
    started_at: int
    state: ReplayState = ReplayState.RUNNING
    error: str | None = None
    ended_at: int | None = None
    tally: Tally = field(default_factory=Tally)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a replay works with."""

    now: SetNow
    setup: Setup
    opener: Opener
    tools: tuple[tuple[str, str], ...]
    up_to: int


class Replays:
    """The use case; one of them a daemon, since it counts what runs."""

    def __init__(
        self,
        desk: Desk,
        rehearsals: Rehearsals,
        spawn: Spawn,
        new_child: Callable[[], ReplayChild],
        new_pace: Callable[[], Pace],
    ) -> None:
        self._desk = desk
        self._rehearsals = rehearsals
        self._spawn = spawn
        self._new_child = new_child
        self._new_pace = new_pace
        self._replays: dict[str, Replay] = {}

    async def start(self, actor: Actor, agent: str, ask: ReplayAsk) -> Replay:
        """Starts one; that it was started is on record before the first row is read.

        Raises:
            NotFound: there is no such agent, policy or version.
            BadRequest: a draft and a version were given, or a version without its policy.
            Invalid: the window ends before it begins.
            PolicyInvalid: the text has errors.
            Conflict: as many as may are running.
        """
        _check(ask)
        now = await self._rehearsals.live(agent)
        record = await self._record(now, ask)
        plan = await self._plan(now, record)
        self._require_place()
        key = None if record is None else record.key
        made = Replay(
            self._desk.ids.uuid7(),
            now.agent.id,
            now.agent.key,
            ask,
            key,
            self._desk.clock.now_ms(),
        )
        self._replays[made.id] = made
        try:
            await self._desk.change(
                actor,
                lambda unit: unit.audit(
                    "policy.replayed", now.agent.key, after=_facts(made), agent_id=now.agent.id
                ),
            )
        except BaseException:
            del self._replays[made.id]
            raise
        made.task = self._spawn(self._run(made, plan), name="replay")
        self._forget_oldest()
        return made

    def get(self, replay_id: str) -> Replay:
        """One that is remembered.

        Raises:
            NotFound: there is none.
        """
        found = self._replays.get(replay_id)
        if found is None:
            message = "There is no such replay any more. Start it again."
            raise NotFound(message, hint="wicket policy replay A --since 7d")
        return found

    async def wait(self, replay_id: str, seconds: float) -> Replay:
        """The same, once it is over or the time is.

        Raises:
            NotFound: there is none.
        """
        found = self.get(replay_id)
        if seconds > 0 and not found.over.is_set():
            try:
                await asyncio.wait_for(found.over.wait(), seconds)
            except TimeoutError:
                return found
        return found

    def rows(self, replay_id: str, only: str | None) -> Sequence[ReplayRow]:
        """The rows worth reading, in their order. `only`: changed, differing or unmatched.

        Raises:
            NotFound: there is no such replay.
        """
        kept = self.get(replay_id).tally.kept
        if only == "changed":
            return [row for row in kept if row.flip is not None]
        if only == "unmatched":
            return [row for row in kept if row.unmatched is not None]
        if only == "differing":
            return [
                row for row in kept if row.baseline is not None and row.baseline.allow != row.before
            ]
        return kept

    def cancel(self, replay_id: str) -> None:
        """Ends and forgets one, running or over.

        Raises:
            NotFound: there is none.
        """
        found = self.get(replay_id)
        del self._replays[replay_id]
        if found.state is ReplayState.RUNNING:
            found.state = ReplayState.CANCELLED
        if found.task is not None:
            found.task.cancel()
        found.over.set()

    async def _run(self, made: Replay, plan: _Plan) -> None:
        child = self._new_child()
        try:
            if made.ask.verify:
                await self._verify(made, child, plan)
            else:
                await child.replay(plan.setup)
                await self._decide(made, child, plan)
                made.tally.lists = await self._lists(child, plan)
            made.state = ReplayState.DONE
        except WicketError as error:
            made.state, made.error = ReplayState.FAILED, error.message
        except Exception as error:  # noqa: BLE001  # a bug must end the job, or its waiters wait for ever
            made.state, made.error = ReplayState.FAILED, f"It broke off: {type(error).__name__}."
        finally:
            made.ended_at = self._desk.clock.now_ms()
            made.over.set()
            self._tell(made)
            await child.stop()

    async def _verify(self, made: Replay, child: ReplayChild, plan: _Plan) -> None:
        verifier = Verifier(self._desk.db, self._rehearsals, plan.now, plan.opener)
        pace = self._new_pace()
        async for page in self._pages(made, plan):
            for start in range(0, len(page), VERIFY_ROWS):
                await verifier.decide(child, page[start : start + VERIFY_ROWS], made.tally)
                await asyncio.sleep(0)
            self._tell(made)
            await pace.after_page()

    async def _decide(self, made: Replay, child: ReplayChild, plan: _Plan) -> None:
        pace = self._new_pace()
        read = opened(plan.opener, self._pages(made, plan))
        async for page, found in decided_ahead(child, read):
            await page.count(made.tally, found)
            self._tell(made)
            await pace.after_page()

    def _pages(self, made: Replay, plan: _Plan) -> AsyncIterator[Page]:
        window = replace(made.ask.filters, agent_id=made.agent_id)
        return pages(self._desk.db, window, plan.up_to)

    async def _lists(self, child: ReplayChild, plan: _Plan) -> tuple[ListChange, ...]:
        query = members.of_agent(plan.setup.agent.id, MemberState.APPROVED)
        changes: list[ListChange] = []
        for member in await self._desk.db.all(query):
            changes += await child.lists([member], plan.tools)
        return tuple(changes)

    async def _record(self, now: SetNow, ask: ReplayAsk) -> PolicyVersion | None:
        if ask.draft is not None:
            return await self._rehearsals.drafted(now, ask.draft)
        if ask.policy is None:
            return None
        current = now.record(ask.policy)
        number = ask.version if ask.version is not None or current is None else current.version
        found = None
        if number is not None:
            found = await self._desk.db.one(policies.version(now.agent.id, ask.policy, number))
        if found is None:
            message = f"The agent {now.agent.key} has no such policy or version. List them."
            raise NotFound(message, hint=f"wicket policy list {now.agent.key}")
        return await self._rehearsals.enforced(now, found)

    async def _plan(self, now: SetNow, record: PolicyVersion | None) -> _Plan:
        views = [with_gone(view) for view in now.views.values()]
        live = [one for one in now.records if one.enabled and one.mode is Mode.ENFORCE]
        sets = [live]
        if record is not None:
            baseline = [one for one in live if one.key != record.key]
            sets = [baseline, replaced(baseline, record)]
        setup = self._rehearsals.setup(_over(now, views), *sets)
        head = await self._desk.db.one(AuditTable().head())
        return _Plan(
            now=now,
            setup=setup,
            opener=Opener(self._rehearsals.recorded, targets(views)),
            tools=tuple(listable(now.views.values())),
            up_to=0 if head is None else head[0],
        )

    def _require_place(self) -> None:
        running = [one for one in self._replays.values() if one.state is ReplayState.RUNNING]
        if len(running) >= RUNNING:
            message = (
                f"{RUNNING} replays are running, which is as many as may. "
                "Wait until one is over, or cancel one."
            )
            raise Conflict(message)

    def _forget_oldest(self) -> None:
        over = [one for one in self._replays.values() if one.over.is_set()]
        for one in over[: max(0, len(self._replays) - KEPT)]:
            del self._replays[one.id]

    def _tell(self, made: Replay) -> None:
        data: JsonObject = {
            "replay": made.id,
            "state": made.state.value,
            "rows": made.tally.rows,
            "changed": made.tally.changed.total(),
        }
        self._desk.events.publish(Topic.REPLAYS, data, made.agent_id)


def _check(ask: ReplayAsk) -> None:
    if ask.draft is not None and (ask.policy is not None or ask.version is not None):
        message = "Give a draft, which may name its policy, or a policy and version, not both."
        raise BadRequest(message)
    if ask.verify and (ask.draft is not None or ask.policy is not None):
        message = "Rows are verified under their own policies. Give no draft and no policy."
        raise BadRequest(message)
    if ask.version is not None and ask.policy is None:
        message = "A version belongs to a policy. Name the policy too."
        raise BadRequest(message)
    start, end = ask.filters.from_ms, ask.filters.to_ms
    if start is not None and end is not None and end < start:
        message = "The window ends before it begins. Give a later end."
        raise Invalid(message)


def _facts(made: Replay) -> JsonObject:
    """What the row of a replay says: the window and what was tried, not its text."""
    ask = made.ask
    facts: JsonObject = {
        "replay": made.id,
        "from": ask.filters.from_ms,
        "to": ask.filters.to_ms,
        "policy": made.key,
        "version": ask.version,
        "draft": ask.draft is not None,
        "verify": ask.verify or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _over(now: SetNow, views: Iterable[ServiceView]) -> SetNow:
    """The set over other views."""
    return replace(now, views={view.key: view for view in views})

"""The audit for admins: pages, entries, facets, statistics, export, checkpoints.

Counterparts: `storage.audit` has the rows, `audit.checkpoint` and `audit.export` the forms. Readers
never block a call; what leaves the log is on record before its first byte.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from wicketd.audit.chain import Frontier
from wicketd.domain.actor import Actor
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.domain.errors import BadRequest, Conflict, NotFound
from wicketd.domain.ids import normalise_ref
from wicketd.domain.json import JsonObject
from wicketd.services.audit_pages import PageIndexes
from wicketd.services.desk import Desk
from wicketd.services.events import Topic
from wicketd.storage import agents, audit, audit_counts, checkpoints, policies
from wicketd.storage.audit import AuditFilters, AuditTable
from wicketd.storage.audit_counts import HourCount

EVERY_ROWS: Final = 1_000
EVERY_MS: Final = 60_000
"""A checkpoint is due after so many rows, or so long after the last one if there are new rows."""
EXPORT_PAGE: Final = 500
ERASED_AT_ONCE: Final = 500
"""Calls whose arguments are erased in one transaction."""
HASHES_AT_ONCE: Final = 1_000
"""Rows that a checkpoint takes in before it lets the loop serve calls again."""
OUTCOME: Final = "call.outcome"

Entry = tuple[AuditRow, AuditRow | None]
"""An intent, denial or other row, with the outcome that closed it."""


class ExportForm(Protocol):
    """How rows leave the log. `head` is the first line, if any; lines have their ends."""

    @property
    def head(self) -> str:
        """What stands before the first row."""

    def lines(self, row: AuditRow, outcome: AuditRow | None) -> str:
        """The lines of one entry."""


@dataclass(frozen=True, slots=True)
class Notary:
    """Signs the log. `sign`: (epoch, size, root) to a signed note; `publish`: off this table."""

    sign: Callable[[int, int, bytes], str]
    publish: Callable[[str], None]


class AuditLog:
    """The use cases of the audit."""

    def __init__(
        self,
        desk: Desk,
        notary: Notary,
        forms: Mapping[str, ExportForm],
        export_page: int = EXPORT_PAGE,
    ) -> None:
        self._desk = desk
        self._notary = notary
        self._forms = forms
        self._export_page = export_page
        self.pages = PageIndexes(desk.db)
        self._frontier = Frontier()
        self._announced = (0, 0)
        self._turn = asyncio.Lock()

    async def page(
        self,
        filters: AuditFilters,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> Sequence[Entry]:
        """Entries newest first below seq `before`; with `after`, oldest first above it."""
        query = audit.page(filters, before=before, after=after, limit=limit)
        return await self._with_outcomes(await self._desk.db.all(query))

    async def get(self, ref: str, agent_id: str | None = None) -> Sequence[AuditRow]:
        """The rows of one entry, by row id or call reference: intent or denial first.

        Raises:
            NotFound: there is none.
            Conflict: several agents have calls of this reference, and `agent_id` is None.
        """
        found = await self._desk.db.one(audit.by_id(ref))
        if found is None:
            rows = await self._desk.db.all(audit.by_ref(ref, agent_id))
            if len({row.agent_id for row in rows}) > 1:
                message = f"Several agents have a call {normalise_ref(ref)}. Name the agent too."
                raise Conflict(message)
            found = rows[0] if rows else None
        if found is None or (agent_id is not None and found.agent_id != agent_id):
            message = f"The audit has no entry {ref[:80]!r}. Check the reference, or list entries."
            raise NotFound(message, hint="wicket audit list")
        if found.call_id is None:
            return [found]
        return await self._desk.db.all(audit.by_call(found.call_id))

    async def erase_arguments(self) -> int:
        """Erases recorded arguments whose days are over, as the setting promises; gives how many.

        Transactions are short, so that a backlog of days keeps no call waiting.
        """
        erased = 0
        while True:
            due = audit.erase_arguments(self._desk.clock.now_ms(), ERASED_AT_ONCE)
            batch = await self._desk.db.write(lambda tx: tx.run(due))  # noqa: B023  # awaited here
            erased += batch
            if batch < ERASED_AT_ONCE:
                break
        if erased:
            await self._desk.wal.truncate()
        return erased

    async def facets(self, agent_id: str | None, kind: str, limit: int = 500) -> Sequence[str]:
        """Values of one kind seen in the log, the most recent first."""
        return await self._desk.db.all(audit_counts.facets(agent_id, kind, limit))

    async def hours(self, agent_id: str | None, from_ms: int, to_ms: int) -> Sequence[HourCount]:
        """Counts of the hours that begin in the range."""
        return await self._desk.db.all(audit_counts.stats(agent_id, from_ms, to_ms))

    async def denying(
        self, agent_id: str | None, from_ms: int, to_ms: int
    ) -> Sequence[tuple[str, int]]:
        """Denials in the range by policy key, the most first; a deleted policy shows its id."""
        hits = await self._desk.db.all(audit_counts.policy_stats(agent_id, from_ms, to_ms))
        names = await self._policy_keys()
        counts: Counter[str] = Counter()
        for hit in hits:
            if hit.decision == "DENY":
                counts[names.get(hit.policy_id, hit.policy_id)] += hit.n
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    async def export(self, actor: Actor, filters: AuditFilters, form: str) -> AsyncIterator[str]:
        """Entries oldest first as "jsonl" or "csv"; the export is on record before the first.

        Raises:
            BadRequest: there is no such form.
        """
        chosen = self._forms.get(form)
        if chosen is None:
            message = f"Entries are exported as {' or '.join(sorted(self._forms))}. Choose one."
            raise BadRequest(message)
        await self._desk.change(
            actor, lambda unit: unit.audit("audit.exported", form, after=_given(filters))
        )
        return self._lines(filters, chosen)

    async def checkpoint(self, actor: Actor | None = None) -> Checkpoint:
        """Signs the log as it stands now and gives the note off the table.

        `actor`: who asked, which is a row of the log and covered; None for the daemon itself, whose
        own checkpoints leave no row, else each would be the reason for the next.
        """
        if actor is not None:
            await self._desk.change(
                actor, lambda unit: unit.audit("audit.checkpointed", "audit", after={})
            )
        async with self._turn:
            return await self._sign()

    async def checkpoints(self) -> Sequence[Checkpoint]:
        """Every checkpoint, newest first."""
        return list(reversed(await self._desk.db.all(checkpoints.all())))

    async def sign_if_due(self) -> Checkpoint | None:
        """Makes a checkpoint after 1,000 rows, or after 60 s with new rows; called by the sweep."""
        head = await self._desk.db.one(AuditTable().head())
        last = await self._desk.db.one(checkpoints.newest())
        seq, (size, at_ms) = 0 if head is None else head[0], _extent(last)
        if seq == size:
            return None
        is_late = last is not None and self._desk.clock.now_ms() - at_ms >= EVERY_MS
        if seq - size < EVERY_ROWS and not is_late and last is not None:
            return None
        return await self.checkpoint()

    async def announce(self) -> None:
        """Tells the event stream that the log has grown; reads nothing while nobody listens.

        A new listener is told at once: rows may have come while it connected.
        """
        events = self._desk.events
        listener = events.youngest(Topic.AUDIT)
        if not listener:
            return
        head = await self._desk.db.one(AuditTable().head())
        if head is not None and (head[0], listener) != self._announced:
            self._announced = (head[0], listener)
            events.publish(Topic.AUDIT, {"seq": head[0]})

    async def _sign(self) -> Checkpoint:
        await self._grow()
        head = await self._desk.db.one(AuditTable().head())
        epoch = 1 if head is None else head[2]
        size, root = self._frontier.size, self._frontier.root
        note = self._notary.sign(epoch, size, root)
        signed = Checkpoint(epoch, size, root, note, self._desk.clock.now_ms())
        await self._desk.db.write(lambda tx: tx.run(checkpoints.insert(signed)))
        self._notary.publish(note)
        exported = checkpoints.mark_exported(epoch, size)
        await self._desk.db.write(lambda tx: tx.run(exported))
        return signed

    async def _grow(self) -> None:
        """Takes in the rows since the last checkpoint, after a restart all: a little at a time."""
        while True:
            query = audit.hashes_from(self._frontier.size + 1, HASHES_AT_ONCE)
            hashes = await self._desk.db.all(query)
            for one in hashes:
                self._frontier = self._frontier.append(one)
            if len(hashes) < HASHES_AT_ONCE:
                return

    async def _lines(self, filters: AuditFilters, form: ExportForm) -> AsyncIterator[str]:
        if form.head:
            yield form.head
        after = 0
        while True:
            entries = await self.page(filters, after=after, limit=self._export_page)
            for row, outcome in entries:
                yield form.lines(row, outcome)
            if len(entries) < self._export_page:
                return
            after = entries[-1][0].seq

    async def _with_outcomes(self, rows: Sequence[AuditRow]) -> Sequence[Entry]:
        calls = [
            row.call_id for row in rows if row.kind == "call.intent" and row.call_id is not None
        ]
        outcomes = await self._desk.db.all(audit.outcomes_of(calls)) if calls else []
        by_call = {row.call_id: row for row in outcomes}
        return [
            (row, by_call.get(row.call_id) if row.kind == "call.intent" else None) for row in rows
        ]

    async def _policy_keys(self) -> dict[str, str]:
        return {
            record.policy_id: record.key
            for agent in await self._desk.db.all(agents.all())
            for record in await self._desk.db.all(policies.current(agent.id))
        }


def _extent(last: Checkpoint | None) -> tuple[int, int]:
    return (0, 0) if last is None else (last.size, last.at)


def _given(filters: AuditFilters) -> JsonObject:
    """The filters of an export as its row keeps them: those that were given."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(filters).items()
        if value not in {None, ()}
    }

"""What every administrative use case works with, and what follows its commit.

The Protocols are the neighbours that this package needs and `app.py` hands in: cached callers,
calls in flight, snapshots, tool sessions. A use case is one transaction on `db` with its rows
through `journal`; before it returns, everything that still held the old state has let go of it
(promise P3).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from wicketd.domain.actor import Author
from wicketd.domain.agents import Agent
from wicketd.domain.audit import admin_entry
from wicketd.domain.catalogue import ServiceView
from wicketd.domain.connections import Connection
from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Clock, Database, Ids, Journal, Tx
from wicketd.policy.engine import Snapshot
from wicketd.services.clock_guard import ClockGuard
from wicketd.services.connection_locks import ConnectionLocks
from wicketd.services.connection_rows import ConnectionRows
from wicketd.services.events import Events
from wicketd.services.staleness import Findings

T = TypeVar("T")


class CallerCache(Protocol):
    """Verified keys that are remembered for at most a second."""

    def forget_agent(self, agent_id: AgentId) -> None:
        """Drops every caller of the agent."""

    def forget_member(self, member_id: MemberId) -> None:
        """Drops every caller of the member."""

    def forget_key(self, key_id: KeyId) -> None:
        """Drops the caller of the key."""


class LiveCalls(Protocol):
    """Calls in flight and open streams; ending them is not waited for."""

    def end_agent(self, agent_id: AgentId) -> None:
        """Cancels what runs for the agent."""

    def end_member(self, member_id: MemberId) -> None:
        """Cancels what runs for the member."""

    def end_key(self, key_id: KeyId) -> None:
        """Cancels what runs under the key."""


class SnapshotPort(Protocol):
    """The policy sets in force, one an agent."""

    async def rebuild(self, agent_id: AgentId) -> None:
        """Compiles the stored set and swaps it in; what fails to load denies and does not raise."""

    def swap(
        self,
        agent: Agent,
        services: Mapping[str, ServiceView],
        engine: Snapshot,
        findings: Findings | None = None,
    ) -> None:
        """Puts a set that is already compiled in force: one reference assignment."""

    def engine_of(self, agent_id: AgentId) -> Snapshot | None:
        """The compiled set in force, which lends its schema handle to the next one."""

    def findings_of(self, agent_id: AgentId) -> Findings:
        """Which records the tools of now leave stale or broken."""

    def drop(self, agent_id: AgentId) -> None:
        """Forgets a deleted agent's set."""


class SessionsPort(Protocol):
    """Tool sessions, ended with the key they were opened under."""

    def end_of_key(self, tx: Tx, key_row: str) -> Callable[[], None]:
        """Ends them in the caller's transaction; what it gives runs after the commit."""


class WalPort(Protocol):
    """The write-ahead log, where destroyed ciphertexts would live on."""

    async def truncate(self) -> None:
        """Empties it as soon as readers allow; does not raise."""


class RevocationPort(Protocol):
    """The providers, who are told of tokens that are given up."""

    def of_connection(self, tx: Tx, connection: Connection, service: str) -> Callable[[], None]:
        """Opens what can be opened in the caller's transaction; what it gives runs after it."""


class Bystander:
    """Stands for every neighbour where there is none: nothing is cached, nothing runs."""

    def forget_agent(self, agent_id: AgentId) -> None:
        """Nothing to drop."""

    def forget_member(self, member_id: MemberId) -> None:
        """Nothing to drop."""

    def forget_key(self, key_id: KeyId) -> None:
        """Nothing to drop."""

    def end_agent(self, agent_id: AgentId) -> None:
        """Nothing to cancel."""

    def end_member(self, member_id: MemberId) -> None:
        """Nothing to cancel."""

    def end_key(self, key_id: KeyId) -> None:
        """Nothing to cancel."""

    async def rebuild(self, agent_id: AgentId) -> None:
        """Nothing to compile."""

    def swap(
        self,
        agent: Agent,
        services: Mapping[str, ServiceView],
        engine: Snapshot,
        findings: Findings | None = None,
    ) -> None:
        """Nothing to replace."""

    def engine_of(self, agent_id: AgentId) -> Snapshot | None:
        """None is in force."""
        return None

    def findings_of(self, agent_id: AgentId) -> Findings:
        """Nothing was found."""
        return Findings()

    def drop(self, agent_id: AgentId) -> None:
        """Nothing to forget."""

    def end_of_key(self, tx: Tx, key_row: str) -> Callable[[], None]:
        """No session to end."""
        return lambda: None

    async def truncate(self) -> None:
        """Nothing to empty."""

    def of_connection(self, tx: Tx, connection: Connection, service: str) -> Callable[[], None]:
        """No provider to tell."""
        return lambda: None


class AgentLocks:
    """One lock an agent: changes of its set follow each other, none overtakes."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, agent_id: AgentId) -> AsyncIterator[None]:
        """Waits for its turn.

        Never held during upstream traffic; the kill switch does not take it.
        """
        lock = self._locks.get(agent_id)
        if lock is None:
            lock = self._locks[agent_id] = asyncio.Lock()
        async with lock:
            yield


@dataclass(frozen=True, slots=True)
class Desk:
    """The tools of a use case. The neighbours' fields are filled in by `app.py`."""

    db: Database
    journal: Journal
    clock: Clock
    ids: Ids
    events: Events
    rows: ConnectionRows
    guard: ClockGuard
    callers: CallerCache = field(default_factory=Bystander)
    calls: LiveCalls = field(default_factory=Bystander)
    snapshots: SnapshotPort = field(default_factory=Bystander)
    sessions: SessionsPort = field(default_factory=Bystander)
    wal: WalPort = field(default_factory=Bystander)
    revocation: RevocationPort = field(default_factory=Bystander)
    locks: AgentLocks = field(default_factory=AgentLocks)
    connection_locks: ConnectionLocks = field(default_factory=ConnectionLocks)

    @classmethod
    def alone(cls, db: Database, journal: Journal, clock: Clock, ids: Ids) -> "Desk":
        """A desk with what is its own, and no neighbours yet."""
        return cls(
            db=db,
            journal=journal,
            clock=clock,
            ids=ids,
            events=Events(clock),
            rows=ConnectionRows(db, clock),
            guard=ClockGuard(db, journal, clock),
        )

    def forget_agent(self, agent_id: AgentId) -> None:
        """Lets go of everything remembered of the agent."""
        self.callers.forget_agent(agent_id)
        self.rows.forget()

    def forget_member(self, member_id: MemberId) -> None:
        """Lets go of everything remembered of the member."""
        self.callers.forget_member(member_id)
        self.rows.forget(member_id)

    def forget_key(self, key_id: KeyId, member_id: MemberId) -> None:
        """Lets go of everything remembered of the key and its owner's connections."""
        self.callers.forget_key(key_id)
        self.rows.forget(member_id)

    async def change(self, author: Author, work: Callable[["Unit"], T]) -> T:
        """Runs `work` as one transaction of `author`: all its rows are durable, or none is.

        What the unit put aside with `then` runs once they are.
        """
        last: list[Callable[[], None]] = []

        def run(tx: Tx) -> T:
            unit = Unit(self, tx, author)
            try:
                return work(unit)
            finally:
                last[:] = unit.afterwards

        result = await self.db.write(run)
        for callback in last:
            callback()
        return result


@dataclass(frozen=True, slots=True)
class Unit:
    """One transaction of one author."""

    desk: Desk
    tx: Tx
    author: Author
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    def then(self, callback: Callable[[], None]) -> None:
        """Puts something aside that must not happen unless this unit is durable."""
        self.afterwards.append(callback)

    def audit(
        self,
        kind: str,
        target: str,
        *,
        before: JsonObject | None = None,
        after: JsonObject | None = None,
        **columns: str | None,
    ) -> None:
        """Appends the row of this change; `columns` are the projections of `domain.audit.Entry`."""
        entry = admin_entry(kind, self.author, target, before=before, after=after, **columns)
        self.desk.journal.append(self.tx, entry)

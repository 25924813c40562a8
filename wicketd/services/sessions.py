"""Tool sessions: the running counters behind `context.session`.

Memory is authoritative while the daemon runs, because a decision must not wait for a disk; the
counts reach the database in the same transaction as the call's audit row, so a restart keeps them.
Counterpart: `services.calls`, which resolves, counts and persists around one decision.
Source: product spec, section 7.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from wicketd.domain.actor import SYSTEM, Actor
from wicketd.domain.agents import Agent, SessionScope
from wicketd.domain.audit import Entry, admin_entry
from wicketd.domain.calls import Call
from wicketd.domain.errors import NotFound
from wicketd.domain.ids import AgentId, MemberId, ToolSessionId
from wicketd.domain.lifecycle import take
from wicketd.domain.policies import COUNTED_DENIALS, Decision
from wicketd.domain.ports import Clock, Database, Ids, Journal, Tx
from wicketd.domain.sessions import (
    EDGES,
    IDLE_MS,
    SessionCandidate,
    SessionEnd,
    SessionState,
    ToolSession,
)
from wicketd.storage import sessions as rows

_KEY_SOURCE: Final = "key"
_UNNAMED: Final = frozenset({_KEY_SOURCE, "fingerprint"})
"""Sources that are no id of the client's."""


class ToolSessions:
    """Resolves, counts, persists, resets and expires tool sessions.

    `macs`: keyed MACs under the `tool-session` label, one a server key, the active one's first; ids
    of members and keys never mix behind them.
    """

    def __init__(
        self,
        db: Database,
        journal: Journal,
        clock: Clock,
        ids: Ids,
        macs: Callable[[bytes], Iterable[bytes]],
    ) -> None:
        self._db = db
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._macs = macs
        self._by_mac: dict[bytes, ToolSession] = {}
        self._by_id: dict[ToolSessionId, ToolSession] = {}
        self._unsaved: set[ToolSessionId] = set()
        self._expired: dict[ToolSessionId, ToolSession] = {}
        """New session to the one it follows, which no sweep had ended yet."""
        self._moved: set[ToolSessionId] = set()
        """Found under an older server key's MAC, and not yet stored under the active one's."""

    async def load(self) -> None:
        """Takes over the sessions that were active when the daemon stopped, with their counts."""
        for session in await self._db.all(rows.active()):
            counts = await self._db.all(rows.counts(session.id))
            for kind, name, count in counts:
                _counts_of(session, kind)[name] = count
            self._keep(session)

    def resolve(self, call: Call) -> ToolSession:
        """The session this call belongs to; a new one starts with zero counters."""
        candidate = _candidate(call)
        mac, *older = self._macs(_identity(call, candidate))
        session = self._by_mac.get(mac) or self._of_older_key(mac, older)
        if session is not None and call.at_ms - session.last_activity_at <= IDLE_MS:
            return session
        started = self._start(call, candidate, mac)
        if session is not None:
            self._expired[started.id] = session
        return started

    def count(self, session: ToolSession, call: Call, decision: Decision) -> None:
        """Adds one decided call; synchronous, so that the next decision already sees it."""
        if not _continues(call, decision):
            self._add(session, call, decision, 1)
        session.last_activity_at = call.at_ms

    def uncount(self, session: ToolSession, call: Call, decision: Decision) -> None:
        """Takes a counted call back: its intent did not become durable, so it was refused."""
        if not _continues(call, decision):
            self._add(session, call, decision, -1)

    def persist(self, tx: Tx, session: ToolSession, call: Call, decision: Decision) -> None:
        """Writes what `count` added, inside the transaction of the call's audit row."""
        if session.id in self._unsaved:
            expired = self._expired.get(session.id)
            if expired is not None:
                self._write_end(tx, expired, SessionEnd.INACTIVITY, SYSTEM)
            if tx.run(rows.insert(session)) == 1:
                self._journal.append(tx, _started(session))
        if session.id in self._moved:
            tx.run(rows.set_mac(session.id, session.external_mac))
        if _continues(call, decision):
            return
        denied = int(decision.reason in COUNTED_DENIALS)
        tx.fold(("session", session.id), (1, denied), rows.fold_session(call.at_ms))
        for kind, name in _counted(call, decision):
            tx.fold(("session_count", session.id, kind, name), (1,), rows.fold_count)

    def saved(self, session: ToolSession) -> None:
        """The transaction that inserted the session is durable."""
        self._unsaved.discard(session.id)
        self._moved.discard(session.id)
        self._expired.pop(session.id, None)

    async def list(self, agent: Agent, *, active: bool | None = None) -> Sequence[ToolSession]:
        """Sessions of the agent, newest activity first; running ones with their live counts."""
        stored = await self._db.all(rows.of_agent(agent.id))
        merged = [self._by_id.get(session.id, session) for session in stored]
        if active is None:
            return merged
        return [session for session in merged if (session.terminated_at is None) == active]

    async def of_member(self, agent_id: AgentId, member_id: MemberId) -> Sequence[ToolSession]:
        """The member's newest 50 sessions with their counts; running ones as they stand."""
        stored = await self._db.all(rows.of_member(agent_id, member_id))
        return [self._by_id.get(one.id) or await self._counted(one) for one in stored]

    async def get(self, agent: Agent, session_id: str) -> ToolSession:
        """One session with its counts.

        Raises:
            NotFound: no session of this agent has the id.
        """
        live = self._by_id.get(ToolSessionId(session_id))
        if live is not None and live.agent_id == agent.id:
            return live
        stored = await self._db.one(rows.by_id(agent.id, session_id))
        if stored is None:
            raise NotFound(f"No tool session {session_id} on agent {agent.key}.")
        return await self._counted(stored)

    async def reset(self, actor: Actor, agent: Agent, session_id: str) -> ToolSession:
        """Ends a session at once; the client goes on from zero.

        Raises:
            NotFound: no such session.
            Conflict: it has already ended.
        """
        session = await self.get(agent, session_id)
        await self._end([session], SessionEnd.MANUAL_RESET, actor)
        return session

    async def sweep(self) -> int:
        """Ends every session that has been idle for 30 minutes; gives how many."""
        limit = self._clock.now_ms() - IDLE_MS
        idle = [session for session in self._by_mac.values() if session.last_activity_at < limit]
        if idle:
            await self._end(idle, SessionEnd.INACTIVITY, SYSTEM)
        return len(idle)

    def end_of_key(self, tx: Tx, key_row: str) -> Callable[[], None]:
        """Ends the key's sessions in the transaction that ends it.

        What it gives runs on the loop after the commit and lets them go.
        """
        ended = [one for one in list(self._by_id.values()) if one.member_key_row == key_row]
        for session in ended:
            self._write_end(tx, session, SessionEnd.KEY_ENDED, SYSTEM)

        def let_go() -> None:
            for session in ended:
                self._forget(session)

        return let_go

    def running(self, agent_id: AgentId) -> int:
        """How many sessions of the agent are active."""
        return sum(session.agent_id == agent_id for session in self._by_id.values())

    async def _counted(self, stored: ToolSession) -> ToolSession:
        for kind, name, count in await self._db.all(rows.counts(stored.id)):
            _counts_of(stored, kind)[name] = count
        return stored

    def _of_older_key(self, mac: bytes, older: Iterable[bytes]) -> ToolSession | None:
        """A rotation of the server key resets no counter: the session goes on under the new MAC."""
        for old in older:
            session = self._by_mac.pop(old, None)
            if session is not None:
                session.external_mac = mac
                self._by_mac[mac] = session
                self._moved.add(session.id)
                return session
        return None

    def _start(self, call: Call, candidate: SessionCandidate, mac: bytes) -> ToolSession:
        caller = call.caller
        session = ToolSession(
            id=ToolSessionId("ts_" + self._ids.uuid7().replace("-", "")),
            agent_id=caller.agent.id,
            member_id=caller.member.id,
            member_key_row=caller.key_row,
            external_mac=mac,
            external_id=None if candidate.source in _UNNAMED else candidate.value,
            id_source=candidate.source,
            client_name=call.client_name,
            client_version=call.client_version,
            created_at=call.at_ms,
            last_activity_at=call.at_ms,
        )
        self._keep(session)
        self._unsaved.add(session.id)
        return session

    def _keep(self, session: ToolSession) -> None:
        previous = self._by_mac.get(session.external_mac)
        if previous is not None:
            self._by_id.pop(previous.id, None)
        self._by_mac[session.external_mac] = session
        self._by_id[session.id] = session

    def _forget(self, session: ToolSession) -> None:
        self._by_id.pop(session.id, None)
        self._unsaved.discard(session.id)
        self._moved.discard(session.id)
        self._expired.pop(session.id, None)
        if self._by_mac.get(session.external_mac) is session:
            del self._by_mac[session.external_mac]

    def _add(self, session: ToolSession, call: Call, decision: Decision, step: int) -> None:
        session.calls += step
        session.denials += step * (decision.reason in COUNTED_DENIALS)
        for kind, name in _counted(call, decision):
            counts = _counts_of(session, kind)
            counts[name] = counts.get(name, 0) + step
            if counts[name] <= 0:
                del counts[name]

    async def _end(self, sessions: Sequence[ToolSession], why: SessionEnd, actor: Actor) -> None:
        for session in sessions:
            state = SessionState.ACTIVE if session.terminated_at is None else SessionState.ENDED
            take(EDGES, state, "end", "tool session")
        saved = [session for session in sessions if session.id not in self._unsaved]

        def work(tx: Tx) -> None:
            for session in saved:
                self._write_end(tx, session, why, actor)

        await self._db.write(work)
        for session in sessions:
            session.terminated_at = self._clock.now_ms()
            session.terminated_reason = why
            self._forget(session)

    def _write_end(self, tx: Tx, session: ToolSession, why: SessionEnd, actor: Actor) -> None:
        if tx.run(rows.end(session.id, self._clock.now_ms(), why)) == 0:
            return  # ended before, or never stored
        entry = admin_entry(
            "session.ended",
            actor,
            session.id,
            after={"reason": why.value, "calls": session.calls, "denials": session.denials},
            agent_id=session.agent_id,
            member_id=session.member_id,
            session_id=session.id,
        )
        self._journal.append(tx, entry)


def _candidate(call: Call) -> SessionCandidate:
    if call.caller.agent.session_scope is SessionScope.KEY or not call.sessions:
        return SessionCandidate(_KEY_SOURCE, "")
    return call.sessions[0]


def _identity(call: Call, candidate: SessionCandidate) -> bytes:
    caller = call.caller
    parts = (caller.member.id, caller.key_id, candidate.source, candidate.value)
    return "\0".join(parts).encode()


def _continues(call: Call, decision: Decision) -> bool:
    """Whether it is an allowed further round: the root call has been counted (protocol spec, 5)."""
    return call.parent_call_id is not None and decision.allow


def _counted(call: Call, decision: Decision) -> list[tuple[str, str]]:
    kind = "allow" if decision.allow else "deny"
    counted = [(kind, key) for key in sorted({d.key for d in decision.determining})]
    if decision.allow:
        counted.append(("tool", call.front_name))
    return counted


def _counts_of(session: ToolSession, kind: str) -> dict[str, int]:
    return {"tool": session.tools, "allow": session.allow_counts, "deny": session.deny_counts}[kind]


def _started(session: ToolSession) -> Entry:
    return replace(
        admin_entry("session.started", SYSTEM, session.id),
        agent_id=session.agent_id,
        member_id=session.member_id,
        session_id=session.id,
    )

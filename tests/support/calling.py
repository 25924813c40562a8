"""The use cases behind a call over a real state: sessions, recorder, calls, callers, gate.

The agent `demo` has the service `open` with the tools `look` and `wipe`; its baseline permits every
tier. Calls are made as the front makes them.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.state import ADMIN, CountedRandom, State, open_state, tool
from wicketd.domain.agents import Trust
from wicketd.domain.audit import AuditRow
from wicketd.domain.calls import Call, Caller, Era, Refusal
from wicketd.domain.errors import AuditNotDurable
from wicketd.domain.ids import CallId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Decision
from wicketd.domain.ports import Statement
from wicketd.domain.sessions import SessionCandidate
from wicketd.proxy.gate import Gate
from wicketd.services.baselines import Allow
from wicketd.services.callers import Callers, Limits
from wicketd.services.calls import Calls
from wicketd.services.entries import Recorder, Recording
from wicketd.services.sessions import ToolSessions
from wicketd.storage.db import Limits as WriteLimits
from wicketd.storage.db import SqliteDatabase

BREAKER = (
    '@deny_message("Stopped after three denials.") '
    "forbid (principal, action, resource) when { context.session.denials >= 3 };"
)
CAP = (
    'forbid (principal, action == OpenMCP::Action::"pay", resource) when '
    '{ context.input has amount && context.input.amount.greaterThan(decimal("100.0")) };'
)
NO_WIPING = 'forbid (principal, action == OpenMCP::Action::"wipe", resource);'


@dataclass
class Calling:
    """Everything a call goes through in the services."""

    state: State
    sessions: ToolSessions
    recorder: Recorder
    calls: Calls
    gate: Gate
    callers: Callers
    by_member: dict[str, Caller] = field(default_factory=dict)

    async def policy(self, name: str, text: str, agent: str = "demo") -> None:
        """One more record in force."""
        await self.state.policies.create(ADMIN, agent, name=name, text=text)

    async def caller(self, member: str = "bob", agent: str = "demo") -> Caller:
        """A member's caller; member and key are made at the first time."""
        if member not in self.by_member:
            await self.state.member(agent, member)
            self.by_member[member] = await self.state.caller(agent, member)
        return self.by_member[member]

    def call(
        self,
        caller: Caller,
        name: str = "look",
        service: str = "open",
        arguments: Mapping[str, Json] | None = None,
        session: str | None = None,
    ) -> Call:
        """One decoded call of now; `session`: the id that its client gave."""
        named = [SessionCandidate("x-mcp-session-id", session)] if session is not None else []
        return Call(
            id=CallId(self.state.desk.ids.uuid7()),
            caller=caller,
            method="tools/call",
            service=service,
            name=name,
            arguments=dict(arguments or {}),
            era=Era.MODERN,
            protocol_version="2026-07-28",
            front_id=1,
            at_ms=self.state.clock.now_ms(),
            sessions=(*named, SessionCandidate("fingerprint", "f" * 64)),
            client_name="client",
            client_version="2",
            bytes_in=7,
        )

    def decide(self, call: Call) -> Decision:
        """The decision of a call that reached a policy."""
        decision = self.calls.decide(call)
        assert isinstance(decision, Decision), decision
        return decision

    async def run(self, call: Call) -> Call | Refusal:
        """Decides and records."""
        return await self.calls.record(call, self.decide(call))

    async def is_let_through(self, call: Call) -> bool:
        """Whether a call may go upstream."""
        return isinstance(await self.run(call), Call)

    async def last(self) -> AuditRow:
        """The newest audit row."""
        return (await self.state.rows())[-1]


async def break_disk(db: SqliteDatabase) -> None:
    """No write becomes durable any more."""
    await db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1"))
    filler = Statement("INSERT INTO meta (key, value) VALUES ('filler', ?)", ("x" * 1_000_000,))
    with pytest.raises(AuditNotDurable):
        await db.write(lambda tx: tx.run(filler))
    assert db.health.degraded


async def mend_disk(db: SqliteDatabase) -> None:
    """Writes become durable again."""
    await db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1000000"))
    assert not (await db.probe()).degraded


def sessions_over(state: State) -> ToolSessions:
    """Tool sessions that know only what the database holds."""
    desk = state.desk
    return ToolSessions(
        state.db,
        desk.journal,
        state.clock,
        desk.ids,
        lambda data: state.sealer.digests("tool-session", data).values(),
    )


def calling_over(
    state: State, *, strict: bool = False, recording: Recording | None = None
) -> Calling:
    """The use cases over a state as it is."""
    sessions = sessions_over(state)
    recorder = Recorder(state.sealer, CountedRandom(), recording or Recording())
    calls = Calls(state.desk, state.snapshots, sessions, recorder, strict_arguments=strict)
    callers = Callers(state.db, state.desk.journal, state.keyring, state.clock, Limits())
    return Calling(state, sessions, recorder, calls, Gate(calls), callers)


def listed() -> list[JsonObject]:
    """The tools of `open`."""
    number: JsonObject = {"type": "object", "properties": {"amount": {"type": "number"}}}
    return [tool("look"), tool("wipe"), {"name": "pay", "inputSchema": number}]


@asynccontextmanager
async def open_calling(
    directory: Path,
    *,
    trust: Trust = Trust.TRUSTED,
    strict: bool = False,
    recording: Recording | None = None,
    limits: WriteLimits | None = None,
) -> AsyncIterator[Calling]:
    """A fresh state with the agent and its service. `limits`: of its database."""
    async with open_state(directory, limits=limits) as state:
        state.upstreams.lists["open"] = listed()
        await state.agent("demo", trust)
        await state.services.enable(ADMIN, "demo", "open", allow=Allow.ALL)
        yield calling_over(state, strict=strict, recording=recording)

"""Recorded calls decided once more, under today's set and under another (policy spec, 7.3).

Runs in a policy child of its own. Counterparts: `services.replay` reads the audit and opens the
arguments, `policy.simulate` explains single calls. Invariant: nothing is guessed: a row whose facts
are not all there is unmatched, with the reason, unless no decision can depend on what is missing.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Target
from wicketd.domain.ids import AgentId, MemberId, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.policies import Determining
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import encode, lexer, listing
from wicketd.policy.batches import Batches
from wicketd.policy.decisions import PolicyRequest, Verdict
from wicketd.policy.encode import Encoded, EncodeRefusal
from wicketd.policy.entities import Kind
from wicketd.policy.lru import Lru
from wicketd.policy.schema import ToolShape
from wicketd.policy.setups import Setup

ARGS_MISSING: Final = "args_missing"
TOOL_GONE: Final = "tool_gone"
NOT_REPRESENTABLE: Final = "not_representable"
NO_CONTEXT: Final = "no_context"
UNMATCHED: Final = (ARGS_MISSING, TOOL_GONE, NOT_REPRESENTABLE, NO_CONTEXT)
"""Why a row is not decided once more; closed."""

_FACETS: Final[dict[str, Any]] = {
    "time": {
        "now": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.000Z"}},
        "hour": 0,
        "minute": 0,
        "weekday": 4,
        "date": "1970-01-01",
    },
    "session": {"calls": 0, "denials": 0, "tools": [], "ageSeconds": 0},
    "network": {"ip": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}},
}
"""Stand in for a facet that was not recorded, where no policy reads it."""


class Principal(msgspec.Struct, frozen=True):
    """A member as the row says it was."""

    member_id: str
    name: str
    role: Role
    groups: tuple[str, ...]
    tags: tuple[str, ...]

    def member(self, agent_id: AgentId) -> Member:
        """The same as the engine's value; a name with `@` is an address."""
        is_address = "@" in self.name
        return Member(
            id=MemberId(self.member_id),
            agent_id=agent_id,
            account_id=None,
            email=self.name if is_address else None,
            local_name=None if is_address else self.name,
            role=self.role,
            state=MemberState.APPROVED,
            state_at=0,
            state_by="",
            groups=self.groups,
            tags=self.tags,
            created_at=0,
            rev=Revision(1),
        )


class RecordedCall(msgspec.Struct, frozen=True):
    """One row that reached evaluation, opened.

    `arguments` None: they are not there; `redacted`: only masked ones are, which are dropped.
    `context`: its facets as they were recorded. `is_unresolved`: they name no target by today's
    rule.
    """

    seq: int
    principal: Principal
    service: str
    name: str
    arguments: dict[str, Any] | None
    context: dict[str, Any]
    redacted: bool = False
    target: Target | None = None
    is_unresolved: bool = False
    kind: Kind = Kind.TOOL


class Redecided(msgspec.Struct, frozen=True):
    """What a set says to a recorded call."""

    allow: bool
    reason: str
    determining: tuple[Determining, ...]


class Replayed(msgspec.Struct, frozen=True):
    """One row under both sets, or why not. `uses_session`: deciding statements read counters."""

    seq: int
    unmatched: str | None = None
    baseline: Redecided | None = None
    after: Redecided | None = None
    uses_session: bool = False


class ListChange(msgspec.Struct, frozen=True):
    """What a member's tool list gains and loses, as `service__tool`."""

    member: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]


class Replayer:
    """Decides rows under the first and the last set of a setup."""

    def __init__(self, setup: Setup) -> None:
        snapshots = setup.compiled()
        self._agent: Agent = setup.agent
        self._strict = setup.strict
        self._baseline, self._after = snapshots[0], snapshots[-1]
        self._names = self._baseline.names | self._after.names
        self._batches = Batches(self._baseline, self._after, self._names)
        self._members: Lru[Principal, Member] = Lru(1024)
        self._counting = {
            one.ref
            for snapshot in snapshots
            for one in snapshot.statements
            if "session" in lexer.names(one.text)
        }

    def page(self, rows: Sequence[RecordedCall]) -> list[Replayed]:
        """The rows in their order."""
        read = [self._read(row) for row in rows]
        pairs = iter(self._batches.decide([one for one in read if isinstance(one, PolicyRequest)]))
        return [
            one if isinstance(one, Replayed) else self._replayed(row, *next(pairs))
            for row, one in zip(rows, read, strict=True)
        ]

    def lists(
        self, members: Sequence[Member], tools: Sequence[tuple[str, str]]
    ) -> list[ListChange]:
        """Members whose tool list differs between the sets."""
        if self._after is self._baseline:
            return []
        changes = (self._list(member, tools) for member in members)
        return [one for one in changes if one.gains or one.loses]

    def _list(self, member: Member, tools: Sequence[tuple[str, str]]) -> ListChange:
        before = listing.lists(self._baseline, member, self._agent, tools)
        after = listing.lists(self._after, member, self._agent, tools)
        gains = sorted(f"{service}__{name}" for service, name in after - before)
        loses = sorted(f"{service}__{name}" for service, name in before - after)
        return ListChange(member.principal, tuple(gains), tuple(loses))

    def _read(self, row: RecordedCall) -> PolicyRequest | Replayed:
        """What is asked about a row, or why nothing is."""
        context = self._context(row)
        if row.kind is not Kind.TOOL:
            return self._read_other(row, context)
        shape = self._baseline.schema.shapes.get((row.service, row.name))
        if shape is None:
            return Replayed(row.seq, TOOL_GONE)
        if context is None:
            return Replayed(row.seq, NO_CONTEXT)
        if row.arguments is None and not (row.redacted and self._is_blind(shape)):
            return Replayed(row.seq, ARGS_MISSING)
        encoded = encode.arguments(
            row.arguments or {}, shape.input, named=self._names, strict=self._strict
        )
        if row.is_unresolved or isinstance(encoded, EncodeRefusal):
            return Replayed(row.seq, NOT_REPRESENTABLE)
        return self._request(row, encoded, context)

    def _read_other(
        self, row: RecordedCall, context: JsonObject | None
    ) -> PolicyRequest | Replayed:
        """The same for a prompt or resource: policies see none of its arguments."""
        if context is None:
            return Replayed(row.seq, NO_CONTEXT)
        if row.arguments is None and "unmodelled" in self._names:
            return Replayed(row.seq, ARGS_MISSING)
        encoded = encode.unmodelled(row.arguments or {})
        if isinstance(encoded, EncodeRefusal):
            return Replayed(row.seq, NOT_REPRESENTABLE)
        return self._request(row, encoded, context)

    def _replayed(self, row: RecordedCall, baseline: Verdict, after: Verdict) -> Replayed:
        decided_by = {*baseline.determining, *after.determining}
        return Replayed(
            row.seq,
            baseline=_redecided(baseline),
            after=_redecided(after),
            uses_session=not self._counting.isdisjoint(decided_by),
        )

    def _context(self, row: RecordedCall) -> JsonObject | None:
        """The recorded facets; one that is missing is made up only if no policy reads it."""
        missing = [name for name in _FACETS if name not in row.context]
        if any(name in self._names for name in missing):
            return None
        return {name: row.context.get(name, _FACETS[name]) for name in _FACETS}

    def _is_blind(self, shape: ToolShape) -> bool:
        """Whether no decision on the tool can depend on its arguments."""
        seen = {"unmodelled", *shape.input.attributes}
        return shape.target is None and self._names.isdisjoint(seen)

    def _request(self, row: RecordedCall, encoded: Encoded, context: JsonObject) -> PolicyRequest:
        member = self._members.get(row.principal, lambda: row.principal.member(self._agent.id))
        return PolicyRequest(
            agent=self._agent,
            member=member,
            service=row.service,
            name=row.name,
            input=encoded,
            at_ms=0,
            session=_counters(context["session"]),
            ip=None,
            target=row.target,
            kind=row.kind,
            recorded=context,
        )


def _counters(recorded: Any) -> SessionFacts:
    return SessionFacts(
        recorded["calls"], recorded["denials"], tuple(recorded["tools"]), recorded["ageSeconds"]
    )


def _redecided(decision: Verdict) -> Redecided:
    return Redecided(decision.is_allowed, decision.reason.value, decision.determining)

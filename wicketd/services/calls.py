"""Decide, record, settle: the three moments of a call that the audit can prove.

`decide` is synchronous and memory only; `record` makes the intent (or the denial) durable before
any upstream byte; `settle` makes the outcome durable before the result leaves. Counterpart of
`proxy.gate`, which is their only caller. Source: product spec, section 5, steps 9 to 16.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from wicketd.connectors.mapping import Unresolved
from wicketd.domain.audit import Entry
from wicketd.domain.calls import Call, Caller, Outcome, Refusal, RefusalKind, Subject
from wicketd.domain.catalogue import ServiceView, Target, Tool
from wicketd.domain.errors import Conflict, Unhealthy
from wicketd.domain.ids import CallId, call_ref
from wicketd.domain.policies import Decision, Reason
from wicketd.domain.ports import Tx
from wicketd.domain.sessions import ToolSession
from wicketd.policy import decisions, encode, engine, listing
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.encode import EncodeRefusal
from wicketd.policy.entities import Kind
from wicketd.policy.schema import ToolShape
from wicketd.services.desk import Desk
from wicketd.services.entries import Decided, Recorder
from wicketd.services.intents import Intents
from wicketd.services.metrics import Metrics
from wicketd.services.schema_archive import SchemaArchive
from wicketd.services.sessions import ToolSessions
from wicketd.services.snapshots import AgentSnapshot, Snapshots

T = TypeVar("T")

_REF_TRIES: Final = 8
_HELD: Final = frozenset({Reason.POLICY_STALE, Reason.TOOL_HELD})
_ABOUT_ARGUMENTS: Final = frozenset(
    {Reason.NOT_REPRESENTABLE, Reason.TARGET_UNRESOLVED, Reason.ARGS_TOO_LARGE}
)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What `decide` leaves for `record`: the session that counted the call, and its tool.

    `services`: what gave the schema of the decision.
    """

    session: ToolSession | None
    tool: Tool | None
    audit_show: tuple[str, ...]
    is_listed: Callable[[], bool]
    services: Mapping[str, ServiceView]


class Calls:
    """The use case behind every policy-checked method."""

    def __init__(
        self,
        desk: Desk,
        snapshots: Snapshots,
        sessions: ToolSessions,
        recorder: Recorder,
        *,
        strict_arguments: bool,
    ) -> None:
        self._desk = desk
        self._snapshots = snapshots
        self._sessions = sessions
        self._recorder = recorder
        self._strict_arguments = strict_arguments
        self._counted: dict[CallId, _Counted] = {}
        self._schemas = SchemaArchive()
        self.intents = Intents(desk)
        self.metrics = Metrics()

    def decide(self, call: Call) -> Decision | Refusal:
        """Steps 9 to 12: service, tool, target, arguments, one snapshot, counters before the call.

        A Refusal: the call never reached a policy.
        """
        snapshot = self._snapshots.of(call.caller.agent.id)
        if snapshot is None:
            return decisions.denial(Reason.SNAPSHOT_MISSING)
        if not snapshot.is_enabled(call.service):
            return self._not_enabled(call)
        if call.subject is not Subject.TOOL:
            return self._decide_other(call, snapshot)
        at = (call.service, call.name)
        tool = snapshot.tools.get(at)
        if tool is None:
            return Refusal(RefusalKind.DENIED, _names(call))
        shape = snapshot.engine.schema.shapes.get(at)
        if shape is None:
            return decisions.denial(Reason.CATALOGUE_REJECTED, snapshot.engine.stamp)
        return self._evaluate(call, snapshot, tool, shape)

    async def record(self, call: Call, decision: Decision) -> Call | Refusal:
        """Step 13: the intent, or the denial as one row, with the session's counters.

        Returns the Call under the id that stands (its reference may be taken), or what to answer.

        Raises:
            AuditNotDurable: nothing was written; nothing may go upstream.
        """
        counted = self._counted.pop(call.id, None)
        session = counted.session if counted is not None else None
        self.intents.began(call.id)
        try:
            stored = await self._desk.db.write(
                lambda tx: self._write_decision(tx, call, decision, counted)
            )
        except BaseException:
            if session is not None:
                self._sessions.uncount(session, call, decision)
            self.intents.ended(call.id)
            raise
        if counted is not None:
            self._schemas.kept(decision.schema_sha256)
        if session is not None:
            self._sessions.saved(session)
        self.intents.ended(call.id)
        self._count(decision)
        if not decision.allow:
            return _denial(stored, decision, counted)
        self.intents.began(stored.id)
        self.metrics.gauge("in_flight", self.intents.running)
        return stored

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        """One `call.denied` row for a refusal before evaluation; gives it with its reference.

        Raises:
            AuditNotDurable: nothing was written.
        """
        entry = self._recorder.refusal(caller, refusal, call, tool)
        first = call.id if call is not None else CallId(self._desk.ids.uuid7())
        stood = await self._desk.db.write(
            lambda tx: self._under_free_ref(
                tx, caller, first, lambda call_id: self._append(tx, entry, call_id, call_id)
            )
        )
        self.metrics.count("refusals", refusal.kind.value)
        return replace(refusal, call_id=stood)

    async def settle(self, call: Call, outcome: Outcome) -> None:
        """Step 16: the outcome row, durable before the result leaves.

        Raises:
            AuditNotDurable: the result must be withheld.
        """
        entry = self._recorder.outcome(call, outcome, self._desk.clock.now_ms())
        try:
            await self._desk.db.write(lambda tx: self._desk.journal.append(tx, entry))
        except Unhealthy:
            self.intents.withheld(call.id, entry)
            raise
        finally:
            self.intents.ended(call.id)
            self.metrics.gauge("in_flight", self.intents.running)
        self.metrics.count("outcomes", outcome.status.value)
        self.metrics.count("upstream_ms", by=outcome.upstream_ms or 0)

    def _count(self, decision: Decision) -> None:
        answer = "allow" if decision.allow else "deny"
        self.metrics.count("calls", answer, decision.reason.value)
        self.metrics.count("eval_us", by=decision.eval_us)

    def _not_enabled(self, call: Call) -> Refusal:
        values = {"service": call.service, "agent": call.caller.agent.key}
        if self._snapshots.is_known(call.service):
            return Refusal(RefusalKind.SERVICE_OFF, values)
        return Refusal(RefusalKind.UNKNOWN_SERVICE, values)

    def _decide_other(self, call: Call, snapshot: AgentSnapshot) -> Decision | Refusal:
        """A prompt or resource: policies see its name or URI, and none of its arguments."""
        if call.service not in snapshot.connectors:
            return Refusal(RefusalKind.DENIED, _names(call))  # the built-in service has none
        encoded = encode.unmodelled(call.arguments)
        if isinstance(encoded, EncodeRefusal):
            session, decision = None, decisions.refused(snapshot.engine.stamp, encoded)
        else:
            session = self._sessions.resolve(call)
            decision = engine.decide(snapshot.engine, _request(call, (None, encoded), session))
            self._sessions.count(session, call, decision)
        self._counted[call.id] = _Counted(session, None, (), lambda: False, snapshot.services)
        return decision

    def _evaluate(
        self, call: Call, snapshot: AgentSnapshot, tool: Tool, shape: ToolShape
    ) -> Decision:
        found = self._encoded(call, snapshot, shape)
        connector = snapshot.connectors.get(call.service)
        show = connector.audit_show if connector is not None else ()
        session = None
        if isinstance(found, tuple):
            session = self._sessions.resolve(call)
            decision = engine.decide(snapshot.engine, _request(call, found, session))
            self._sessions.count(session, call, decision)
        else:
            decision = decisions.refused(snapshot.engine.stamp, found)
        self._counted[call.id] = _Counted(
            session, tool, show, lambda: _is_listed(call, snapshot), snapshot.services
        )
        return decision

    def _encoded(
        self, call: Call, snapshot: AgentSnapshot, shape: ToolShape
    ) -> tuple[Target | None, encode.Encoded] | EncodeRefusal:
        rule = snapshot.targets.get((call.service, call.name))
        namespace = snapshot.services[call.service].namespace
        target = rule.resolve(namespace, call.arguments) if rule is not None else None
        if isinstance(target, Unresolved):
            return EncodeRefusal(
                Reason.TARGET_UNRESOLVED, target.pointer, target.expected, "no target"
            )
        encoded = encode.arguments(
            call.arguments,
            shape.input,
            named=snapshot.engine.names,
            strict=self._strict_arguments,
        )
        return encoded if isinstance(encoded, EncodeRefusal) else (target, encoded)

    def _write_decision(
        self, tx: Tx, call: Call, decision: Decision, counted: _Counted | None
    ) -> Call:
        if counted is not None:
            self._schemas.keep(tx, decision.schema_sha256, counted.services.values())
        if counted is not None and counted.session is not None:
            self._sessions.persist(tx, counted.session, call, decision)
            decided = Decided(counted.session.id, counted.tool, counted.audit_show)
        else:
            decided = Decided(None, counted.tool if counted is not None else None)

        def append(call_id: CallId) -> Call:
            named = replace(call, id=call_id) if call_id != call.id else call
            entry = self._recorder.decision(named, decision, decided)
            return self._append(tx, entry, call_id, named)

        return self._under_free_ref(tx, call.caller, call.id, append)

    def _append(self, tx: Tx, entry: Entry, call_id: CallId, result: T) -> T:
        self._desk.journal.append(tx, replace(entry, call_id=call_id, ref=call_ref(call_id)))
        return result

    def _under_free_ref(
        self, tx: Tx, caller: Caller, first: CallId, append: Callable[[CallId], T]
    ) -> T:
        """Draws call ids until one's reference is free: it is unique per agent."""
        call_id = first
        for _ in range(_REF_TRIES):
            try:
                return append(call_id)
            except Conflict:
                call_id = CallId(self._desk.ids.uuid7())
        message = f"No free call reference on agent {caller.agent.key} after {_REF_TRIES} draws."
        raise Conflict(message)


def _request(
    call: Call, found: tuple[Target | None, encode.Encoded], session: ToolSession
) -> PolicyRequest:
    target, encoded = found
    return PolicyRequest(
        agent=call.caller.agent,
        member=call.caller.member,
        service=call.service,
        name=call.name,
        input=encoded,
        at_ms=call.at_ms,
        session=session.facts(call.at_ms),
        ip=call.caller.ip or None,
        target=target,
        kind=Kind(call.subject.value),
    )


def _denial(stored: Call, decision: Decision, counted: _Counted | None) -> Refusal:
    """The refusal of a denied call. A hidden tool answers like any denial: no oracle."""
    if decision.reason in _HELD:
        return Refusal(RefusalKind.HELD, {"tool": stored.name}, call_id=stored.id)
    if decision.reason in _ABOUT_ARGUMENTS and counted is not None and counted.is_listed():
        values = {
            "tool": stored.name,
            "pointer": decision.pointer or "arguments",
            "expected": decision.expected or "valid",
        }
        return Refusal(RefusalKind.ARGUMENTS, values, call_id=stored.id)
    values = _names(stored)
    if decision.deny_messages:
        values["messages"] = "; ".join(decision.deny_messages[:3])
    return Refusal(RefusalKind.DENIED, values, call_id=stored.id)


def _names(call: Call) -> dict[str, str]:
    return {call.subject.value: call.name, "agent": call.caller.agent.key}


def _is_listed(call: Call, snapshot: AgentSnapshot) -> bool:
    at = (call.service, call.name)
    return at in listing.lists(
        snapshot.engine, call.caller.member, call.caller.agent, frozenset({at})
    )

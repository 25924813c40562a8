"""One call decided in thought, with what each statement made of it (policy spec, section 7).

Runs in the policy child, under the engine, encoder and schema of real calls. Counterparts:
`policy.conditions` takes statements apart, `services.simulate` asks. Invariant: the tree explains
the decision and never makes it; parts are evaluated in the engine's own order, so that a guard that
fails keeps what it guards from being asked.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Target
from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.members import Member
from wicketd.domain.policies import Decision, Determining, Effect, Mode, Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import conditions, decisions, encode, engine, entities, listing, slices
from wicketd.policy.conditions import Part
from wicketd.policy.decisions import PolicyRequest, Probed, Question
from wicketd.policy.encode import EncodeRefusal
from wicketd.policy.engine import Snapshot
from wicketd.policy.setups import Setup
from wicketd.policy.slices import Statement

MAX_PROBES: Final = 2_000
"""Parts that one explanation asks the engine about; those behind it are shown unread."""
SEALED: Final = "[sealed]"
"""Stands for an argument that came from the audit, where it is sealed."""


class HypotheticalCall(msgspec.Struct, frozen=True):
    """A call that nobody made.

    `unresolved`: (pointer, expected) of the argument that names no target. `is_sealed`: the
    arguments are an audit entry's, so no value of them is shown.
    """

    member: Member
    service: str
    name: str
    arguments: dict[str, Any]
    at_ms: int
    session: SessionFacts
    ip: str | None
    target: Target | None = None
    unresolved: tuple[str, str] | None = None
    is_sealed: bool = False


class Judged(msgspec.Struct, frozen=True):
    """A decision, as far as people ask about it."""

    allow: bool
    reason: str
    determining: tuple[Determining, ...] = ()
    deny_messages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    pointer: str | None = None
    expected: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """The request as the engine read it; uids are canonical texts."""

    principal: str
    action: str
    resource: str
    parents: tuple[str, ...]
    context: dict[str, Any]


class Shown(msgspec.Struct, frozen=True):
    """One part of a statement and what came of it.

    `kind`: see `conditions.Part`. `outcome`: true, false, error, skipped (the engine does not come
    to it) or unread. `values`: what the part read, by path.
    """

    kind: str
    text: str
    start: int
    end: int
    outcome: str
    error: str | None = None
    values: dict[str, Any] = {}
    children: tuple["Shown", ...] = ()


class ShownStatement(msgspec.Struct, frozen=True):
    """One statement that can match the action. `outcome`: satisfied, unsatisfied or error."""

    policy_id: str
    key: str
    version: int
    statement: int
    effect: Effect
    mode: Mode
    text: str
    outcome: str
    error: str | None
    parts: tuple[Shown, ...]


class Explained(msgspec.Struct, frozen=True):
    """What one set makes of a call. `elsewhere`: statements whose action scope cannot match it."""

    judged: Judged
    request: Asked | None
    listed: bool
    statements: tuple[ShownStatement, ...]
    elsewhere: int


def judged(decision: Decision) -> Judged:
    """A decision on the wire."""
    return Judged(
        decision.allow,
        decision.reason.value,
        decision.determining,
        decision.deny_messages,
        decision.errors,
        decision.pointer,
        decision.expected,
    )


def explain(setup: Setup, snapshots: Iterable[Snapshot], call: HypotheticalCall) -> list[Explained]:
    """The call under each set of a setup."""
    return [_explained(setup, snapshot, call) for snapshot in snapshots]


def _explained(setup: Setup, snapshot: Snapshot, call: HypotheticalCall) -> Explained:
    agent, at = setup.agent, (call.service, call.name)
    listed = listing.may_list(snapshot, call.member, agent, *at)
    if at not in snapshot.subjects:
        rejected = decisions.denial(Reason.CATALOGUE_REJECTED, snapshot.stamp)
        return Explained(judged(rejected), None, listed, (), len(snapshot.statements))
    encoded = _encoded(snapshot, call, strict=setup.strict)
    if isinstance(encoded, EncodeRefusal):
        refused = decisions.refused(snapshot.stamp, encoded)
        return Explained(judged(refused), None, listed, (), len(snapshot.statements))
    request = _request(agent, call, encoded)
    decision = engine.decide(snapshot, request)
    subject = snapshot.subjects[at]
    question = decisions.question(request, subject, snapshot.address)
    if isinstance(question, Reason):
        return Explained(judged(decision), None, listed, (), len(snapshot.statements))
    chosen = slices.select(snapshot.statements, subject.actions, question.member_id, shadow=True)
    reader = _Reader(snapshot, call, question)
    return Explained(
        judged=judged(decision),
        request=reader.asked(),
        listed=listed,
        statements=tuple(reader.statement(one) for one in chosen),
        elsewhere=len(snapshot.statements) - len(chosen),
    )


def _encoded(
    snapshot: Snapshot, call: HypotheticalCall, *, strict: bool
) -> encode.Encoded | EncodeRefusal:
    if call.unresolved is not None:
        pointer, expected = call.unresolved
        return EncodeRefusal(Reason.TARGET_UNRESOLVED, pointer, expected, "no target")
    shape = snapshot.schema.shapes[call.service, call.name]
    return encode.arguments(call.arguments, shape.input, named=snapshot.names, strict=strict)


def _request(agent: Agent, call: HypotheticalCall, encoded: encode.Encoded) -> PolicyRequest:
    return PolicyRequest(
        agent=agent,
        member=call.member,
        service=call.service,
        name=call.name,
        input=encoded,
        at_ms=call.at_ms,
        session=call.session,
        ip=call.ip,
        target=call.target,
    )


class _Reader:
    """Asks the engine about the parts of statements, under one question."""

    def __init__(self, snapshot: Snapshot, call: HypotheticalCall, question: Question) -> None:
        self._snapshot = snapshot
        self._call = call
        self._question = question
        self._left = MAX_PROBES

    def asked(self) -> Asked:
        """The request, without arguments that are sealed."""
        kept = self._question.kept(self._snapshot.text)
        context = dict(self._question.context)
        if self._call.is_sealed:
            context["input"] = SEALED
        principal = self._snapshot.text(entities.member_uid(self._call.member))
        return Asked(principal, kept.action, kept.resource, kept.parents, _plain(context))

    def statement(self, one: Statement) -> ShownStatement:
        """One statement with its parts."""
        whole = self._probe(one.text)
        outcome = "satisfied" if whole.is_satisfied else "unsatisfied"
        ref = one.ref
        return ShownStatement(
            ref.policy_id,
            ref.key,
            ref.version,
            ref.statement,
            ref.effect,
            ref.mode,
            one.text,
            "error" if whole.error else outcome,
            whole.error,
            self._parts(one.text),
        )

    def _parts(self, text: str) -> tuple[Shown, ...]:
        shown: list[Shown] = []
        for part in conditions.parts(text):
            is_scope = part.kind in {"principal", "action", "resource"}
            # Scopes cannot fail, so all three are asked; a clause only if all before it hold.
            if is_scope or all(one.outcome == "true" for one in shown):
                shown.append(self._scope(part) if is_scope else self._clause(part))
            else:
                shown.append(_skipped(part))
        return tuple(shown)

    def _scope(self, part: Part) -> Shown:
        slots = ("principal", "action", "resource")
        head = ", ".join(part.text if part.kind == slot else slot for slot in slots)
        return self._leaf(part, f"permit ({head}\n);")

    def _clause(self, part: Part) -> Shown:
        inner = self._condition(part.children[0])
        outcome = _inverted(inner.outcome) if part.kind == "unless" else inner.outcome
        return _shown(part, outcome, children=(inner,))

    def _condition(self, part: Part) -> Shown:
        if part.kind == "not":
            inner = self._condition(part.children[0])
            return _shown(part, _inverted(inner.outcome), children=(inner,))
        if part.kind in {"and", "or"}:
            return self._chain(part)
        return self._leaf(part, f"permit (principal, action, resource) when {{ {part.text}\n}};")

    def _chain(self, part: Part) -> Shown:
        """Operands from left to right, until one decides."""
        goes_on = "true" if part.kind == "and" else "false"
        children: list[Shown] = []
        outcome = goes_on
        for child in part.children:
            if outcome != goes_on:
                children.append(_skipped(child))
                continue
            children.append(self._condition(child))
            outcome = children[-1].outcome
        return _shown(part, outcome, children=tuple(children))

    def _leaf(self, part: Part, statement: str) -> Shown:
        if self._left == 0:
            return _shown(part, "unread")
        found = self._probe(statement)
        outcome = "error" if found.error else str(found.is_satisfied).lower()
        return _shown(part, outcome, found.error, self._values(part))

    def _probe(self, text: str) -> Probed:
        self._left = max(0, self._left - 1)
        try:
            return engine.probe(self._snapshot, self._call.member, self._question, text)
        except PolicyInvalid as error:
            # A part of a long chain may read otherwise alone; the statement's own outcome stands.
            return Probed(is_satisfied=False, error=error.message)

    def _values(self, part: Part) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path in conditions.reads(part.text):
            name = ".".join(path)
            is_input = path[:2] == ("context", "input")
            if is_input and self._call.is_sealed:
                values[name] = SEALED
            elif path not in {("context",), ("context", "input")}:
                values[name] = self._value(path)
        return values

    def _value(self, path: tuple[str, ...]) -> Any:
        root, steps = path[0], path[1:]
        if not steps:
            return self._named(root)
        value: Any = self._document(root)
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        return _plain(value)

    def _named(self, root: str) -> str:
        asked = self._question
        uids = {
            "principal": entities.member_uid(self._call.member),
            "action": asked.subject.action,
            "resource": asked.resource,
        }
        return self._snapshot.text(uids[root])

    def _document(self, root: str) -> Mapping[str, Any]:
        if root == "context":
            return self._question.context
        if root == "principal":
            return entities.member_attrs(self._call.member)
        target = self._call.target
        return self._question.subject.attrs if target is None else target.attrs


def _shown(
    part: Part,
    outcome: str,
    error: str | None = None,
    values: dict[str, Any] | None = None,
    children: tuple[Shown, ...] = (),
) -> Shown:
    return Shown(part.kind, part.text, part.start, part.end, outcome, error, values or {}, children)


def _skipped(part: Part) -> Shown:
    return _shown(part, "skipped", children=tuple(map(_skipped, part.children)))


def _inverted(outcome: str) -> str:
    return {"true": "false", "false": "true"}.get(outcome, outcome)


def _plain(value: Any) -> Any:
    """A value without the engine's marks of extension types."""
    if isinstance(value, Mapping):
        extension = value.get("__extn")
        if isinstance(extension, Mapping):
            return extension.get("arg")
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value

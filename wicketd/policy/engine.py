"""The one door to Cedar: compiles, decides, evaluates partially, parses and validates.

Counterparts: `policy.schema`, `policy.encode` and `policy.entities` make what it reads;
`policy.listing` asks what a member sees; `services.snapshots` holds what it compiles. Invariant:
every doubt is a denial (policy spec, 3.4), and no policy text reaches the engine before
`lexer.guard` has passed it, for deep text kills the process uncatchably.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import cedarpy
import msgspec

from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.domain.policies import Decision, PolicyVersion, Reason, Shadow, StatementFacts
from wicketd.policy import decisions, entities, jsonform, lexer, readings, slices
from wicketd.policy.decisions import PolicyRequest, Probed, Question, Stamp, Verdict
from wicketd.policy.entities import Subject, Uid
from wicketd.policy.heads import head
from wicketd.policy.lru import Lru
from wicketd.policy.readings import Reading
from wicketd.policy.revisions import set_sha256
from wicketd.policy.schema import CedarSchema
from wicketd.policy.slices import Statement

SchemaHandle: TypeAlias = cedarpy.Schema
EntitiesHandle: TypeAlias = cedarpy.Entities
PolicyHandle: TypeAlias = cedarpy.PolicySet

CPU_LIMIT_NS: Final = 50_000_000
CACHED: Final = 4_096

_PLAIN_ID: Final = re.compile(r"[ !#-&(-\[\]-~]*")
"""Ids that every quoting writes alike; others are quoted by the engine itself."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The statements that can match one action, compiled."""

    policies: cedarpy.PolicySet
    statements: Mapping[str, Statement]
    """By the name that the engine gives: policyN is the N-th of the text, from 0."""
    reading: Reading | None = None
    """What they read together, where it is asked for; None: unknown."""
    shown: Lru[bytes, bool] = field(default_factory=lambda: Lru(CACHED))
    """Of a listing slice: whether it shows what reads like this."""

    @classmethod
    def of(cls, statements: Sequence[Statement], reading: Reading | None = None) -> "Slice":
        """Statements that have been compiled before, one by one."""
        policies = cedarpy.PolicySet.from_str(slices.text_of(statements))
        if len(policies) != len(statements):
            raise RuntimeError("The engine counts other statements than the lexer.")
        named = {f"policy{n}": one for n, one in enumerate(statements)}
        return cls(policies, named, reading)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What decides one agent's calls at one policy revision and schema; a call keeps its own.

    Immutable but for its memories of what was built at first use. `blocked`: actions that are
    denied whatever the policies say, with the reason.
    """

    agent_key: str
    stamp: Stamp
    schema: CedarSchema
    handle: SchemaHandle
    statements: tuple[Statement, ...]
    subjects: Mapping[tuple[str, str], Subject]
    names: frozenset[str]
    members: frozenset[str]
    """Ids of members with an enabled, enforced record of their own."""
    has_shadow: bool
    blocked: Mapping[Uid, Reason] = field(default_factory=dict)
    cpu_ns: Callable[[], int] = time.thread_time_ns
    slices: Lru[object, Slice] = field(default_factory=lambda: Lru(CACHED))
    stable: Lru[object, cedarpy.Entities] = field(default_factory=lambda: Lru(CACHED))
    listings: Lru[object, Slice] = field(default_factory=lambda: Lru(CACHED))
    addresses: Lru[str, str] = field(default_factory=lambda: Lru(CACHED))
    texts: Lru[Uid, str] = field(default_factory=lambda: Lru(CACHED))

    def address(self, ip: str) -> str:
        """A caller's IP as policies compare it, remembered."""
        return self.addresses.get(ip, lambda: entities.address(ip))

    def text(self, uid: Uid) -> str:
        """A uid as the engine writes it, remembered."""
        return self.texts.get(uid, lambda: canonical(uid))

    def with_blocked(self, blocked: Mapping[Uid, Reason]) -> "Snapshot":
        """The same set with other actions denied."""
        return replace(self, blocked=dict(blocked))


def parse_schema(text: str) -> SchemaHandle:
    """A handle on a schema text that `policy.schema` made.

    Raises:
        ValueError: the engine rejects it (V9).
    """
    return cedarpy.Schema.from_str(text, release_gil=True)


def compile_set(
    agent_key: str,
    records: Sequence[PolicyVersion],
    schema: CedarSchema,
    revision: PolicyRevision,
    facts: Mapping[str, Sequence[StatementFacts]] | None = None,
    previous: Snapshot | None = None,
) -> Snapshot:
    """Compiles the current versions of an agent's records; call it on `policy.stack.BigStack`.

    `facts`: by record key, as the policy child read them; missing ones are read here. `previous`
    lends its schema handle if the schema is the same.

    Raises:
        PolicyInvalid: a text is refused by guard or parser, or the set is over its caps.
        ValueError: the engine rejects the schema.
    """
    live = slices.live(records)
    statements: list[Statement] = []
    for record in live:
        read = facts_of(record.text) if facts is None else facts.get(record.key)
        statements += _compiled(record, facts_of(record.text) if read is None else read)
    is_known = previous is not None and previous.schema.sha256 == schema.sha256
    return Snapshot(
        agent_key=agent_key,
        stamp=Stamp(revision, set_sha256(records), schema.sha256),
        schema=schema,
        handle=previous.handle if previous and is_known else parse_schema(schema.text),
        statements=slices.few(statements),
        subjects={key: entities.tool_subject(one) for key, one in schema.shapes.items()},
        names=frozenset[str]().union(*(lexer.names(record.text) for record in live)),
        members=slices.enforced_members(live),
        has_shadow=slices.any_shadow(live),
    )


def _compiled(record: PolicyVersion, facts: Sequence[StatementFacts]) -> list[Statement]:
    spans = [(span.start, span.end) for span in lexer.split(record.text)]
    read = [(one.start, one.end) for one in facts]
    if len(parsed(record.text)) != len(spans) or read != spans:
        raise PolicyInvalid(f"The statements of {record.key} cannot be told apart. Save it again.")
    return [slices.statement(record, number, one) for number, one in enumerate(facts, 1)]


def _guarded(text: str) -> None:
    if findings := lexer.guard(text):
        raise PolicyInvalid(findings[0].message, details=[{"code": findings[0].code}])


def parsed(text: str) -> PolicyHandle:
    """A handle on the policies of a text, which the guard sees first.

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    _guarded(text)
    try:
        return cedarpy.PolicySet.from_str(text, release_gil=True)
    except ValueError as error:
        message = f"The policy does not parse: {error}. Check it in the editor."
        raise PolicyInvalid(message, details=[{"code": "syntax"}]) from error


def facts_of(text: str) -> list[StatementFacts]:
    """Effect, scopes and annotations of each statement, in order.

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    parsed(text)
    spans = lexer.split(text)
    heads = "\n".join(head(text[span.start : span.end]) for span in spans)
    return jsonform.facts(cedarpy.policies_to_json_str(heads), spans)


def json_form(text: str) -> str:
    """A guarded text in Cedar's JSON policy form."""
    _guarded(text)
    return cedarpy.policies_to_json_str(text)


def reading(statements: Iterable[Statement]) -> Reading | None:
    """What compiled statements read together; None if they nest too deep to be followed."""
    return readings.of(cedarpy.policies_to_json_str(slices.text_of(statements)))


def validate(text: str, schema: SchemaHandle) -> list[str]:
    """The validator's messages on a guarded text; none if it validates."""
    _guarded(text)
    found = cedarpy.validate_policies(text, schema, release_gil=True)
    said = [error.error for error in found.errors]
    return said or ([] if found.validation_passed else ["the validator refused the policy"])


def parse_error(text: str, *, is_part: bool = False) -> str | None:
    """What the parser says, None if it parses. `is_part`: of a text that passed the guard."""
    if not is_part:
        _guarded(text)
    try:
        cedarpy.PolicySet.from_str(text, release_gil=True)
    except ValueError as error:
        return str(error)
    return None


def residual(
    policy: PolicyHandle, action: Uid, known: EntitiesHandle, schema: SchemaHandle
) -> JsonObject | None:
    """What is left of a statement where only the action is known; None if it holds as it is.

    `known`: the action's entities. Experimental upstream: no call is decided by it.
    """
    found = cedarpy.is_authorized_partial({"action": canonical(action)}, policy, known, schema)
    if any(decisions.TOO_DEEP in error for error in found.diagnostics.errors):
        return {"conditions": []}  # it gave up here; a call, on a larger stack, need not
    return None if "policy0" in found.diagnostics.reasons else found.residuals.get("policy0", {})


def failures(policy: PolicyHandle, asked: JsonObject, known: EntitiesHandle) -> list[str]:
    """What the engine cannot evaluate in a call that nobody made; no schema looks at it."""
    return cedarpy.is_authorized(asked, policy, known, None).diagnostics.errors


def layout(text: str) -> str:
    """A text in the engine's layout: width 80, indent 2. `PolicyInvalid` if it does not parse."""
    parsed(text)
    return cedarpy.format_policies(text, 80, 2)


def canonical(uid: Uid) -> str:
    """A uid as the engine writes it, `Type::"id"`; unusual ids are quoted by the engine itself."""
    kind, name = uid
    if _PLAIN_ID.fullmatch(name):
        return f'{kind}::"{name}"'
    text = cedarpy.policies_from_json_str(jsonform.naming(uid))
    literal = lexer.paths(text)[0]
    return text[literal.start : literal.end]


def decide(snapshot: Snapshot, request: PolicyRequest) -> Decision:
    """Decides one call in memory, in place. Never raises: whatever goes wrong is a denial."""
    try:
        return _decide(snapshot, request)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of the engine is no Exception, and a denial too
        return decisions.decision(snapshot.stamp, decisions.broken(error))


def _decide(snapshot: Snapshot, request: PolicyRequest) -> Decision:
    subject = entities.subject_of(snapshot.subjects, request.kind, request.service, request.name)
    if subject is None:
        return decisions.denial(Reason.CATALOGUE_REJECTED, snapshot.stamp)
    if subject.action in snapshot.blocked:
        return decisions.denial(snapshot.blocked[subject.action], snapshot.stamp)
    question = decisions.question(request, subject, snapshot.address, named=snapshot.names)
    if isinstance(question, Reason):
        return decisions.denial(question, snapshot.stamp)
    handle = _facts(snapshot, request.member, question)
    verdict, eval_us = _enforced(snapshot, question, handle)
    shadow = _shadow(snapshot, question, handle, verdict)
    kept = question.kept(snapshot.text)
    return decisions.decision(snapshot.stamp, verdict, shadow, kept, eval_us)


def probe(snapshot: Snapshot, member: Member, question: Question, text: str) -> Probed:
    """Whether one statement, alone, is satisfied by a question; for explanations, not for calls.

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    handle = _facts(snapshot, member, question)
    found = cedarpy.is_authorized(question.asked, parsed(text), handle, snapshot.handle)
    return Probed(bool(found.diagnostics.reasons), next(iter(found.diagnostics.errors), None))


def _facts(snapshot: Snapshot, member: Member, question: Question) -> EntitiesHandle:
    handle = _stable(snapshot, member, question.subject)
    return handle if question.added is None else handle.with_added_json_str(question.added)


def _stable(snapshot: Snapshot, member: Member, subject: Subject) -> EntitiesHandle:
    def make() -> EntitiesHandle:
        return entities_of(entities.stable(snapshot.agent_key, member, subject))

    return snapshot.stable.get((entities.facts(member), subject.action, subject.resource), make)


def _slice(snapshot: Snapshot, question: Question, *, shadow: bool) -> Slice:
    """One slice serves every action that the same statements can match."""

    def make() -> Slice:
        chosen = slices.select(
            snapshot.statements, question.subject.actions, question.member_id, shadow=shadow
        )
        return snapshot.slices.get(slices.refs(chosen), lambda: Slice.of(chosen))

    return snapshot.slices.get((question.subject.action, question.member_id, shadow), make)


def enforced_slice(snapshot: Snapshot, question: Question) -> Slice | None:
    """What is asked about a question; None: the member needs records of its own and has none."""
    if question.member_id is not None and question.member_id not in snapshot.members:
        return None
    return _slice(snapshot, question, shadow=False)


def entities_of(made: Sequence[Json]) -> EntitiesHandle:
    """A handle on entities that `policy.entities` made."""
    return cedarpy.Entities.from_json_str(msgspec.json.encode(made).decode())


def answers(
    asked: list[dict[str, object]],
    part: Slice,
    handle: EntitiesHandle,
    schema: SchemaHandle | None,
) -> list[Verdict]:
    """What one slice says to many questions about one action, in order; for replays.

    `schema` None: it has accepted the very same questions before. A call into the engine that
    fails is an engine error of every question.
    """
    try:
        found = cedarpy.is_authorized_batch(asked, part.policies, handle, schema)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of the engine is no Exception
        return [decisions.broken(error)] * len(asked)
    return [_judged(one, part) for one in found]


def _enforced(
    snapshot: Snapshot, question: Question, handle: EntitiesHandle
) -> tuple[Verdict, int]:
    part = enforced_slice(snapshot, question)
    if part is None:
        return Verdict(Reason.NO_MEMBER_POLICY), 0
    started = snapshot.cpu_ns()
    verdict = _ask(snapshot, question, handle, part)
    spent = snapshot.cpu_ns() - started
    return Verdict(Reason.ENGINE_LATE) if spent > CPU_LIMIT_NS else verdict, spent // 1000


def _ask(snapshot: Snapshot, question: Question, handle: EntitiesHandle, part: Slice) -> Verdict:
    found = cedarpy.is_authorized(question.asked, part.policies, handle, snapshot.handle)
    return _judged(found, part)


def _judged(result: cedarpy.AuthzResult, part: Slice) -> Verdict:
    found = result.diagnostics
    return decisions.judge(result.decision.value, found.reasons, found.errors, part.statements)


def _shadow(
    snapshot: Snapshot, question: Question, handle: EntitiesHandle, verdict: Verdict
) -> Shadow | None:
    """The second pass, if a shadow statement can match. What goes wrong in it stays in it."""
    if not snapshot.has_shadow:
        return None
    try:
        part = _slice(snapshot, question, shadow=True)
        if not slices.any_shadow(one.ref for one in part.statements.values()):
            return None
        return decisions.compare(verdict, _ask(snapshot, question, handle, part))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # shadow records decide nothing, not even by failing
        return decisions.failed_shadow(repr(error))


def may_allow(snapshot: Snapshot, member: Member, subject: Subject, part: Slice) -> bool:
    """Whether some context, and some resource where it is not known yet, could be allowed.

    Partial evaluation, which is experimental upstream: no call is decided by it.
    """
    request = {
        "principal": snapshot.text(entities.member_uid(member)),
        "action": snapshot.text(subject.action),
    }
    if len(subject.types) == 1 and subject.types[0] == subject.resource[0]:
        request["resource"] = snapshot.text(subject.resource)
    handle = _stable(snapshot, member, subject)
    result = cedarpy.is_authorized_partial(request, part.policies, handle, snapshot.handle)
    if result.diagnostics.errors or result.decision is cedarpy.Decision.Deny:
        return False
    return result.decision is cedarpy.Decision.Allow or bool(result.residuals)

"""What is asked of the engine and how its answer becomes a Decision (policy spec, 3.3 and 3.4).

Counterpart of `policy.engine`, which asks. Invariant: pure; only Allow without any error, by
statements that are known, allows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.domain.agents import Agent, Trust
from wicketd.domain.catalogue import Target
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member
from wicketd.domain.policies import (
    Decision,
    Determining,
    Effect,
    EncodedRequest,
    Reason,
    Shadow,
)
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import entities
from wicketd.policy.encode import Encoded, EncodeRefusal
from wicketd.policy.entities import Kind, Subject, Uid
from wicketd.policy.slices import Statement

MAX_CONTEXT_BYTES: Final = 1024 * 1024
MAX_ERRORS: Final = 8
MAX_ERROR_LENGTH: Final = 500
TOO_DEEP: Final = "recursion limit"
"""In what the engine says where the stack is too small for an expression."""


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """One call as the engine takes it.

    `service`: its key; `name`: the tool's, prompt's or resource's, as the upstream knows it;
    `at_ms`: the one clock reading of the call; `ip`: None if no address is known, which denies.
    """

    agent: Agent
    member: Member
    service: str
    name: str
    input: Encoded
    at_ms: int
    session: SessionFacts
    ip: str | None
    target: Target | None = None
    kind: Kind = Kind.TOOL
    recorded: JsonObject | None = None
    """`time`, `session` and `network` as an audit row holds them, in place of fresh ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request as the engine reads it.

    `asked`: principal, action, resource as uids, context as JSON text; `added`: JSON of the mapped
    resource's entities, if any; `member_id`: whose records permit, on an untrusted agent.
    """

    asked: dict[str, object]
    added: str | None
    subject: Subject
    resource: Uid
    parents: tuple[Uid, ...]
    context: JsonObject
    member_id: str | None
    unmodelled: tuple[str, ...]

    def kept(self, write: Callable[[Uid], str]) -> EncodedRequest:
        """What the audit keeps, uids by `write`; arguments have their own, sealed place there."""
        context = {key: self.context[key] for key in ("time", "session", "network")}
        above = tuple(write(parent) for parent in self.parents)
        action, resource = write(self.subject.action), write(self.resource)
        return EncodedRequest(action, resource, above, context, self.unmodelled)


def failed_shadow(error: str) -> Shadow:
    """What a shadow pass leaves that did not come to an end."""
    return Shadow(allow=False, flip=None, determining=(), errors=clipped([error]))


def question(
    request: PolicyRequest,
    subject: Subject,
    address: Callable[[str], str] = entities.address,
    *,
    named: frozenset[str] | None = None,
) -> Question | Reason:
    """Writes a request down for the engine, or the reason why it cannot be asked.

    `address`: normalises the caller's IP. `named`: the names that the statements in force mention,
    None for all; the session's tools are sent only if they are among them, for no decision can
    depend on an attribute that is not named (E11), and a long list costs more than the rest.

    Raises:
        ValueError, OverflowError, KeyError: address, instant or zone do not exist.
    """
    context = _context(request, address)
    if context is None:
        return Reason.NO_CONTEXT
    text = msgspec.json.encode(_read_by(named, context, request.session))
    if len(text) > MAX_CONTEXT_BYTES:
        return Reason.ARGS_TOO_LARGE
    target = request.target
    resource = subject.resource if target is None else (target.type, target.id)
    added = msgspec.json.encode(entities.mapped(target, subject.service)) if target else None
    return Question(
        asked={
            "principal": entities.uid_json(entities.member_uid(request.member)),
            "action": entities.uid_json(subject.action),
            "resource": entities.uid_json(resource),
            "context": text.decode(),
        },
        added=added.decode() if added is not None else None,
        subject=subject,
        resource=resource,
        parents=(*(target.parents if target else ()), ("Wicket::Service", subject.service)),
        context=context,
        member_id=own_records_of(request.agent, request.member),
        unmodelled=request.input.unmodelled,
    )


def _context(request: PolicyRequest, address: Callable[[str], str]) -> JsonObject | None:
    if request.recorded is not None:
        seen: JsonObject = {
            "input": request.input.input_json,
            "unmodelled": list(request.input.unmodelled),
        }
        return seen | request.recorded
    if request.ip is None:
        return None
    ip, tz = address(request.ip), request.agent.tz
    return entities.context(request.input, request.at_ms, tz, request.session, ip)


def _read_by(
    named: frozenset[str] | None, context: JsonObject, session: SessionFacts
) -> JsonObject:
    """The context as the engine gets it; the audit keeps the whole one."""
    if not session.tools or named is None or "tools" in named:
        return context
    return {**context, "session": entities.session_json(session, ())}


def own_records_of(agent: Agent, member: Member) -> str | None:
    """On an untrusted agent the member, whose own records alone permit; else None."""
    return member.id if agent.trust is Trust.UNTRUSTED else None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a decision was made with; stands in its audit row."""

    revision: PolicyRevision
    set_sha256: bytes
    schema_sha256: bytes


NO_STAMP: Final = Stamp(PolicyRevision(0), bytes(32), bytes(32))
"""Of a denial without a snapshot."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one evaluation came to."""

    reason: Reason
    determining: tuple[Determining, ...] = ()
    deny_messages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """One reason of all allows."""
        return self.reason is Reason.PERMITTED


def broken(error: BaseException) -> Verdict:
    """What an evaluation came to that did not come to its end."""
    return Verdict(Reason.ENGINE_ERROR, errors=clipped([repr(error)]))


@dataclass(frozen=True, slots=True)
class Probed:
    """What one statement alone said to a question. `error`: why it could not be evaluated."""

    is_satisfied: bool
    error: str | None


def judge(
    answer: str, reasons: Sequence[str], errors: Sequence[str], known: Mapping[str, Statement]
) -> Verdict:
    """Reads the engine's answer.

    `answer`: Allow, Deny or NoDecision; `known`: by policyN.
    """
    if errors or answer not in {"Allow", "Deny"}:
        return Verdict(Reason.ENGINE_ERROR, errors=clipped(errors or [f"the engine said {answer}"]))
    if any(name not in known for name in reasons):
        return Verdict(Reason.ENGINE_ERROR, errors=("the engine named an unknown statement",))
    found = sorted((known[name] for name in reasons), key=lambda one: one.ref)
    determining = tuple(one.ref for one in found)
    expected = Effect.PERMIT if answer == "Allow" else Effect.FORBID
    if any(ref.effect is not expected for ref in determining) or (answer == "Allow" and not found):
        return Verdict(Reason.ENGINE_ERROR, errors=("the engine's reasons contradict its answer",))
    if answer == "Allow":
        return Verdict(Reason.PERMITTED, determining)
    messages = tuple(one.deny_message for one in found if one.deny_message)
    return Verdict(Reason.FORBIDDEN if found else Reason.NO_PERMIT, determining, messages)


def clipped(errors: Sequence[str]) -> tuple[str, ...]:
    """At most 8 errors of at most 500 characters: what an audit row keeps."""
    return tuple(error[:MAX_ERROR_LENGTH] for error in errors[:MAX_ERRORS])


def compare(verdict: Verdict, shadow: Verdict) -> Shadow:
    """How the decision would have been with the shadow records enforced."""
    flip = None
    if verdict.is_allowed != shadow.is_allowed:
        flip = "allow_deny" if verdict.is_allowed else "deny_allow"
    return Shadow(shadow.is_allowed, flip, shadow.determining, shadow.errors)


def verdict_of(made: Decision) -> Verdict:
    """What a Decision came to."""
    return Verdict(made.reason, made.determining, made.deny_messages, made.errors)


def decision(
    stamp: Stamp,
    verdict: Verdict,
    shadow: Shadow | None = None,
    request: EncodedRequest | None = None,
    eval_us: int = 0,
) -> Decision:
    """The Decision of an evaluated call, or of a denial before evaluation."""
    return Decision(
        allow=verdict.is_allowed,
        reason=verdict.reason,
        determining=verdict.determining,
        deny_messages=verdict.deny_messages,
        errors=verdict.errors,
        shadow=shadow,
        request=request,
        revision=stamp.revision,
        set_sha256=stamp.set_sha256,
        schema_sha256=stamp.schema_sha256,
        eval_us=eval_us,
    )


def denial(reason: Reason, stamp: Stamp = NO_STAMP) -> Decision:
    """A denial that falls before evaluation. `stamp`: `NO_STAMP` if the agent has no snapshot."""
    return decision(stamp, Verdict(reason))


def refused(stamp: Stamp, refusal: EncodeRefusal) -> Decision:
    """The Decision on a call whose arguments or target have no representation."""
    return Decision(
        allow=False,
        reason=refusal.code,
        determining=(),
        deny_messages=(),
        errors=(),
        shadow=None,
        request=None,
        revision=stamp.revision,
        set_sha256=stamp.set_sha256,
        schema_sha256=stamp.schema_sha256,
        eval_us=0,
        pointer=refusal.pointer,
        expected=refusal.expected,
        cause=refusal.cause,
    )

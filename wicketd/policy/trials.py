"""What comes of statements that validate on the live actions (policy spec, 5.1, 6 and 8).

Counterparts: `policy.touches` says what a statement can hold for, `policy.checker` runs this last.
Invariant: on the safe side, a warning is certain; where the time is spent before all is tried,
nothing is said of the rest, for a call that the engine cannot decide is denied anyway.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Effect, Problem, StatementFacts
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import decisions, engine, entities, slices, touches, vectors
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place, problem
from wicketd.policy.encode import NOTHING
from wicketd.policy.engine import SchemaHandle
from wicketd.policy.entities import Subject, Uid
from wicketd.policy.names import EntityType, Names
from wicketd.policy.touches import OutOfTime

_ID: Final = "synthetic"
_EMPTY: Final[Mapping[str, Json]] = {"String": _ID, "Bool": False, "Set<String>": []}


def _nothing() -> None:
    """No limit."""


@dataclass
class Trials:
    """The questions to the engine, on some actions. `types`: of their resources, by name.

    `tick`: called before each; raises `OutOfTime`.
    """

    schema: SchemaHandle
    subjects: Sequence[Subject]
    types: Mapping[str, EntityType] = field(default_factory=dict)
    tick: Callable[[], None] = _nothing

    @classmethod
    def of(
        cls, schema: SchemaHandle, scope: Scope, tick: Callable[[], None] = _nothing
    ) -> "Trials":
        """On the live actions of a scope."""
        subjects = [one.subject() for one in scope.live]
        return cls(schema, subjects, _types(scope.names), tick)

    def read(self, statement: str) -> StatementFacts:
        """What a statement says.

        Raises:
            PolicyInvalid: guard or parser refuse the text.
        """
        (facts,) = engine.facts_of(statement)
        return facts

    def touched(self, statement: str, facts: StatementFacts) -> tuple[Uid, ...]:
        """The actions of which it may hold for some call."""
        found = touches.touched(statement, facts, self.subjects, self.schema, self.tick)
        return tuple(one.action for one in found)

    def always(self, statement: str, facts: StatementFacts) -> tuple[Uid, ...]:
        """The actions of which it holds for every call that its principal and resource match."""
        found = touches.always(statement, facts, self.subjects, self.schema, self.tick)
        return tuple(one.action for one in found)

    def failure(self, statement: str, facts: StatementFacts) -> str:
        """What the engine says where it cannot evaluate it to the end; empty: it can.

        One call is tried for each view that its conditions have of actions.
        """
        policy = engine.parsed(statement)
        for subject in touches.representatives(statement, facts, self.subjects):
            self.tick()
            asked, known = _call(subject, self.types)
            for error in engine.failures(policy, asked, engine.entities_of(known)):
                if decisions.TOO_DEEP in error:
                    return error
        return ""


def run(
    read: Sequence[tuple[Place, StatementFacts]], scope: Scope, trials: Trials
) -> list[Problem]:
    """What is found on statements that validate, in order."""
    if not scope.live:
        return []
    found: list[Problem] = []
    try:
        has_permits = any(facts.effect is Effect.PERMIT for _, facts in read)
        forbids = [*_forbids(read, scope, trials)] if has_permits else []
        for place, facts in read:
            found += _tried(place, facts, forbids, trials)
    except OutOfTime:
        return found
    return found


@dataclass(frozen=True, slots=True)
class _Forbid:
    """A forbid without a condition that a call could fail. `by`: how a sentence names it."""

    by: str
    facts: StatementFacts
    always: frozenset[Uid]


def _forbids(
    read: Sequence[tuple[Place, StatementFacts]], scope: Scope, trials: Trials
) -> Iterator[_Forbid]:
    """The forbids of the text and of the policies beside it."""
    named = [(place.source, facts, f"statement {place.number}") for place, facts in read]
    for text in scope.forbids:
        facts = trials.read(text)
        label = facts.annotations.get("id")
        named.append((text, facts, f"the forbid {label!r}" if label else "another policy"))
    for text, facts, by in named:
        if facts.effect is Effect.FORBID:
            yield _Forbid(by, facts, frozenset(trials.always(text, facts)))


def _tried(
    place: Place, facts: StatementFacts, forbids: Sequence[_Forbid], trials: Trials
) -> Iterator[Problem]:
    error = trials.failure(place.source, facts)
    if error:
        message = "Evaluating this goes deeper than the engine can. Split the statement."
        yield replace(
            problem(place.text, "too_deep", message, place.span, place), engine_message=error
        )
    touched = set(trials.touched(place.source, facts))
    if not touched:
        message = (
            "No call of a live tool, no prompt and no resource can match this. "
            "Check its scopes and conditions."
        )
        yield _warning(place, "unmatchable", message)
        return
    beaten = _beaten(facts, [one for one in trials.subjects if one.action in touched], forbids)
    if facts.effect is Effect.PERMIT and beaten:
        message = (
            f"Everything that this permits is forbidden by {' and '.join(beaten[:3])}. "
            "Narrow the forbid, or delete the permit."
        )
        yield _warning(place, "always_forbidden", message)


def _warning(place: Place, code: str, message: str) -> Problem:
    return replace(problem(place.text, code, message, place.span, place), severity="warning")


def _beaten(
    permit: StatementFacts, subjects: Sequence[Subject], forbids: Sequence[_Forbid]
) -> list[str]:
    """The forbids that together beat a permit for each of these subjects; empty: they do not."""
    by: dict[str, None] = {}
    for subject in subjects:
        stronger = next((one for one in forbids if _beats(one, permit, subject)), None)
        if stronger is None:
            return []
        by[stronger.by] = None
    return list(by)


def _beats(forbid: _Forbid, permit: StatementFacts, at: Subject) -> bool:
    if at.action not in forbid.always:
        return False
    who = forbid.facts.principal
    what = slices.listing_scope(forbid.facts.resource, at.service, at.types)
    is_about = who.get("op") == "All" or who == permit.principal
    own = slices.listing_scope(permit.resource, at.service, at.types)
    return is_about and what is not None and (what.get("op") == "All" or what == own)


def _types(names: Names | None) -> Mapping[str, EntityType]:
    return {} if names is None else {one.name: one for one in names.types}


def _call(subject: Subject, types: Mapping[str, EntityType]) -> tuple[JsonObject, list[Json]]:
    """A call that nobody made: the request, and the entities it is about."""
    kind = types.get(subject.types[0])
    attrs = {one.name: _EMPTY.get(one.type, _ID) for one in kind.attributes} if kind else {}
    at = replace(subject, resource=(subject.types[0], _ID), attrs=attrs)
    session = SessionFacts(0, 0, (), 0)
    context = entities.context(NOTHING, vectors.AT_MS, "UTC", session, "192.0.2.1")
    asked: JsonObject = {
        "principal": entities.uid_json(entities.member_uid(vectors.MEMBER)),
        "action": entities.uid_json(at.action),
        "resource": entities.uid_json(at.resource),
        "context": msgspec.json.encode(context).decode(),
    }
    return asked, entities.stable(vectors.AGENT.key, vectors.MEMBER, at)

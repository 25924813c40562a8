"""Which tools a statement can ever matter for (policy spec, 7.4).

Counterparts: `policy.slices` for scopes, `policy.engine` for what partial evaluation leaves;
`policy.child` asks, `services.policy_touches` reads. Invariant: on the safe side, a statement that
may hold for some call of a tool touches it.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Effect, StatementFacts
from wicketd.policy import engine, entities, heads, lexer, slices
from wicketd.policy.engine import PolicyHandle, SchemaHandle
from wicketd.policy.entities import Subject, Uid

_NOTHING: Final[JsonObject] = {"Value": False}


class Touch(msgspec.Struct, frozen=True):
    """One statement that parses and validates.

    `number`: from 1; `label`: its @id; `start`: its first code point; `actions`: what it touches.
    """

    number: int
    effect: Effect
    label: str | None
    start: int
    actions: tuple[Uid, ...]


_Seen: TypeAlias = tuple[frozenset[Uid], str | None]
"""The named entities among an action and its ancestors, and its type where that is tested."""
Reach: TypeAlias = Callable[[str, StatementFacts], tuple[Uid, ...]]
"""Actions that a statement touches."""


def touches(text: str, has_errors: Callable[[str], bool], reach: Reach) -> list[Touch]:
    """What each statement of a guarded text touches; those with errors are left out.

    `has_errors`: whether the validator refuses a statement.
    """
    found: list[Touch] = []
    for number, span in enumerate(lexer.split(text), 1):
        statement = text[span.start : span.end]
        try:
            (facts,) = engine.facts_of(statement)
        except PolicyInvalid:
            continue
        if not has_errors(statement):
            label, actions = facts.annotations.get("id"), reach(statement, facts)
            found.append(Touch(number, facts.effect, label, span.start, actions))
    return found


class OutOfTime(Exception):
    """The time for questions to the engine is spent."""


def _nothing() -> None:
    """No limit."""


def touched(
    statement: str,
    facts: StatementFacts,
    subjects: Iterable[Subject],
    schema: SchemaHandle,
    tick: Callable[[], None] = _nothing,
) -> list[Subject]:
    """The subjects whose calls a statement that parses and validates can match.

    `tick`: called before each question to the engine; what it raises ends the work.

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    policy = engine.parsed(statement)

    def may_hold(at: Subject) -> bool:
        tick()
        left = _left(policy, at, schema)
        return left is None or not _never(left)

    return _where(statement, _inside(facts, subjects), may_hold)


def always(
    statement: str,
    facts: StatementFacts,
    subjects: Iterable[Subject],
    schema: SchemaHandle,
    tick: Callable[[], None] = _nothing,
) -> list[Subject]:
    """The subjects of whose calls it matches all that its principal and resource scopes match.

    A condition that reads anything but the action is taken for one that a call can fail.

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    if not heads.is_sure(statement):
        return []
    policy = engine.parsed(heads.opened(statement))

    def must_hold(at: Subject) -> bool:
        tick()
        return _left(policy, at, schema) is None

    return _where(statement, _inside(facts, subjects), must_hold)


def representatives(
    statement: str, facts: StatementFacts, subjects: Iterable[Subject]
) -> list[Subject]:
    """Of the subjects that its scopes match, one for each view that its conditions have of them."""
    seen_as = _view(statement)
    first: dict[_Seen, Subject] = {}
    for one in _inside(facts, subjects):
        first.setdefault(seen_as(one), one)
    return list(first.values())


def _inside(facts: StatementFacts, subjects: Iterable[Subject]) -> list[Subject]:
    """The subjects that action and resource scope can match."""
    actions = slices.scoped_actions(facts.action)
    return [
        one
        for one in subjects
        if (actions is None or not actions.isdisjoint(one.actions))
        and slices.listing_scope(facts.resource, one.service, one.types) is not None
    ]


def _where(
    statement: str, inside: Iterable[Subject], holds: Callable[[Subject], bool]
) -> list[Subject]:
    """The subjects for which something holds, asked once for those that conditions see alike."""
    seen_as = _view(statement)
    answers: dict[_Seen, bool] = {}
    found: list[Subject] = []
    for one in inside:
        seen = seen_as(one)
        if seen not in answers:
            answers[seen] = holds(one)
        if answers[seen]:
            found.append(one)
    return found


def _view(statement: str) -> Callable[[Subject], _Seen]:
    """What the conditions of a statement can see of an action that its head matches.

    An action has no attributes: conditions compare it with the entities that they name, ask what it
    lies in, and may test its type. Actions that are seen alike have one answer.
    """
    conditions = heads.conditions(statement)
    named = frozenset((path.type, path.id) for path in lexer.paths(conditions))
    tests_type = any(token.text == "is" for token in lexer.significant(conditions))

    def seen(one: Subject) -> _Seen:
        return named & one.actions, one.action[0] if tests_type else None

    return seen


def _left(policy: PolicyHandle, at: Subject, schema: SchemaHandle) -> JsonObject | None:
    known = engine.entities_of(entities.of_action(at))
    return engine.residual(policy, at.action, known, schema)


def _never(residual: JsonObject) -> bool:
    """Whether a residual cannot become true: a conjunction with a false in it."""
    conditions = residual.get("conditions")
    if not isinstance(conditions, list):
        return True
    return any(isinstance(one, dict) and _false(one.get("body")) for one in conditions)


def _false(expression: Json) -> bool:
    pending, is_false = [expression], False
    while pending and not is_false:
        one = pending.pop()
        if not isinstance(one, dict):
            continue
        is_false = one == _NOTHING
        both = one.get("&&")
        if isinstance(both, dict):
            pending += [both.get("left"), both.get("right")]
    return is_false

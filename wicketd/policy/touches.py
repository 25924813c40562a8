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
from wicketd.policy.schema import ToolShape

_NOTHING: Final[JsonObject] = {"Value": False}


class ToolAt(msgspec.Struct, frozen=True):
    """What statements can match a tool by, as it goes to the policy child."""

    action: Uid
    groups: tuple[Uid, ...]
    service: str
    types: tuple[str, ...]

    @classmethod
    def of(cls, shape: ToolShape) -> "ToolAt":
        """A tool of a schema."""
        return cls(shape.action, shape.groups, shape.service, shape.types)

    def subject(self) -> Subject:
        """The subject of its calls, which no question about actions asks for attributes."""
        actions = frozenset((self.action, *self.groups))
        nothing = ("Wicket::Tool", "")
        return Subject(self.action, self.groups, nothing, {}, self.service, self.types, actions)


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
    actions = slices.scoped_actions(facts.action)
    policy, seen_as = engine.parsed(statement), _view(statement)
    answers: dict[_Seen, bool] = {}
    found: list[Subject] = []
    for one in subjects:
        if actions is not None and actions.isdisjoint(one.actions):
            continue
        if slices.listing_scope(facts.resource, one.service, one.types) is None:
            continue
        seen = seen_as(one)
        if seen not in answers:
            tick()
            answers[seen] = _can_hold(policy, one, schema)
        if answers[seen]:
            found.append(one)
    return found


def _view(statement: str) -> Callable[[Subject], _Seen]:
    """What the conditions of a statement can see of an action that its head matches.

    An action has no attributes: conditions compare it with the entities that they name, ask what it
    lies in, and may test its type. Actions that are seen alike have one answer.
    """
    conditions = statement[heads.scope(statement)[-1].end :]
    named = frozenset((path.type, path.id) for path in lexer.paths(conditions))
    tests_type = any(token.text == "is" for token in lexer.significant(conditions))

    def seen(one: Subject) -> _Seen:
        return named & one.actions, one.action[0] if tests_type else None

    return seen


def _can_hold(policy: PolicyHandle, at: Subject, schema: SchemaHandle) -> bool:
    """Whether a statement can hold for some call of an action."""
    left = engine.residual(policy, at.action, entities.of_action(at), schema)
    return left is None or not _never(left)


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

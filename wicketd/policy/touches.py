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
from wicketd.policy import engine, entities, lexer, slices
from wicketd.policy.engine import SchemaHandle
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
    inside = [
        one
        for one in subjects
        if (actions is None or not actions.isdisjoint(one.actions))
        and slices.listing_scope(facts.resource, one.service, one.types) is not None
    ]
    # Where no condition names the action, what holds for one of them holds for all.
    is_alike = sum(token.text == "action" for token in lexer.significant(statement)) == 1
    if is_alike:
        tick()
        return inside if inside and _can_hold(statement, inside[0], schema) else []
    found: list[Subject] = []
    for one in inside:
        tick()
        if _can_hold(statement, one, schema):
            found.append(one)
    return found


def _can_hold(statement: str, at: Subject, schema: SchemaHandle) -> bool:
    """Whether a statement can hold for some call of an action."""
    left = engine.residual(statement, at.action, entities.of_action(at), schema)
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

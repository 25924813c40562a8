"""Which tools a statement can ever matter for (policy spec, 7.4).

Counterparts: `policy.slices` for scopes, `policy.engine` for what partial evaluation leaves.
Invariant: on the safe side, a statement that may hold for some call of a tool touches it.
"""

from collections.abc import Iterable
from typing import Final

from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import StatementFacts
from wicketd.policy import engine, entities, lexer, slices
from wicketd.policy.engine import SchemaHandle
from wicketd.policy.entities import Subject

_NOTHING: Final[JsonObject] = {"Value": False}


def touched(
    statement: str, facts: StatementFacts, subjects: Iterable[Subject], schema: SchemaHandle
) -> list[Subject]:
    """The subjects whose calls a statement that parses and validates can match.

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
        return inside if inside and _can_hold(statement, inside[0], schema) else []
    return [one for one in inside if _can_hold(statement, one, schema)]


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

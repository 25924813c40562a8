"""Checks a policy text before it is saved (policy spec, 5.1).

Counterpart of `policy.engine`, which parses and validates; runs in the policy child. Invariant:
guard first, then each statement alone, since the engine reports the first error of a text only; one
broken statement hides no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.policies import Problem, StatementFacts
from wicketd.policy import checks, diagnose, engine, lexer, remarks
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place
from wicketd.policy.engine import SchemaHandle
from wicketd.policy.lexer import Span
from wicketd.policy.trials import Trials, run

Read: TypeAlias = tuple[Place, StatementFacts]
"""A statement that parses, with what it says."""

_CAUSES: Final = {"mixed_types": "type_mismatch", "targeted_tool": "never_applies"}
"""Where the validator only says that types differ or do not meet, ours says what to do."""


def check(
    schema: SchemaHandle,
    text: str,
    scope: Scope,
    validate: Callable[[str], list[str]] | None = None,
    trials: Trials | None = None,
) -> list[Problem]:
    """What stands against saving a text, errors first, at most 100; without errors it compiles.

    `validate`, `trials`: `engine.validate` and the trials under that schema, where somebody
    remembers their answers.
    """
    refused = diagnose.of_guard(text)
    if refused:
        return refused
    spans = lexer.split(text)
    if not spans:
        message = "The policy has no statement. Write a permit or a forbid."
        return [diagnose.problem(text, "syntax", message, Span(0, len(text)))]
    trials = trials or Trials.of(schema, scope)
    places = [Place(text, span, number) for number, span in enumerate(spans, 1)]
    parsed = [(place, _read(place, trials)) for place in places]
    found = [problem for place, facts in parsed if facts is None for problem in _syntax(place)]
    read = [(place, facts) for place, facts in parsed if facts is not None]
    ask = validate or (lambda statement: engine.validate(statement, schema))
    found += _meaning(text, read, scope, ask)
    broken = {one.statement for one in found if one.severity == "error"}
    sound = [(place, facts) for place, facts in read if place.number not in broken]
    gone = {one.statement for one in found if one.code == "gone_tool"}
    found += [
        one
        for one in run(sound, scope, trials)
        # What names a tool that is gone is said to do so; that it matches nothing follows.
        if not (one.code == "unmatchable" and one.statement in gone)
    ]
    return diagnose.ordered(found)


def _meaning(
    text: str, parsed: Sequence[Read], scope: Scope, ask: Callable[[str], list[str]]
) -> list[Problem]:
    """What stands against the statements that parse."""
    ours = [*checks.run(text, parsed, scope), *remarks.run(parsed, scope)]
    said = {(_CAUSES.get(one.code), one.statement) for one in ours}
    theirs = [
        problem
        for place, _ in parsed
        for problem in diagnose.of_validation(place, ask(place.source), ask, scope.names)
        if (problem.code, place.number) not in said
    ]
    return [*ours, *theirs]


def _read(place: Place, trials: Trials) -> StatementFacts | None:
    """What a statement says; None: it does not parse."""
    try:
        facts = trials.read(place.source)
    except PolicyInvalid:
        return None
    return replace(facts, start=place.span.start, end=place.span.end)


def _syntax(place: Place) -> list[Problem]:
    message = engine.parse_error(place.source) or "the statement does not parse"
    return [diagnose.of_syntax(place, message, partial(engine.parse_error, is_part=True))]

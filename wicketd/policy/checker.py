"""Checks a policy text before it is saved (policy spec, 5.1).

Counterpart of `policy.engine`, which parses and validates; runs in the policy child. Invariant:
guard first, then each statement alone, since the engine reports the first error of a text only.
"""

from wicketd.domain.policies import Problem
from wicketd.policy import checks, diagnose, engine, lexer
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place
from wicketd.policy.engine import SchemaHandle
from wicketd.policy.lexer import Span


def check(schema: SchemaHandle, text: str, scope: Scope) -> list[Problem]:
    """What stands against saving a text, errors first, at most 100; without errors it compiles."""
    findings = lexer.guard(text)
    if findings:
        return diagnose.ordered([diagnose.of_finding(text, finding) for finding in findings])
    spans = lexer.split(text)
    if not spans:
        message = "The policy has no statement. Write a permit or a forbid."
        return [diagnose.problem(text, "syntax", message, Span(0, len(text)))]
    places = [Place(text, span, number) for number, span in enumerate(spans, 1)]
    broken = [problem for place in places for problem in _syntax(place)]
    if broken:
        return diagnose.ordered(broken)
    ours = checks.run(text, engine.facts_of(text), scope)
    mixed = {one.statement for one in ours if one.code == "mixed_types"}
    theirs = [
        problem
        for place in places
        for problem in diagnose.of_validation(place, engine.validate(place.source, schema))
        # The validator says of a mixed list only that its types differ; ours says what to do.
        if not (problem.code == "type_mismatch" and place.number in mixed)
    ]
    return diagnose.ordered([*ours, *theirs])


def _syntax(place: Place) -> list[Problem]:
    message = engine.parse_error(place.source)
    return [diagnose.of_syntax(place, message)] if message is not None else []

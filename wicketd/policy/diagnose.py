"""Turns findings of the guard and messages of the engine into problems with positions.

Counterpart of `policy.checker`; `bisection` and `masking` find the place, `hints` the fix.
Invariant: pure but for what it is handed to ask the engine with; a place that only may be right is
said to be approximate.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from wicketd.domain.policies import Problem
from wicketd.policy import bisection, hints, lexer, masking
from wicketd.policy.bisection import Located
from wicketd.policy.lexer import Path, Span, Token
from wicketd.policy.names import Names

MAX_PROBLEMS: Final = 100

_CODES: Final = (
    (re.compile(r"unrecognized action"), "unknown_action"),
    (re.compile(r"unrecognized entity type"), "unknown_type"),
    (re.compile(r"unable to guarantee safety of access to optional"), "unguarded_attribute"),
    (re.compile(r"attribute `.*not found|record does not have"), "unknown_attribute"),
    (re.compile(r"unable to find an applicable action"), "never_applies"),
    (re.compile(r"empty set literals"), "empty_list"),
    (re.compile(r"argument validation"), "bad_literal"),
    (re.compile(r"number of arguments|not a valid (function|method)"), "call_shape"),
)
_NEXT_STEPS: Final = {
    "unknown_action": "No live tool has this name. Choose one from the schema.",
    "unknown_type": "The schema has no such type. Choose one from the schema.",
    "unknown_attribute": "There is no such attribute here. Choose one from the schema.",
    "unguarded_attribute": "The attribute can be absent. Check it with `has` first.",
    "never_applies": "No action fits principal and resource of this head. Change one of them.",
    "empty_list": "An empty list never matches. Write its elements, or leave it out.",
    "bad_literal": "The text in this literal has the wrong form. Correct it.",
    "call_shape": "This function or method is not called like that. See its signature.",
    "type_mismatch": "These types do not go together. Compare values of one type.",
    "syntax": "The statement cannot be read. Correct it at the marked place.",
}
_METHOD: Final = "not a valid method"
_PREFIX: Final = re.compile(r"^(for policy `policy\d+`, |Policy parse error: )")


@dataclass(frozen=True)
class Place:
    """A statement of a text, lexed once. `number` counts from 1."""

    text: str
    span: Span
    number: int

    @property
    def source(self) -> str:
        """The statement's own text."""
        return self.text[self.span.start : self.span.end]

    @cached_property
    def tokens(self) -> list[Token]:
        """The statement's tokens that mean something; offsets in the statement."""
        return lexer.significant(self.source)

    @cached_property
    def paths(self) -> list[Path]:
        """The statement's entity literals; offsets in the statement."""
        return lexer.paths(self.source)


def of_guard(text: str) -> list[Problem]:
    """What the guard has against a text, in the order and number of `ordered`."""
    return ordered(
        [
            problem(text, one.code, one.message, Span(one.start, one.end))
            for one in lexer.guard(text)
        ]
    )


def problem(
    text: str,
    code: str,
    message: str,
    span: Span,
    place: Place | None = None,
    fix: str | None = None,
) -> Problem:
    """An error at a span of the text. `fix`: what would stand there instead."""
    line, col = lexer.line_col(text, span.start)
    number = place.number if place is not None else None
    return Problem("error", code, message, None, span.start, span.end, line, col, number, fix=fix)


def of_syntax(place: Place, message: str, probe: bisection.Probe) -> Problem:
    """A parser's message on one statement, at the place that asking the parser finds."""
    found = bisection.locate(place.source, message, probe)
    code = "call_shape" if "not a valid function" in message or _METHOD in message else "syntax"
    return _placed(place, code, message, found)


def of_validation(
    place: Place, messages: Sequence[str], ask: masking.Validate, names: Names | None = None
) -> list[Problem]:
    """A validator's messages on one statement; those that many actions share become one."""
    alike: dict[str, list[str]] = {}
    for message in messages:
        alike.setdefault(masking.general(message), []).append(message)
    found: dict[tuple[str, int, int], Problem] = {}
    for same in alike.values():
        code, spot = code_of(same[0]), masking.locate(place.source, same[0], messages, ask)
        spot, near = hints.hint(place.source, code, same, spot, names)
        one = _placed(place, code, same[0], spot, near, len(same))
        found.setdefault((code, one.start, one.end), one)
    named = {"unknown_action", "unknown_type"}
    if any(code in named for code, _, _ in found):
        # A head that names nothing applies to nothing: one cause, one problem.
        found = {key: one for key, one in found.items() if key[0] != "never_applies"}
    return list(found.values())


def code_of(message: str) -> str:
    """The problem code of a validator's message."""
    for pattern, code in _CODES:
        if pattern.search(message):
            return code
    return "type_mismatch"


def ordered(problems: Sequence[Problem]) -> list[Problem]:
    """Errors first, then by position, and no more than 100."""
    by_place = sorted(problems, key=lambda one: (one.severity != "error", one.start, one.end))
    return by_place[:MAX_PROBLEMS]


def _placed(
    place: Place, code: str, message: str, spot: Located, near: str | None = None, tools: int = 1
) -> Problem:
    start, end = place.span.start + spot.span.start, place.span.start + spot.span.end
    line, col = lexer.line_col(place.text, start)
    said = masking.general(message) if tools > 1 else _PREFIX.sub("", message)
    more = f" for {tools} actions" if tools > 1 else ""
    meant = f"Did you mean {near}?" if near else _NEXT_STEPS[code]
    return Problem(
        severity="error",
        code=code,
        message=f"{said[:1].upper()}{said[1:]}{more}. {meant}",
        engine_message=message,
        start=start,
        end=end,
        line=line,
        col=col,
        statement=place.number,
        approximate=spot.approximate,
        fix=spot.fix,
    )

"""Turns findings of the guard and messages of the engine into problems with positions.

Counterpart of `policy.checker`. Invariant: pure; where a message names nothing that stands once in
the statement, the whole statement is marked and said to be approximate.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.policies import Problem
from wicketd.policy import lexer
from wicketd.policy.lexer import Finding, Span, Token

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
_QUOTED: Final = re.compile(r"`([^`]*)`")
_PREFIX: Final = re.compile(r"^(for policy `policy\d+`, |Policy parse error: )")


@dataclass(frozen=True, slots=True)
class Place:
    """A statement of a text. `number` counts from 1."""

    text: str
    span: Span
    number: int

    @property
    def source(self) -> str:
        """The statement's own text."""
        return self.text[self.span.start : self.span.end]


def of_finding(text: str, finding: Finding) -> Problem:
    """A guard finding as a problem."""
    span = Span(finding.start, finding.end)
    return problem(text, finding.code, finding.message, span)


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


def of_syntax(place: Place, message: str) -> Problem:
    """A parser's message on one statement, at a broken token if there is one."""
    tokens = lexer.significant(place.source)
    broken = next((token for token in tokens if token.kind in {"bad", "openstring"}), None)
    code = "call_shape" if "not a valid" in message else "syntax"
    span = Span(broken.start, broken.end) if broken else _named(tokens, message)
    return _placed(place, code, message, span)


def of_validation(place: Place, messages: Sequence[str]) -> list[Problem]:
    """A validator's messages on one statement; those that many actions share become one."""
    tokens = lexer.significant(place.source)
    found: dict[tuple[str, int, int], Problem] = {}
    for message in messages:
        code = code_of(message)
        one = _placed(place, code, message, _named(tokens, message))
        key = (code, one.start, one.end)
        found.setdefault(key, one)
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


def _placed(place: Place, code: str, message: str, span: Span | None) -> Problem:
    start = place.span.start + (span.start if span else 0)
    end = place.span.start + span.end if span else place.span.end
    line, col = lexer.line_col(place.text, start)
    said = _PREFIX.sub("", message)
    text = f"{said[:1].upper()}{said[1:]}. {_NEXT_STEPS[code]}"
    return Problem(
        severity="error",
        code=code,
        message=text,
        engine_message=message,
        start=start,
        end=end,
        line=line,
        col=col,
        statement=place.number,
        approximate=span is None,
    )


def _named(tokens: Sequence[Token], message: str) -> Span | None:
    """The one place in the statement that a quoted part of the message can mean."""
    for quoted in _QUOTED.findall(_PREFIX.sub("", message)):
        wanted = [token.text for token in lexer.significant(quoted)]
        spans = _occurrences(tokens, wanted)
        if len(spans) == 1:
            return spans[0]
    return None


def _occurrences(tokens: Sequence[Token], wanted: Sequence[str]) -> list[Span]:
    """Where these tokens stand in a row; an attribute may stand as a string too."""
    size = len(wanted)
    if not size:
        return []
    texts = [_plain(token.text) for token in tokens]
    plain = [_plain(text) for text in wanted]
    return [
        Span(tokens[at].start, tokens[at + size - 1].end)
        for at in range(len(texts) - size + 1)
        if texts[at : at + size] == plain
    ]


def _plain(text: str) -> str:
    is_string = len(text) > 1 and text[0] == text[-1] == '"'
    return lexer.unquote(text) if is_string else text

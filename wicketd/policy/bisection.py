"""Where a statement stops being readable: the engine says what is wrong, never where (9.2).

Counterpart of `policy.engine`, whose parser it asks about prefixes. Invariant: the probe is a
prefix and ` ;`, for the parser recovers at `;`, and a bare prefix would hide the fault; a span that
only may be right is said to be approximate.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wicketd.policy import conditions, lexer
from wicketd.policy.lexer import Span, Token

Probe = Callable[[str], str | None]
"""The parser's message on a text that is no deeper than the guarded statement; None: it parses."""

_GRAMMAR: Final = re.compile(r"^unexpected (token|end of input)|^invalid token")
_ITSELF: Final = "unexpected token `;`"
_NAMED: Final = (
    re.compile(r"^invalid policy effect: (.+)$"),
    re.compile(r"^invalid policy condition: (.+)$"),
    re.compile(r"^found an invalid variable in the policy scope: (.+)$"),
    re.compile(r"^this identifier is reserved and cannot be used: (.+)$"),
    re.compile(r"^duplicate annotation: @(.+)$"),
    re.compile(r"^'(.+)' is not a valid operator"),
    re.compile(r"^integer parse error"),
)
_QUOTED: Final = re.compile(r"`([^`]*)`")
_LONG: Final = 2**63
_RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "has", "like", "is"})
_OPENERS: Final = frozenset("([{")
_CLOSERS: Final = frozenset(")]}")


class Located(NamedTuple):
    """A span of the statement, and whether it only may be right."""

    span: Span
    approximate: bool = False
    fix: str | None = None


def locate(statement: str, message: str, probe: Probe) -> Located:
    """The place of the parser's message on a statement that it refuses."""
    tokens = lexer.significant(statement)
    broken = next((token for token in tokens if token.kind in {"bad", "openstring"}), None)
    if broken is not None:
        return Located(Span(broken.start, broken.end))
    if not tokens:
        return Located(Span(0, len(statement)), approximate=True)
    if _GRAMMAR.search(message):
        return _unexpected(statement, tokens, message, probe)
    return _misused(statement, tokens, message, probe)


def _unexpected(statement: str, tokens: Sequence[Token], message: str, probe: Probe) -> Located:
    """The last token of the shortest prefix that nothing can follow."""
    low, high = 0, len(tokens) + 1
    while high - low > 1:
        middle = (low + high) // 2
        said = probe(statement[: tokens[middle - 1].end] + " ;")
        is_viable = said is None or said == _ITSELF or not _GRAMMAR.search(said)
        low, high = (middle, high) if is_viable else (low, middle)
    if high <= len(tokens):
        return Located(Span(tokens[high - 1].start, tokens[high - 1].end))
    last = tokens[-1]
    if message == _ITSELF:
        return Located(Span(last.start, last.end))
    fix = ";" if probe(statement + " ;") is None else None
    return Located(Span(last.end, last.end), fix=fix)


def _misused(statement: str, tokens: Sequence[Token], message: str, probe: Probe) -> Located:
    """What the grammar lets pass and the parser then refuses: in its region, what it names."""
    region, is_sure = _region(statement, message, probe)
    inside = [one for one in tokens if region.start <= one.start and one.end <= region.end]
    if message.startswith("multiple relational operators"):
        return _second_relation(inside, region)
    if "is missing the" in message:
        return Located(region, approximate=True)
    spans = _mentions(inside, message)
    if len(spans) == 1:
        return Located(spans[0])
    if message.startswith("duplicate ") and spans:
        return Located(spans[1])
    if "where the variable" in message and spans:
        return Located(spans[0])
    if spans and is_sure:
        return Located(spans[0], approximate=True)
    return Located(region, approximate=True)


def _mentions(tokens: Sequence[Token], message: str) -> list[Span]:
    """Where the words stand that the message is about, by the first that stands at all."""
    if message.startswith("integer parse error"):
        numbers = [one for one in tokens if one.kind == "number" and int(one.text[:40]) >= _LONG]
        return [Span(one.start, one.end) for one in numbers]
    named = [match[1] for pattern in _NAMED[:-1] if (match := pattern.search(message))]
    for wanted in [*named, *_QUOTED.findall(message)]:
        if wanted.startswith("\\"):
            found = [one for one in tokens if one.kind == "string" and wanted in one.text]
            spans = [Span(one.start, one.end) for one in found]
        else:
            spans = occurrences(tokens, lexer.significant(wanted))
        if spans:
            return spans
    return []


def occurrences(tokens: Sequence[Token], wanted: Sequence[Token]) -> list[Span]:
    """Where these tokens stand in a row; a name may stand as a string too."""
    size = len(wanted)
    if not size:
        return []
    texts, plain = [_plain(one) for one in tokens], [_plain(one) for one in wanted]
    return [
        Span(tokens[at].start, tokens[at + size - 1].end)
        for at in range(len(texts) - size + 1)
        if texts[at : at + size] == plain
    ]


def _plain(token: Token) -> str:
    return lexer.unquote(token.text) if token.kind == "string" else token.text


def _region(statement: str, message: str, probe: Probe) -> tuple[Span, bool]:
    """The scope or operand without which the parser says something else; else all of it."""
    whole = Span(0, len(statement))
    try:
        parts = conditions.parts(statement)
    except (ValueError, IndexError):
        return whole, False
    for part in conditions.operands(parts):
        bare = "true" if part.kind == "leaf" else part.kind
        changed = statement[: part.start] + bare + statement[part.end :]
        if probe(changed) != message:
            return Span(part.start, part.end), True
    return whole, False


def _second_relation(tokens: Sequence[Token], region: Span) -> Located:
    """The operator that would have needed brackets: the second of one depth in one operand."""
    seen: list[bool] = [False]
    for token in tokens:
        if token.kind != "string" and token.text in _OPENERS:
            seen.append(False)
        elif token.kind != "string" and token.text in _CLOSERS:
            del seen[max(1, len(seen) - 1) :]
        elif token.text in {"&&", "||", ",", "then", "else", ":"}:
            seen[-1] = False
        elif token.kind in {"op", "ident"} and token.text in _RELATIONS:
            if seen[-1]:
                return Located(Span(token.start, token.end))
            seen[-1] = True
    return Located(region, approximate=True)

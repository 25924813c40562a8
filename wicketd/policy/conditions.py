"""A statement taken apart: its three scopes, its clauses, and the operands of their conditions.

Counterpart of `policy.simulate`, which asks the engine about each part. Invariant: pure, on text
that parses; the parts are spans of the statement, put together by the operators they stand under.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.policy import heads, lexer
from wicketd.policy.lexer import Token

_OPENERS: Final = frozenset("([{")
_CLOSERS: Final = frozenset(")]}")
_BEHIND_NOT: Final = frozenset(
    {"==", "!=", "<", "<=", ">", ">=", "in", "has", "like", "is", "+", "-", "*", "/", "%"}
)
"""Operators that bind looser than `!`: with one of them, `!` negates a part of the leaf only."""
_ROOTS: Final = frozenset({"principal", "action", "resource", "context"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a statement.

    `kind`: principal, action or resource (scopes), when or unless (clauses), and, or, not, leaf.
    `start`, `end`: code points in the statement. A clause has one child.
    """

    kind: str
    text: str
    start: int
    end: int
    children: tuple["Part", ...] = ()


def parts(statement: str) -> list[Part]:
    """Scopes, then clauses, in the order in which they stand.

    Raises:
        ValueError: the statement has no head.
    """
    scope = heads.scope(statement)
    slots = [one for one in _split(scope[1:-1], ",") if one]
    found = [
        _part(statement, kind, slot)
        for kind, slot in zip(("principal", "action", "resource"), slots, strict=True)
    ]
    rest = [one for one in lexer.significant(statement) if one.start >= scope[-1].end]
    return [*found, *_clauses(statement, rest)]


def operands(parts: Sequence[Part]) -> Iterator[Part]:
    """The scopes and the boolean leaves, in the order in which they stand."""
    for part in parts:
        if part.children:
            yield from operands(part.children)
        else:
            yield part


def reads(text: str) -> list[tuple[str, ...]]:
    """The variables that an expression reads, each as its path: `("context", "input", "path")`.

    A method's name is no part of it; the attribute that `has` asks for is.
    """
    tokens = lexer.significant(text)
    found: dict[tuple[str, ...], None] = {}
    at = 0
    while at < len(tokens):
        before = tokens[at - 1].text if at else ""
        token = tokens[at]
        at += 1
        if token.kind == "ident" and token.text in _ROOTS and before not in {".", "::"}:
            path, at = _path(tokens, at)
            found[(token.text, *path)] = None
    return list(found)


def _path(tokens: Sequence[Token], at: int) -> tuple[list[str], int]:
    """The attributes behind a variable, and the place behind them."""
    path: list[str] = []
    while at + 1 < len(tokens):
        sign, name = tokens[at], tokens[at + 1]
        after = tokens[at + 2].text if at + 2 < len(tokens) else ""
        if sign.text in {".", "has"} and name.kind == "ident" and after != "(":
            path.append(name.text)
            at += 2
        elif sign.text == "[" and name.kind == "string" and after == "]":
            path.append(lexer.unquote(name.text))
            at += 3
        elif sign.text == "has" and name.kind == "string":
            path.append(lexer.unquote(name.text))
            at += 2
        else:
            break
    return path, at


def _clauses(statement: str, tokens: Sequence[Token]) -> Iterator[Part]:
    at = 0
    while at < len(tokens) and tokens[at].text in {"when", "unless"}:
        end = _closing(tokens, at + 1)
        inner = _expression(statement, tokens[at + 2 : end])
        yield _part(statement, tokens[at].text, tokens[at : end + 1], (inner,))
        at = end + 1


def _expression(statement: str, tokens: Sequence[Token]) -> Part:
    if tokens[0].text == "if":
        return _part(statement, "leaf", tokens)
    for operator, kind in (("||", "or"), ("&&", "and")):
        operands = _split(tokens, operator)
        if len(operands) > 1:
            children = tuple(_expression(statement, one) for one in operands)
            return _part(statement, kind, tokens, children)
    if tokens[0].text == "!" and not any(one.text in _BEHIND_NOT for one in _flat(tokens)):
        return _part(statement, "not", tokens, (_expression(statement, tokens[1:]),))
    if tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        return _expression(statement, tokens[1:-1])
    return _part(statement, "leaf", tokens)


def _part(
    statement: str, kind: str, tokens: Sequence[Token], children: tuple[Part, ...] = ()
) -> Part:
    start, end = tokens[0].start, tokens[-1].end
    return Part(kind, statement[start:end], start, end, children)


def _split(tokens: Sequence[Token], separator: str) -> list[Sequence[Token]]:
    """The runs of tokens between separators outside brackets."""
    runs: list[Sequence[Token]] = []
    depth, start = 0, 0
    for at, token in enumerate(tokens):
        depth += (token.text in _OPENERS) - (token.text in _CLOSERS)
        if depth == 0 and token.text == separator:
            runs.append(tokens[start:at])
            start = at + 1
    return [*runs, tokens[start:]]


def _flat(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens outside brackets."""
    depth = 0
    for token in tokens:
        depth += token.text in _OPENERS
        if depth == 0:
            yield token
        depth -= token.text in _CLOSERS


def _closing(tokens: Sequence[Token], at: int) -> int:
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place].text in _OPENERS) - (tokens[place].text in _CLOSERS)
        if depth == 0:
            return place
    raise ValueError("A bracket is not closed.")

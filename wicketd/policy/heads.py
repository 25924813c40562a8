"""The head of a statement: annotations, effect and the three scopes, apart from its conditions.

Counterpart of `policy.lexer`. Invariant: pure, on text that parses; conditions may be any chain
that the guard passes, which is deeper than a JSON reader follows, so they are cut off first.
"""

from wicketd.policy import lexer
from wicketd.policy.lexer import Token

_EFFECTS = frozenset({"permit", "forbid"})
_FACTS = frozenset({"principal", "resource", "context"})


def head(statement: str) -> str:
    """The statement without its conditions.

    Raises:
        ValueError: it has no head.
    """
    return statement[: scope(statement)[-1].end] + ";"


def with_resource(statement: str, clause: str) -> str:
    """The statement with another third scope.

    Raises:
        ValueError: it has no head.
    """
    _, commas, behind = _separated(statement)
    return f"{statement[: commas[1].end]} {clause}{statement[behind.start :]}"


def with_action(statement: str, clause: str) -> str:
    """The statement with another second scope.

    Raises:
        ValueError: it has no head.
    """
    tokens, commas, _ = _separated(statement)
    first = tokens[tokens.index(commas[0]) + 1]
    return f"{statement[: first.start]}{clause}{statement[commas[1].start :]}"


def conditions(statement: str) -> str:
    """What stands behind the scopes.

    Raises:
        ValueError: the statement has no head.
    """
    return statement[scope(statement)[-1].end :]


def is_sure(statement: str) -> bool:
    """Whether no condition reads what differs from call to call."""
    return all(token.text not in _FACTS for token in lexer.significant(conditions(statement)))


def opened(statement: str) -> str:
    """The statement for any principal and any resource.

    Raises:
        ValueError: it has no head.
    """
    tokens, commas, behind = _separated(statement)
    before, action = statement[: tokens[0].end], statement[commas[0].start : commas[1].end]
    return f"{before}principal{action} resource{statement[behind.start :]}"


def scope(statement: str) -> list[Token]:
    """The tokens of the scopes, from bracket to bracket.

    Raises:
        ValueError: the statement has no head.
    """
    tokens = lexer.significant(statement)
    depth, start = 0, 0
    for at, token in enumerate(tokens):
        if start == 0 and at > 0 and token.text == "(" and _is_effect(tokens, at - 1):
            start = at
        if start > 0:
            depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
            if depth == 0:
                return tokens[start : at + 1]
    raise ValueError("The statement has no head.")


def _separated(statement: str) -> tuple[list[Token], list[Token], Token]:
    """The tokens of the scopes, the commas between them, and the token behind the third."""
    tokens = scope(statement)
    depth, commas = 0, []
    for token in tokens:
        depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
        if depth == 1 and token.text == ",":
            commas.append(token)
    # A trailing comma may close the scopes.
    return tokens, commas, commas[2] if len(commas) > 2 else tokens[-1]


def _is_effect(tokens: list[Token], at: int) -> bool:
    """Whether a token is the effect; an annotation may have the same name."""
    return tokens[at].text in _EFFECTS and (at == 0 or tokens[at - 1].text != "@")

"""Statements written anew, for errors that no change of a few words mends (policy spec, 5.2).

Counterpart of `policy.checks`, which marks the whole statement for them. Invariant: pure; a mended
statement says all that the author meant and keeps each of their comments, else there is none.
"""

from collections.abc import Collection, Sequence
from itertools import count, pairwise
from typing import Final

from wicketd.policy import heads, lexer
from wicketd.policy.entities import Uid
from wicketd.policy.schema import quote

_MAX_LABEL: Final = 64


def split(statement: str, actions: Sequence[Uid], label: str | None, taken: Collection[str]) -> str:
    """One statement for each type among the actions, which together match what the list names.

    `label`: the statement's @id, which the first keeps; `taken`: those of the whole record, which
    the others do not get.
    """
    kinds = dict.fromkeys(kind for kind, _ in actions)
    used = set(taken)
    written = []
    for number, kind in enumerate(kinds):
        names = ", ".join(_literal(one) for one in actions if one[0] == kind)
        one = heads.with_action(statement, f"action in [{names}]")
        if number and label is not None:
            free = _free(label, used)
            used.add(free)
            one = _labelled(one, free)
        written.append(one)
    return "\n".join(written)


def by_action(statement: str, action: Uid) -> str:
    """The statement for all calls of one action, whatever their resource."""
    return heads.with_resource(
        heads.with_action(statement, f"action == {_literal(action)}"), "resource"
    )


def kept(statement: str, mended: str, room: int) -> str | None:
    """The mended text, if it has each comment of the statement and at most `room` bytes."""
    comments = {one.text for one in lexer.lex(statement) if one.kind == "comment"}
    has_all = comments <= {one.text for one in lexer.lex(mended) if one.kind == "comment"}
    return mended if has_all and len(mended.encode()) <= room else None


def _literal(action: Uid) -> str:
    kind, name = action
    return f"{kind}::{quote(name)}"


def _free(label: str, used: Collection[str]) -> str:
    """The first of `label-2`, `label-3`, … that nobody has, cut to what an @id may have."""
    names = (label[: _MAX_LABEL - len(end)] + end for end in (f"-{n}" for n in count(2)))
    return next(name for name in names if name not in used)


def _labelled(statement: str, label: str) -> str:
    """The statement with another value of its @id."""
    tokens = lexer.significant(statement)
    for at, (sign, name) in enumerate(pairwise(tokens)):
        if sign.text == "@" and name.text == "id" and tokens[at + 3].kind == "string":
            value = tokens[at + 3]
            return statement[: value.start] + quote(label) + statement[value.end :]
    return statement

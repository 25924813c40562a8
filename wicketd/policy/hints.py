"""What an author may have meant, and the text that would mend a validation error (9.4).

Counterpart of `policy.diagnose`. Invariant: pure; a fix replaces exactly the marked span, and where
no name is near enough there is none, for a wrong hint is worse than silence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.policy import conditions, lexer, masking
from wicketd.policy.bisection import Located
from wicketd.policy.lexer import Span, Token
from wicketd.policy.names import Attribute, Names
from wicketd.policy.nearest import nearest
from wicketd.policy.schema import quote

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED: Final = frozenset(
    {"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"}
)
_GROUPS: Final = ("call_tool", "read", "write", "destructive", "get_prompt", "read_resource")
_IN_CONTEXT: Final = re.compile(r"attribute `(.*?)` in context for (.*?)::Action::(\".*\")")
_ON_TYPE: Final = re.compile(r"attribute `(.*?)` on entity type `(.*?)`")


@dataclass(frozen=True, slots=True)
class Hint:
    """A name that is meant, as a sentence quotes it, and what would stand in the marked span."""

    name: str
    fix: str | None


def hint(
    statement: str, code: str, messages: Sequence[str], spot: Located, names: Names | None
) -> tuple[Located, str | None]:
    """The place with its fix, and the near name for the sentence. `messages`: of one cause."""
    if code == "unguarded_attribute":
        return _guarded(statement, spot), None
    if names is None or spot.approximate:
        return spot, None
    marked = statement[spot.span.start : spot.span.end]
    if code == "unknown_action":
        near = _action(marked, names)
    elif code == "unknown_type":
        near = _type(marked, names)
    elif code == "unknown_attribute":
        near = _attribute(marked, messages, names)
    else:
        near = None
    return (spot._replace(fix=near.fix), near.name) if near else (spot, None)


def _action(marked: str, names: Names) -> Hint | None:
    found = lexer.paths(marked)
    if not found:
        return None
    namespace = found[0].type.removesuffix("::Action")
    known = dict(actions(names))
    if namespace not in known:
        holders = [one for one, ids in known.items() if found[0].id in ids]
        namespaces = nearest(namespace, holders or known)
        if not namespaces:
            return None
        namespace = namespaces[0]
    ids = known[namespace]
    near = [found[0].id] if found[0].id in ids else nearest(found[0].id, ids)
    if not near:
        return None
    written = f"{namespace}::Action::{quote(near[0])}"
    return Hint(written, written)


def actions(names: Names) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each namespace with the ids of its actions."""
    yield "Wicket", _GROUPS
    for _, namespace in names.services:
        tools = (tool.name for tool in names.tools if tool.namespace == namespace)
        yield namespace, ("any", *tools)


def _type(marked: str, names: Names) -> Hint | None:
    found = lexer.paths(marked)
    written = found[0].type if found else marked
    namespace, _, last = written.rpartition("::")
    types = [one.name.rpartition("::") for one in names.types]
    inside = [name for space, _, name in types if space == namespace]
    near = [f"{namespace}::{name}" for name in nearest(last, inside)]
    if not inside:
        near = [f"{space}::{name}" for space, _, name in types if name == last]
    if not near:
        return None
    return Hint(near[0], near[0] + marked[len(written) :])


def _attribute(marked: str, messages: Iterable[str], names: Names) -> Hint | None:
    wrong = lexer.unquote(marked) if marked.startswith('"') else marked
    known = {name for message in messages for name in _siblings(message, names)}
    near = nearest(wrong, known)
    if not near:
        return None
    if marked.startswith('"'):
        return Hint(near[0], quote(near[0]))
    return Hint(near[0], near[0] if is_identifier(near[0]) else None)


def is_identifier(name: str) -> bool:
    """Whether a name can stand behind a dot."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in RESERVED


def _siblings(message: str, names: Names) -> Iterator[str]:
    """The attributes that do exist where the message misses one."""
    found = _IN_CONTEXT.search(message)
    if found:
        inputs = next(
            (
                tool.input
                for tool in names.tools
                if (tool.namespace, tool.name) == (found[2], lexer.unquote(found[3]))
            ),
            (),
        )
        level: tuple[Attribute, ...] = (
            *names.context,
            Attribute("input", "Record", attributes=inputs),
        )
        for name in masking.path(found[1])[:-1]:
            level = next((one.attributes for one in level if one.name == name), ())
        yield from (one.name for one in level)
    found = _ON_TYPE.search(message)
    if found:
        kind = next((one for one in names.types if one.name == found[2]), None)
        yield from (one.name for one in (kind.attributes if kind else ()))


def _guarded(statement: str, spot: Located) -> Located:
    """The whole access, and it behind a `has` where it starts its operand."""
    if spot.approximate:
        return spot
    tokens = lexer.significant(statement)
    at = next((n for n, one in enumerate(tokens) if one.start == spot.span.start), None)
    if at is None:
        return spot
    root, sign = _root(tokens, at)
    end = spot.span.end if sign == "." else tokens[at + 1].end
    span = Span(tokens[root].start, end)
    base = statement[span.start : tokens[at - 1].start]
    name = statement[spot.span.start : spot.span.end]
    fix = f"{base} has {name} && {statement[span.start : end]}"
    return Located(span, fix=fix if _starts_operand(statement, span.start) else None)


def _root(tokens: Sequence[Token], at: int) -> tuple[int, str]:
    """The place of the variable that an access starts from, and the sign before the attribute."""
    sign = tokens[at - 1].text
    place = at - 2
    while place > 0 and tokens[place - 1].text in {".", "["} and tokens[place].text != "(":
        place -= 2
    while place > 1 and tokens[place].text == "]":
        place -= 3
        while place > 0 and tokens[place - 1].text == ".":
            place -= 2
    return place, sign


def _starts_operand(statement: str, start: int) -> bool:
    try:
        parts = conditions.parts(statement)
    except (ValueError, IndexError):
        return False
    return any(one.start == start for one in conditions.operands(parts) if one.kind == "leaf")

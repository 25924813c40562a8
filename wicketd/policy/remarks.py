"""Warnings: what may be saved, and probably does not do what its author thinks (5.2).

Counterpart of `policy.checks`, which refuses. Invariant: pure; each remark reads statement facts,
tokens and the names of the agent, never the engine.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from wicketd.domain.policies import Effect, Problem, StatementFacts
from wicketd.policy import lexer
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place, problem
from wicketd.policy.lexer import Span, Token
from wicketd.policy.names import Attribute, Names
from wicketd.policy.nearest import nearest
from wicketd.policy.schema import quote

_LIMITS: Final = {"hour": 23, "minute": 59, "weekday": 6}
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_UTC: Final = frozenset({"toTime", "toDate"})
_VALUES: Final = {
    "role": ("member", "owner"),
    "tier": ("destructive", "read", "write"),
}
_VARIABLES: Final = {"role": "principal", "tier": "resource"}


def run(read: Sequence[tuple[Place, StatementFacts]], scope: Scope) -> list[Problem]:
    """Every warning on the statements of a text that parse, in order."""
    found: list[Problem] = []
    for place, one in read:
        tokens = place.tokens
        found += _everything(place, one, tokens)
        found += _numbers(place, tokens)
        found += _values(place, tokens)
        found += _clock(place, tokens)
        found += _scripts(place)
        found += _people(place, scope)
        if scope.names is not None:
            found += _tools(place, one, scope.names)
            found += _sets(place, tokens, scope.names)
    return found + list(_twice(read))


def _warning(place: Place, code: str, message: str, span: Span, fix: str | None = None) -> Problem:
    """`span`: in the statement."""
    there = Span(place.span.start + span.start, place.span.start + span.end)
    return replace(problem(place.text, code, message, there, place, fix), severity="warning")


def _whole(place: Place) -> Span:
    return Span(0, len(place.source))


def _everything(place: Place, one: StatementFacts, tokens: Sequence[Token]) -> Iterator[Problem]:
    scopes = (one.principal, one.action, one.resource)
    has_clause = any(token.text in {"when", "unless"} and token.kind == "ident" for token in tokens)
    if has_clause or any(scope.get("op") != "All" for scope in scopes):
        return
    if one.effect is Effect.PERMIT:
        message = "This permits every call of everybody. Name members, tools or a condition."
        yield _warning(place, "permits_all", message, _whole(place))
    else:
        message = "This forbids every call of everybody. Name members, tools or a condition."
        yield _warning(place, "forbids_all", message, _whole(place))


def _numbers(place: Place, tokens: Sequence[Token]) -> Iterator[Problem]:
    for at, token in enumerate(tokens):
        limit = _LIMITS.get(token.text) if at and tokens[at - 1].text == "." else None
        if limit is None or tokens[at - 2].text != "time":
            continue
        for number in _compared(tokens, at):
            if int(number.text[:20]) > limit:
                message = f"context.time.{token.text} is at most {limit}. Correct the number."
                yield _warning(place, "out_of_range", message, Span(number.start, number.end))


def _compared(tokens: Sequence[Token], at: int) -> list[Token]:
    """The numbers that an access ending at `at` is compared with."""
    after, start = tokens[at + 1 :], at
    while start > 1 and tokens[start - 1].text == ".":
        start -= 2
    if len(after) > 1 and after[0].text in _COMPARISONS and after[1].kind == "number":
        return [after[1]]
    if start > 1 and tokens[start - 1].text in _COMPARISONS:
        return [one for one in [tokens[start - 2]] if one.kind == "number"]
    if start > 3 and [one.text for one in tokens[start - 4 : start]] == ["]", ".", "contains", "("]:
        found: list[Token] = []
        for token in reversed(tokens[: start - 4]):
            if token.text == "[":
                return found
            found += [token] if token.kind == "number" else []
    return []


def _values(place: Place, tokens: Sequence[Token]) -> Iterator[Problem]:
    for at in range(2, len(tokens) - 2):
        known = _VALUES.get(tokens[at].text)
        is_access = tokens[at - 1].text == "."
        if known is None or not is_access or tokens[at - 2].text != _VARIABLES[tokens[at].text]:
            continue
        operator, literal = tokens[at + 1], tokens[at + 2]
        value = lexer.unquote(literal.text) if literal.kind == "string" else ""
        if operator.text in {"==", "!="} and literal.kind == "string" and value not in known:
            near = nearest(value, known)
            fix = quote(near[0]) if near else None
            name = tokens[at].text
            message = f"No {name} is {value!r}. Choose one of {', '.join(known)}."
            span = Span(literal.start, literal.end)
            yield _warning(place, "unknown_value", message, span, fix)


def _clock(place: Place, tokens: Sequence[Token]) -> Iterator[Problem]:
    for before, token in pairwise(tokens):
        if before.text == "." and token.text in _UTC:
            message = (
                f"{token.text} counts in UTC. Use context.time.hour or context.time.date, "
                "which are in the agent's zone."
            )
            yield _warning(place, "utc_time", message, Span(token.start, token.end))


def _scripts(place: Place) -> Iterator[Problem]:
    for token in place.tokens:
        if token.kind != "string" or token.text.isascii():
            continue
        for word in token.text.strip('"').split():
            scripts = {_script(letter) for letter in word if letter.isalpha()}
            if len(scripts - {"CJK", "HIRAGANA", "KATAKANA"}) > 1:
                message = (
                    f"{word[:60]!r} mixes letters of several scripts, which look alike. "
                    "Type it again."
                )
                yield _warning(place, "mixed_script", message, Span(token.start, token.end))
                break


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]


def _people(place: Place, scope: Scope) -> Iterator[Problem]:
    known = {"Wicket::Member": scope.members, "Wicket::Group": scope.groups}
    for path in place.paths:
        ids = known.get(path.type)
        if ids is None or path.id in ids:
            continue
        noun = path.type.removeprefix("Wicket::").lower()
        near = nearest(path.id, ids)
        fix = f"{path.type}::{quote(near[0])}" if near else None
        message = f"There is no {noun} {path.id[:120]!r} yet. Check the spelling."
        span = Span(path.start, path.end)
        yield _warning(place, f"unknown_{noun}", message, span, fix)


def _tools(place: Place, one: StatementFacts, names: Names) -> Iterator[Problem]:
    gone = {(f"{tool.namespace}::Action", tool.name) for tool in names.tools if tool.is_gone}
    for path in place.paths:
        if (path.type, path.id) in gone:
            message = f"The upstream no longer has the tool {path.id!r}. Take it out of the policy."
            yield _warning(place, "gone_tool", message, Span(path.start, path.end))
    if one.resource.get("op") == "is" and one.resource.get("entity_type") == "Wicket::Tool":
        left_out = sum(tool.types != ("Wicket::Tool",) for tool in names.tools)
        if left_out and one.action.get("op") == "All":
            tokens = place.tokens
            at = next(n for n, token in enumerate(tokens) if token.text == "is")
            span = Span(tokens[at].start, tokens[at + 3].end)
            message = (
                f"Calls with a target are no Wicket::Tool: this leaves out {left_out} tools in "
                "part or whole. Use `resource in Wicket::Service` instead."
            )
            yield _warning(place, "tool_only", message, span)


def _sets(place: Place, tokens: Sequence[Token], names: Names) -> Iterator[Problem]:
    sets = {one for tool in names.tools for one in _set_names(tool.input)}
    for at in range(3, len(tokens) - 1):
        name, before = tokens[at].text, [one.text for one in tokens[at - 3 : at]]
        is_compared = tokens[at + 1].text in {"==", "!="}
        if before == [".", "input", "."] and name in sets and is_compared:
            message = (
                f"The order and the duplicates of {name} are lost. "
                "Compare with contains, containsAll or containsAny."
            )
            span = Span(tokens[at + 1].start, tokens[at + 1].end)
            yield _warning(place, "lossy_set", message, span)


def _set_names(attributes: Sequence[Attribute]) -> Iterator[str]:
    for one in attributes:
        if one.type.startswith("Set<"):
            yield one.name


def _twice(read: Sequence[tuple[Place, StatementFacts]]) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    for place, _ in read:
        body = _body(place)
        if body in seen:
            message = f"This says what statement {seen[body]} says already. Delete one of them."
            yield _warning(place, "duplicate_statement", message, _whole(place))
        seen.setdefault(body, place.number)


def _body(place: Place) -> tuple[str, ...]:
    """The tokens from the effect on: annotations change no decision."""
    texts = [token.text for token in place.tokens]
    start = next(
        at
        for at, text in enumerate(texts)
        if text in {"permit", "forbid"} and (at == 0 or texts[at - 1] != "@")
    )
    return tuple(texts[start:])

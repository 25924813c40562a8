"""Where the validator's message holds: by the words it names, else by masking (policy spec, 9.3).

Counterpart of `policy.engine`, whose validator it asks about changed statements. Invariant: at most
64 questions; a span that only may be right is said to be approximate.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from wicketd.policy import conditions, lexer
from wicketd.policy.bisection import Located, occurrences
from wicketd.policy.lexer import Span, Token

MAX_PROBES: Final = 64
Validate = Callable[[str], list[str]]
"""The validator's messages on a statement that differs in one operand."""

_MASK: Final = "(principal == principal)"
_PREFIX: Final = re.compile(r"^for policy `policy\d+`, ")
_ATTRIBUTE: Final = re.compile(r"attribute `(.*?)`(?: in context for .*| on entity type .*)? ?")
_UNRECOGNISED: Final = re.compile(r"^unrecognized (?:action|entity type) `(.*)`", re.DOTALL)
_LITERAL: Final = re.compile(r"argument validation: .*`(\".*\")`", re.DOTALL)
_SAW: Final = re.compile(r"but saw (String|Long|Bool)$")
_INCOMPATIBLE: Final = re.compile(r"^the types .* are not compatible$")
_ARGUMENTS: Final = re.compile(r"number of arguments .* Expected (\d+), got (\d+)")
_KINDS: Final = {"String": ("string",), "Long": ("number",), "Bool": ("ident",)}
_EQUALITIES: Final = frozenset({"==", "!="})


def said(message: str) -> str:
    """The message without the engine's name of the statement."""
    return _PREFIX.sub("", message)


def general(message: str) -> str:
    """The message without the action it is about, so that those of many actions are one."""
    return re.sub(r" in context for .*?::Action::\".*\"", " in context", said(message))


def locate(statement: str, message: str, messages: Sequence[str], ask: Validate) -> Located:
    """The place of one message among all `messages` of a statement."""
    tokens = lexer.significant(statement)
    spans = candidates(tokens, said(message))
    if len(spans) == 1:
        return Located(spans[0])
    region = _masked(statement, message, messages, ask)
    if region is None:
        whole = Span(0, len(statement))
        return Located(spans[0] if spans else whole, approximate=True)
    inside = [one for one in spans if region.start <= one.start and one.end <= region.end]
    if spans and inside:
        return Located(inside[0], approximate=len(inside) > 1)
    return _within(tokens, region, said(message))


def candidates(tokens: Sequence[Token], message: str) -> list[Span]:
    """Every place of the statement that the words of a message can mean."""
    found = _UNRECOGNISED.search(message)
    if found:
        return occurrences(tokens, lexer.significant(found[1]))
    found = _ATTRIBUTE.search(message)
    if found:
        return _attributes(tokens, path(found[1]), in_context="in context for" in message)
    found = _LITERAL.search(message)
    if found:
        return occurrences(tokens, lexer.significant(found[1]))
    found = _ARGUMENTS.search(message)
    if found:
        return _calls(tokens, int(found[2]))
    if "empty set literals" in message:
        return occurrences(tokens, lexer.significant("[]"))
    if "applicable action" in message:
        return _head(tokens)
    return []


def path(written: str) -> list[str]:
    """The attributes of a path as a message writes it, `input.options["if"]`."""
    tokens = lexer.significant(written)
    return [
        lexer.unquote(one.text) if one.kind == "string" else one.text
        for one in tokens
        if one.kind in {"ident", "string"}
    ]


def _attributes(tokens: Sequence[Token], wanted: Sequence[str], *, in_context: bool) -> list[Span]:
    """The last names of the chains that match the longest part of the path."""
    ranked: list[tuple[int, Span]] = []
    for at, token in enumerate(tokens):
        if not wanted or not _is_attribute(tokens, at) or _name(token) != wanted[-1]:
            continue
        chain, root = _chain(tokens, at)
        full = ["context", *wanted] if in_context else list(wanted)
        length = 0
        for one, two in zip(reversed([root, *chain]), reversed(full), strict=False):
            if one != two:
                break
            length += 1
        ranked.append((length, Span(token.start, token.end)))
    best = max((length for length, _ in ranked), default=0)
    return [span for length, span in ranked if length == best]


def _name(token: Token) -> str:
    return lexer.unquote(token.text) if token.kind == "string" else token.text


def _is_attribute(tokens: Sequence[Token], at: int) -> bool:
    before = tokens[at - 1].text if at else ""
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if tokens[at].kind == "ident":
        return before in {".", "has"} and after != "("
    return tokens[at].kind == "string" and (before == "has" or (before == "[" and after == "]"))


def _chain(tokens: Sequence[Token], at: int) -> tuple[list[str], str]:
    """The attributes before and at a place, and the variable they start from."""
    chain = [_name(tokens[at])]
    place = at - 2  # in front of the `.`, `[` or `has`
    while place >= 0:
        token = tokens[place]
        if token.kind == "ident" and place and tokens[place - 1].text == ".":
            chain.insert(0, token.text)
            place -= 2
        elif token.text == "]" and place > 1 and tokens[place - 1].kind == "string":
            chain.insert(0, _name(tokens[place - 1]))
            place -= 3
        else:
            return chain, token.text
    return chain, ""


def _calls(tokens: Sequence[Token], count: int) -> list[Span]:
    """Names of the calls with that many arguments; a method's object counts as one."""
    found = []
    for at, token in enumerate(tokens[:-1]):
        if token.kind != "ident" or tokens[at + 1].text != "(":
            continue
        is_method = at > 0 and tokens[at - 1].text == "."
        if _arguments(tokens, at + 1) + is_method == count:
            found.append(Span(token.start, token.end))
    return found


def _arguments(tokens: Sequence[Token], at: int) -> int:
    depth, commas, size = 0, 0, 0
    for token in tokens[at:]:
        if token.kind != "string":
            depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
            commas += depth == 1 and token.text == ","
        if depth == 0:
            break
        size += 1
    return commas + 1 if size > 1 else 0


def _head(tokens: Sequence[Token]) -> list[Span]:
    """The scopes, from bracket to bracket."""
    start = next((at for at, one in enumerate(tokens) if one.text == "(" and at), None)
    for effect, bracket in pairwise(tokens):
        if effect.text in {"permit", "forbid"} and bracket.text == "(":
            start = tokens.index(bracket)
            break
    if start is None:
        return []
    depth = 0
    for token in tokens[start:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return [Span(tokens[start].start, token.end)]
    return []


def _masked(statement: str, message: str, messages: Sequence[str], ask: Validate) -> Span | None:
    """The one operand without which the message comes less often."""
    try:
        leaves = [
            one for one in conditions.operands(conditions.parts(statement)) if one.kind == "leaf"
        ]
    except (ValueError, IndexError):
        return None
    before = Counter(general(one) for one in messages)[general(message)]
    guilty = []
    for leaf in leaves[:MAX_PROBES]:
        changed = statement[: leaf.start] + _MASK + statement[leaf.end :]
        after = Counter(general(one) for one in ask(changed))[general(message)]
        if after < before:
            guilty.append(Span(leaf.start, leaf.end))
    return guilty[0] if len(guilty) == 1 and len(leaves) <= MAX_PROBES else None


def _within(tokens: Sequence[Token], region: Span, message: str) -> Located:
    """The single literal of the type that was seen, else all of the operand."""
    inside = [one for one in tokens if region.start <= one.start and one.end <= region.end]
    seen = _SAW.search(message)
    if seen and "Entity" not in message:
        literals = [one for one in inside if _is_literal(one, seen[1])]
        if len(literals) == 1:
            return Located(Span(literals[0].start, literals[0].end))
    is_equality = any(one.text in _EQUALITIES for one in inside if one.kind == "op")
    is_whole = bool(_INCOMPATIBLE.search(message)) and is_equality
    return Located(region, approximate=not is_whole)


def _is_literal(token: Token, kind: str) -> bool:
    is_kind = token.kind in _KINDS[kind]
    return is_kind and (kind != "Bool" or token.text in {"true", "false"})

"""What the word under the cursor is: a problem of the policy, or a name and what is known of it.

Pure, total; used by the editor screen. Counterpart of `completion`, over the same tree of names.
Every line of an answer is safe to show. Source: policy specification, 9.6.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wicket_tui.places import Place, Steps
from wicket_tui.vocabulary import (
    ANNOTATIONS,
    FUNCTIONS,
    GROUPS,
    KEYWORDS,
    METHODS,
    OPERATORS,
    VARIABLES,
)
from wicketd.api.text import safe_text
from wicketd.api.types.names import Attribute, Names, ToolName
from wicketd.api.types.policies import Problem
from wicketd.policy import lexer
from wicketd.policy.lexer import Path, Token

MAX_TEXT: Final = 300
SHOWN: Final = 8
"""Names that a list of tools shows."""
_WORDS: Final = {**KEYWORDS, **OPERATORS, **VARIABLES}


@dataclass(frozen=True, slots=True)
class Hover:
    """`start`, `end`: the code points it is about; `title` and `lines`: one line each, safe."""

    title: str
    lines: tuple[str, ...]
    start: int
    end: int


def hover(text: str, offset: int, names: Names, problems: Sequence[Problem] = ()) -> Hover | None:
    """What stands at an offset; None where nothing is known. `problems`: of this very text.

    The problem that covers the fewest code points comes before what the word itself means.
    """
    offset = max(0, min(offset, len(text)))
    said = _problem(offset, problems)
    begin = lexer.statement_start(text, offset)
    tokens = [one for one in lexer.lex(text[begin:]) if one.kind not in {"space", "comment"}]
    at = _at(tokens, offset - begin)
    if at is None:
        return said
    found = _Word(Place(tokens[:at], names), tokens, at).explained()
    if found is None:
        return said
    title, lines, start, end = found
    shown = tuple(safe_text(line, limit=MAX_TEXT) for line in lines if line)
    own = Hover(safe_text(title, limit=MAX_TEXT), shown, begin + start, begin + end)
    if said is None:
        return own
    return replace(said, lines=(*said.lines, own.title, *own.lines))


def _problem(offset: int, problems: Sequence[Problem]) -> Hover | None:
    here = [one for one in problems if one.start <= offset <= one.end]
    if not here:
        return None
    one = min(here, key=lambda found: found.end - found.start)
    place = "somewhere in this statement" if one.approximate else f"{one.line}:{one.col}"
    lines = [f"{one.severity} {one.code}, {place}"]
    if one.fix is not None:
        lines.append(f"Fix: {one.fix}" if one.fix else "Fix: remove it")
    return Hover(
        safe_text(one.message, limit=MAX_TEXT),
        tuple(safe_text(line, limit=MAX_TEXT) for line in lines),
        one.start,
        one.end,
    )


def _at(tokens: Sequence[Token], offset: int) -> int | None:
    """The token at an offset; the one that ends there where none begins."""
    for at, token in enumerate(tokens):
        if token.start <= offset < token.end:
            return at
    return next((at for at, one in enumerate(tokens) if one.end == offset), None)


Explained = tuple[str, list[str], int, int]
"""Title, lines, and the span in the statement."""


class _Word:
    """One token in its statement."""

    def __init__(self, place: Place, tokens: Sequence[Token], at: int) -> None:
        self._place, self._names = place, place.names
        self._tokens, self._at, self._token = tokens, at, tokens[at]

    def explained(self) -> Explained | None:
        """Title, lines and span; None where nothing is known."""
        path = self._path()
        if path is not None:
            return self._entity(path)
        before = self._tokens[self._at - 1].text if self._at else ""
        if before == "@":
            return self._plain(ANNOTATIONS)
        if before in {".", "has", "["}:
            return self._attribute()
        after = self._tokens[self._at + 1].text if self._at + 1 < len(self._tokens) else ""
        if after == "(" and self._token.text in FUNCTIONS:
            return self._plain(FUNCTIONS)
        return self._type() or self._plain(_WORDS)

    def _plain(self, words: Mapping[str, str]) -> Explained | None:
        about = words.get(self._token.text)
        if about is None or self._token.kind not in {"ident", "op"}:
            return None
        return self._token.text, [about], self._token.start, self._token.end

    def _path(self) -> Path | None:
        """The entity literal around the token."""
        tokens, first = self._tokens, self._at
        while first and "::" in {tokens[first - 1].text, tokens[first].text}:
            first -= 1
        words: list[str] = []
        for word, joint in zip(tokens[first::2], tokens[first + 1 :: 2], strict=False):
            if word.kind != "ident" or joint.text != "::":
                break
            words.append(word.text)
        last = first + 2 * len(words)
        if not words or last >= len(tokens) or tokens[last].kind != "string":
            return None
        name = lexer.unquote(tokens[last].text)
        return Path("::".join(words), name, tokens[first].start, tokens[last].end)

    def _entity(self, path: Path) -> Explained | None:
        if path.type == "Wicket::Action":
            about = GROUPS.get(path.id)
            known = [f"{path.type}, a group of tools", about] if about else ["No such group."]
            return path.id, known, path.start, path.end
        if path.type.endswith("::Action"):
            return path.id, list(self._tool(path)), path.start, path.end
        return path.id, list(self._literal(path)), path.start, path.end

    def _tool(self, path: Path) -> Iterator[str]:
        namespace = path.type.removesuffix("::Action")
        of = [one for one in self._names.tools if one.namespace == namespace]
        if path.id == "any":
            yield f"Every tool of {namespace}, {len(of)} in all"
            return
        tool = next((one for one in of if one.name == path.id), None)
        if tool is None:
            yield f"No tool of {namespace} has this name."
            return
        yield f"{tool.service}__{tool.name}, tier {tool.tier}"
        yield tool.title
        yield tool.description
        yield f"called on {' or '.join(tool.types)}" + _target(tool)
        if tool.is_gone:
            yield "Its server no longer offers it: every call is denied."

    def _literal(self, path: Path) -> Iterator[str]:
        yield path.type
        lists: dict[str, tuple[str, ...]] = {
            "Wicket::Member": self._names.members,
            "Wicket::Group": self._names.groups,
            "Wicket::Service": tuple(one.key for one in self._names.services),
        }
        known = lists.get(path.type)
        if known is not None and path.id not in known:
            yield "This agent has none of that name."
        if any((one.type, one.id) == (path.type, path.id) for one in self._names.targets):
            yield "Seen in calls of the last 7 days."

    def _type(self) -> Explained | None:
        """A type name without an id, as behind `is`."""
        first = last = self._at
        while first > 1 and self._tokens[first - 1].text == "::":
            first -= 2
        while last + 2 < len(self._tokens) and self._tokens[last + 1].text == "::":
            last += 2
        words = "".join(one.text for one in self._tokens[first : last + 1])
        kind = next((one for one in self._names.types if one.name == words), None)
        if kind is None:
            return None
        lines = ["type", *(f"{one.name}: {_typed(one)}" for one in kind.attributes[:SHOWN])]
        return words, lines, self._tokens[first].start, self._tokens[last].end

    def _attribute(self) -> Explained | None:
        chain = self._place.chain(self._at - 1)
        name = self._token.text
        if self._token.kind == "string":
            name = lexer.unquote(name)
        steps = (*chain.steps, name)
        variants = self._place.at(steps) if chain.steps else []
        start, end = self._token.start, self._token.end
        if variants:
            return ".".join(steps), list(self._meaning(variants, steps)), start, end
        return self._method(chain.steps)

    def _meaning(self, variants: Sequence[Attribute], steps: Steps) -> Iterator[str]:
        kinds = dict.fromkeys(map(_typed, variants))
        yield " or ".join(kinds)
        yield next((one.description for one in variants if one.description), "")
        values = dict.fromkeys(value for one in variants for value in one.values)
        if values:
            yield "one of " + ", ".join(list(values)[:SHOWN])
        if steps[:2] == ("context", "input") and len(steps) > 2:
            yield self._owners(steps[2])

    def _owners(self, argument: str) -> str:
        tools = self._place.tools
        have = [one.name for one in tools if any(each.name == argument for each in one.input)]
        more = f" and {len(have) - SHOWN} more" if len(have) > SHOWN else ""
        return f"{len(have)} of {len(tools)} tools: {', '.join(have[:SHOWN])}{more}"

    def _method(self, steps: Steps) -> Explained | None:
        name = self._token.text
        for kind in (one.type for one in self._place.at(steps)):
            about = METHODS.get("Set" if kind.startswith("Set<") else kind, {}).get(name)
            if about is not None:
                return name, [f"method of {kind}", about], self._token.start, self._token.end
        return None


def _typed(one: Attribute) -> str:
    return f"{one.type}, may be absent" if one.is_optional else one.type


def _target(tool: ToolName) -> str:
    return ", found in its arguments" if tool.needs_target else ""

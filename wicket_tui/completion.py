"""What can stand at a place of a Cedar text: lexer context times the agent's tree of names (9.5).

Pure; used by the editor screen. Counterpart of the schema endpoint, which gives the names. It needs
no text that parses: only the tokens of the statement up to the cursor count.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wicket_tui.places import Place, Steps
from wicket_tui.snippets import quoted, snippets
from wicket_tui.values import values_of
from wicket_tui.vocabulary import (
    ANNOTATIONS,
    FUNCTIONS,
    GROUPS,
    KEYWORDS,
    METHODS,
    OPERATORS,
    TIERS,
    VARIABLES,
)
from wicketd.api.text import safe_text
from wicketd.api.types.names import Attribute, Names
from wicketd.policy import lexer
from wicketd.policy.lexer import Token

MAX_HELP: Final = 300

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"true", "false", "if", "then", "else", "in", "is", "like", "has"})
_STARTS: Final = frozenset({"{", "&&", "||", "then", "else", "if"})
"""Before what is true or false; so is a `(` that calls nothing."""
_LITERALS: Final = frozenset({"tool", "group", "member", "service", "target", "agent", "type"})
"""Kinds that are found by what they insert, too."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can stand here. `start`, `end`: the code points that `insert` replaces.

    `kind`: keyword, variable, operator, snippet, type, tool, group, member, service, target,
    attribute, method or value. `detail`: a type or tier; `help`: one line, safe to show.
    """

    kind: str
    label: str
    insert: str
    start: int
    end: int
    detail: str = ""
    help: str = ""


def complete(text: str, offset: int, names: Names) -> list[Candidate]:
    """The candidates at a cursor, best first. `offset`: code points before it.

    Empty inside comments, and wherever nothing is known.
    """
    offset = max(0, min(offset, len(text)))
    begin = lexer.statement_start(text, offset)
    tokens = [_moved(one, begin) for one in lexer.lex(text[begin:offset]) if one.kind != "space"]
    if tokens and tokens[-1].kind == "comment":
        return []
    tokens = [one for one in tokens if one.kind != "comment"]
    before = _before_typed(tokens, offset)
    typed = "".join(one.text for one in tokens[before:])
    start = tokens[before].start if before < len(tokens) else offset
    here = _Here(Place(tokens[:before], names), start, offset)
    found = {one.insert: one for one in here.candidates() if _fits(typed, one)}
    return sorted(found.values(), key=lambda one: (_rank(typed, one, text), one.label))


def _moved(token: Token, by: int) -> Token:
    return token._replace(start=token.start + by, end=token.end + by)


def _before_typed(tokens: Sequence[Token], offset: int) -> int:
    """The index behind the last token that is finished: a word or an entity path is being typed."""
    at = len(tokens)
    if at and tokens[-1].end == offset and tokens[-1].kind in {"ident", "openstring"}:
        at -= 1
    while at and tokens[at - 1].text == "::" and tokens[at - 1].kind == "op":
        at -= 2 if at > 1 and tokens[at - 2].kind == "ident" else 1
    return at


def _fits(typed: str, one: Candidate) -> bool:
    wanted = typed.casefold()
    if "::" in wanted:
        return wanted in one.insert.casefold()
    wanted = wanted.removeprefix('"')
    is_inserted = one.kind in _LITERALS and wanted in one.insert.casefold()
    return wanted in one.label.casefold() or is_inserted


def _rank(typed: str, one: Candidate, text: str) -> tuple[bool, bool, int]:
    """An exact prefix first, then what the policy uses already, then by tier."""
    is_prefix = one.label.casefold().startswith(typed.strip('"').casefold())
    is_used = one.kind in {"attribute", *_LITERALS} and one.label in text
    tier = TIERS.index(one.detail) if one.detail in TIERS else 0
    return (not is_prefix, not is_used, len(TIERS) if one.kind == "snippet" else tier)


class _Here:
    """One place, and the candidates for it."""

    def __init__(self, place: Place, start: int, end: int) -> None:
        self._place, self._names = place, place.names
        self._texts, self._last = place.texts, place.last
        self._start, self._end = start, end

    def candidates(self) -> Iterator[Candidate]:
        """Everything that can stand here, whatever of it is typed already."""
        if self._last == "@":
            yield from self._words("keyword", ANNOTATIONS)
        elif self._depth() == 0:
            yield from self._outside()
        elif self._clause() is None:
            yield from self._scope()
        else:
            yield from self._expression()

    def _one(
        self, kind: str, label: str, insert: str, detail: str = "", about: str = ""
    ) -> Candidate:
        shown = safe_text(about, limit=MAX_HELP)
        return Candidate(kind, label, insert, self._start, self._end, detail, shown)

    def _words(self, kind: str, words: Iterable[str]) -> Iterator[Candidate]:
        known = {**KEYWORDS, **OPERATORS, **VARIABLES, **ANNOTATIONS}
        for word in words:
            yield self._one(kind, word, word, about=known.get(word, ""))

    def _depth(self) -> int:
        opened = sum(text in {"(", "[", "{"} for text in self._texts)
        return opened - sum(text in {")", "]", "}"} for text in self._texts)

    def _clause(self) -> str | None:
        return next((one for one in reversed(self._texts) if one in {"when", "unless"}), None)

    def _outside(self) -> Iterator[Candidate]:
        has_effect = any(one in {"permit", "forbid"} for one in self._texts)
        if not has_effect:
            yield from self._words("keyword", ("permit", "forbid"))
        elif self._last in {")", "}"}:
            yield from self._words("keyword", ("when", "unless", ";"))
        if not self._texts:
            for one in snippets(self._names):
                yield self._one("snippet", one.name, one.text, "recipe", one.help)

    def _scope(self) -> Iterator[Candidate]:
        variables = tuple(VARIABLES)[:3]
        variable = next((one for one in reversed(self._texts) if one in variables), "")
        if self._last in VARIABLES:
            is_action = self._last == "action"
            yield from self._words("operator", ("==", "in") if is_action else ("==", "in", "is"))
        elif self._last == "is":
            yield from self._types()
        elif self._last in {"==", "in", "["} or (self._last == "," and self._in_list()):
            yield from self._entities(variable)
        elif self._last in {"(", ","}:
            at = self._texts.count(",") if variable else 0
            yield from self._words("variable", variables[at : at + 1])

    def _in_list(self) -> bool:
        return self._texts.count("[") > self._texts.count("]")

    def _types(self) -> Iterator[Candidate]:
        possible = {*self._place.kinds, "Wicket::Member"}
        for one in self._names.types:
            if one.name in possible:
                yield self._one("type", one.name, one.name)

    def _entities(self, variable: str) -> Iterator[Candidate]:
        if variable == "principal":
            yield from self._literals("member", "Wicket::Member", self._names.members)
            yield from self._literals("group", "Wicket::Group", self._names.groups)
        elif variable == "action":
            yield from self._actions()
        elif variable == "resource":
            services = [one.key for one in self._names.services]
            yield from self._literals("service", "Wicket::Service", services)
            for one in self._names.targets:
                yield from self._literals("target", one.type, [one.id])

    def _literals(self, kind: str, of: str, ids: Iterable[str]) -> Iterator[Candidate]:
        for one in ids:
            yield self._one(kind, one, f"{of}::{quoted(one)}", of)

    def _actions(self) -> Iterator[Candidate]:
        first = self._first_namespace()
        if self._last != "==" and first in {None, "Wicket"}:
            for one, about in GROUPS.items():
                insert = f"Wicket::Action::{quoted(one)}"
                yield self._one("group", one, insert, "every tool of it", about)
        for tool in self._names.tools:
            if first in {None, tool.namespace} and not tool.is_gone:
                insert = f"{tool.namespace}::Action::{quoted(tool.name)}"
                yield self._one(
                    "tool", tool.name, insert, tool.tier, tool.title or tool.description
                )

    def _first_namespace(self) -> str | None:
        """That of the list's first element: a list holds actions of one service."""
        if not self._in_list():
            return None
        opened = len(self._texts) - 1 - self._texts[::-1].index("[")
        return self._texts[opened + 1] if opened + 1 < len(self._texts) else None

    def _expression(self) -> Iterator[Candidate]:
        if self._last in {".", "has"}:
            yield from self._members()
        elif self._last == "is":
            yield from self._types()
        elif self._last in {"==", "!=", "in", "["} or (self._last == "," and self._in_list()):
            yield from self._right_side()
        elif self._last in {*_STARTS, "(", "!"}:
            yield from self._values(self._callee())
            yield from self._words("variable", VARIABLES)
            for name, about in FUNCTIONS.items():
                yield self._one("method", name, f"{name}(", about=about)
            yield from self._words("keyword", ("if",))

    def _callee(self) -> Steps:
        """The path of a set whose element is asked for: that before `.contains(`."""
        if self._texts[-3:] != [".", "contains", "("]:
            return ()
        return self._place.chain(len(self._texts) - 3).steps

    def _right_side(self) -> Iterator[Candidate]:
        """What the left side can be: entities of a variable, values of an attribute."""
        at = len(self._texts) - 1
        while at > 0 and self._texts[at] not in {"==", "!=", "in"}:
            at -= 1
        steps = self._place.chain(at).steps
        if len(steps) == 1:
            yield from self._entities(steps[0])
        elif self._last in {"==", "!="}:
            yield from self._values(steps)

    def _values(self, steps: Steps) -> Iterator[Candidate]:
        for one in values_of(self._place, steps):
            yield self._one("value", one.label, one.text, one.type)

    def _members(self) -> Iterator[Candidate]:
        chain = self._place.chain(len(self._texts) - 1)
        found: dict[str, list[Attribute]] = {}
        for one in self._place.below(chain.steps):
            found.setdefault(one.name, []).append(one)
        for variants in found.values():
            yield self._attribute(variants, chain.steps, chain.first)
        if self._last == ".":
            yield from self._methods(chain.steps)

    def _attribute(self, variants: Sequence[Attribute], steps: Steps, first: int) -> Candidate:
        name = variants[0].name
        about = next((one.description for one in variants if one.description), "")
        if steps == ("context", "input"):
            known = f"{len(variants)} of {len(self._place.tools)} tools"
            about = f"{known} · {about}" if about else known
        start, insert = self._start, name if _is_plain(name) else quoted(name)
        if self._last == ".":
            start, insert = self._read(name, steps, first)
        shown = safe_text(about, limit=MAX_HELP)
        kinds = " or ".join(dict.fromkeys(one.type for one in variants))
        return Candidate("attribute", name, insert, start, self._end, kinds, shown)

    def _read(self, name: str, steps: Steps, first: int) -> tuple[int, str]:
        """Where an attribute's text begins, and the text, behind a `has` for what may be absent."""
        missing = self._place.missing((*steps, name)) if self._can_guard(first) else []
        if missing:
            checks = [f"{spelled(one[:-1])} has {_word(one[-1])}" for one in missing]
            return self._place.tokens[first].start, " && ".join((*checks, spelled((*steps, name))))
        if _is_plain(name):
            return self._start, name
        return self._place.tokens[-1].start, f"[{quoted(name)}]"

    def _can_guard(self, first: int) -> bool:
        """Whether `a && b` can stand where the path begins."""
        before = self._texts[first - 1] if first else ""
        opener = self._place.tokens[first - 2] if first > 1 else None
        is_call = opener is not None and opener.kind == "ident" and opener.text not in _STARTS
        return before in _STARTS or (before == "(" and not is_call)

    def _methods(self, steps: Steps) -> Iterator[Candidate]:
        for kind in {one.type for one in self._place.at(steps)}:
            known = METHODS.get("Set" if kind.startswith("Set<") else kind, {})
            for name, about in known.items():
                yield self._one("method", name, f"{name}(", kind, about)


def _is_plain(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED


def _word(name: str) -> str:
    return name if _is_plain(name) else quoted(name)


def spelled(steps: Steps) -> str:
    """A path as Cedar reads it."""
    rest = (f".{one}" if _is_plain(one) else f"[{quoted(one)}]" for one in steps[1:])
    return "".join((*steps[:1], *rest))

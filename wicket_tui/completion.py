"""What can stand at a place of a Cedar text: lexer context times the agent's tree of names (9.5).

Pure; used by the editor screen. Counterpart of the schema endpoint, which gives the names. It needs
no text that parses: only the tokens of the statement up to the cursor count.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.api.text import safe_text
from wicketd.api.types.names import Attribute, Names, ToolName
from wicketd.policy import lexer
from wicketd.policy.lexer import Token

MAX_HELP: Final = 300

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"true", "false", "if", "then", "else", "in", "is", "like", "has"})
_GROUPS: Final = ("call_tool", "destructive", "get_prompt", "read", "read_resource", "write")
_TIERS: Final = ("read", "write", "destructive")
_METHODS: Final = {
    "Set": ("contains", "containsAll", "containsAny", "isEmpty"),
    "decimal": ("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"),
    "ipaddr": ("isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange"),
    "datetime": ("offset", "durationSince", "toDate", "toTime"),
    "duration": ("toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"),
}
_VARIABLES: Final = ("principal", "action", "resource", "context")
_FUNCTIONS: Final = ("ip", "decimal", "datetime", "duration")
_VALUE_OF: Final = {"role": ("member", "owner"), "tier": _TIERS}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can stand here. `start`, `end`: the code points that `insert` replaces.

    `kind`: keyword, variable, operator, type, tool, group, member, attribute, method or value.
    `detail`: a type or tier; `help`: one line, safe to show.
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
    tokens = [one for one in lexer.lex(text[:offset]) if one.kind != "space"]
    if tokens and tokens[-1].kind == "comment":
        return []
    tokens = [one for one in tokens if one.kind != "comment"]
    typed, start = "", offset
    if tokens and tokens[-1].end == offset and tokens[-1].kind in {"ident", "openstring"}:
        typed, start = tokens[-1].text, tokens[-1].start
        tokens = tokens[:-1]
    here = _Here(_statement(tokens), names, start, offset)
    found = [one for one in here.candidates() if _fits(typed, one)]
    return sorted(found, key=lambda one: (_rank(typed, one), one.label))


def _fits(typed: str, one: Candidate) -> bool:
    wanted = typed.strip('"').casefold()
    return wanted in one.label.casefold() or wanted in one.insert.casefold()


def _rank(typed: str, one: Candidate) -> tuple[bool, int]:
    is_prefix = one.label.casefold().startswith(typed.strip('"').casefold())
    tier = _TIERS.index(one.detail) if one.detail in _TIERS else 0
    return (not is_prefix, tier)


def _statement(tokens: Sequence[Token]) -> list[Token]:
    """The tokens behind the last `;`."""
    ends = [at for at, one in enumerate(tokens) if one.kind == "op" and one.text == ";"]
    return list(tokens[ends[-1] + 1 :] if ends else tokens)


class _Here:
    """One place: the tokens of its statement before it, and what they make of it."""

    def __init__(self, tokens: list[Token], names: Names, start: int, end: int) -> None:
        self._tokens, self._names = tokens, names
        self._start, self._end = start, end
        self._texts = [one.text if one.kind != "string" else '"' for one in tokens]
        self._last = self._texts[-1] if tokens else ""

    def candidates(self) -> Iterator[Candidate]:
        """Everything that can stand here, whatever of it is typed already."""
        if self._last == "@":
            yield from self._words("keyword", ("id", "deny_message"))
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
        for word in words:
            yield self._one(kind, word, word)

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

    def _scope(self) -> Iterator[Candidate]:
        variable = next((one for one in reversed(self._texts) if one in _VARIABLES[:3]), "")
        if self._last in _VARIABLES:
            is_action = self._last == "action"
            yield from self._words("operator", ("==", "in") if is_action else ("==", "in", "is"))
        elif self._last == "is":
            yield from self._types()
        elif self._last in {"==", "in", "["} or (self._last == "," and self._in_list()):
            yield from self._entities(variable)
        elif self._last in {"(", ","}:
            at = self._texts.count(",") if variable else 0
            yield from self._words("variable", _VARIABLES[at : at + 1])

    def _in_list(self) -> bool:
        return self._texts.count("[") > self._texts.count("]")

    def _types(self) -> Iterator[Candidate]:
        for one in self._names.types:
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

    def _literals(self, kind: str, of: str, ids: Iterable[str]) -> Iterator[Candidate]:
        for one in ids:
            yield self._one(kind, one, f"{of}::{_quoted(one)}", of)

    def _actions(self) -> Iterator[Candidate]:
        first = self._first_namespace()
        if self._last != "==" and first in {None, "Wicket"}:
            for one in _GROUPS:
                yield self._one("group", one, f"Wicket::Action::{_quoted(one)}", "every tool of it")
        for tool in self._names.tools:
            if first in {None, tool.namespace} and not tool.is_gone:
                insert = f"{tool.namespace}::Action::{_quoted(tool.name)}"
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
        elif self._last in {"==", "!="}:
            yield from self._values()
        elif self._last in {"{", "(", "&&", "||", "!", "then", "else", "if"}:
            yield from self._words("variable", _VARIABLES)
            for name in _FUNCTIONS:
                yield self._one("method", name, f"{name}(")
            yield from self._words("keyword", ("if",))

    def _members(self) -> Iterator[Candidate]:
        path = self._path(len(self._texts) - 1)
        known = self._below(path)
        for one in {one.name: one for one in known}.values():
            yield from self._attribute(one, path)
        if self._last == ".":
            yield from self._methods(path)

    def _attribute(self, one: Attribute, path: Sequence[str]) -> Iterator[Candidate]:
        about = one.description
        if _IDENTIFIER.fullmatch(one.name) and one.name not in _RESERVED:
            yield self._one("attribute", one.name, one.name, one.type, about)
        elif self._last == "has":
            yield self._one("attribute", one.name, _quoted(one.name), one.type, about)
        else:
            dot = self._tokens[-1].start
            insert = f"[{_quoted(one.name)}]"
            shown = safe_text(about, limit=MAX_HELP)
            yield Candidate("attribute", one.name, insert, dot, self._end, one.type, shown)

    def _methods(self, path: Sequence[str]) -> Iterator[Candidate]:
        kinds = {one.type for one in self._at(path)}
        for kind in kinds:
            for name in _METHODS.get("Set" if kind.startswith("Set<") else kind, ()):
                yield self._one("method", name, f"{name}(", kind)

    def _path(self, end: int) -> list[str]:
        """The attributes before the token at `end`, from their variable on."""
        path: list[str] = []
        at = end - 1
        while at >= 0:
            token = self._tokens[at]
            if token.kind == "ident":
                path.insert(0, token.text)
                if at == 0 or self._texts[at - 1] != ".":
                    return path
                at -= 2
            elif token.text == "]" and at > 1 and self._tokens[at - 1].kind == "string":
                path.insert(0, lexer.unquote(self._tokens[at - 1].text))
                at -= 3
            else:
                return []
        return []

    def _at(self, path: Sequence[str]) -> list[Attribute]:
        """The attributes that a path ends at; several where tools differ."""
        if len(path) < 2:
            return []
        return [one for one in self._below(path[:-1]) if one.name == path[-1]]

    def _below(self, path: Sequence[str]) -> list[Attribute]:
        if not path:
            return []
        level = self._roots(path[0])
        for name in path[1:]:
            level = [each for one in level if one.name == name for each in one.attributes]
        return level

    def _roots(self, variable: str) -> list[Attribute]:
        if variable == "context":
            every = {one.name: one for tool in self._tools() for one in tool.input}
            inputs = Attribute(name="input", type="Record", attributes=tuple(every.values()))
            return [inputs, *self._names.context]
        types = {"Wicket::Member"} if variable == "principal" else set[str]()
        if variable == "resource":
            types = {kind for tool in self._tools() for kind in tool.types}
        return [each for one in self._names.types if one.name in types for each in one.attributes]

    def _tools(self) -> list[ToolName]:
        named = {
            (one.type.removesuffix("::Action"), one.id)
            for one in lexer.paths(" ".join(token.text for token in self._tokens))
            if one.type.endswith("::Action")
        }
        tools = [one for one in self._names.tools if (one.namespace, one.name) in named]
        return tools or list(self._names.tools)

    def _values(self) -> Iterator[Candidate]:
        path = self._path(len(self._texts) - 1)
        values = [value for one in self._at(path) for value in one.values]
        if path:
            values += _VALUE_OF.get(path[-1], ())
        for value in dict.fromkeys(values):
            yield self._one("value", value, _quoted(value), "String")


def _quoted(value: str) -> str:
    """A Cedar string literal."""
    plain = "".join(
        "\\" + one if one in {'"', "\\"} else one if one.isprintable() else f"\\u{{{ord(one):x}}}"
        for one in value
    )
    return f'"{plain}"'

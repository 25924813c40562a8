"""A place in a Cedar statement: what stands before it, and what the agent's names make of that.

Shared by completion and hover. Pure, total: it needs no text that parses, only tokens. Attributes
are narrowed by the scope of the statement, and by each `is` and `has` that holds at the place.
Source: policy specification, 9.5.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from wicketd.api.types.names import Attribute, Names, ToolName
from wicketd.policy import lexer
from wicketd.policy.lexer import Token

_OPENERS: Final = frozenset("([{")
_CLOSERS: Final = frozenset(")]}")
_APART: Final = frozenset({"||", "else", ",", ";"})
"""What stands left of these need not hold to the right of them."""

_OTHERS: Final = {
    ("Wicket::Action", "get_prompt"): "Wicket::Prompt",
    ("Wicket::Action", "read_resource"): "Wicket::Resource",
}
"""Actions that call no tool, and what they are about."""

Steps = tuple[str, ...]
"""A variable and the attributes behind it, such as `("context", "input", "path")`."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A path of attributes. `first`: the index of its variable's token."""

    steps: Steps
    first: int


NOTHING: Final = Chain((), 0)


class Place:
    """The significant tokens of one statement up to a place."""

    def __init__(self, tokens: Sequence[Token], names: Names) -> None:
        self.tokens = tokens
        self.names = names
        self.texts = ['"' if one.kind == "string" else one.text for one in tokens]

    @property
    def last(self) -> str:
        """The text before the place."""
        return self.texts[-1] if self.texts else ""

    def chain(self, end: int) -> Chain:
        """The path whose last token stands before the token at `end`."""
        steps: list[str] = []
        at = end - 1
        while at >= 0:
            token = self.tokens[at]
            if token.kind == "ident":
                steps.append(token.text)
                if at == 0 or self.texts[at - 1] != ".":
                    return Chain(tuple(reversed(steps)), at)
                at -= 2
            elif token.text == "]" and at > 1 and self.tokens[at - 1].kind == "string":
                steps.append(lexer.unquote(self.tokens[at - 1].text))
                at -= 3
            else:
                break
        return NOTHING

    def at(self, steps: Steps) -> list[Attribute]:
        """The attributes that a path ends at; several where tools differ."""
        if len(steps) < 2:
            return []
        return [one for one in self.below(steps[:-1]) if one.name == steps[-1]]

    def below(self, steps: Steps) -> list[Attribute]:
        """The attributes that can follow a path; several of a name where tools differ."""
        if not steps:
            return []
        level = self._roots(steps[0])
        for name in steps[1:]:
            level = [each for one in level if one.name == name for each in one.attributes]
        return level

    def missing(self, steps: Steps) -> list[Steps]:
        """The paths that a `has` must still make sure of before this one can be read."""
        paths = [steps[: end + 1] for end in range(1, len(steps))]
        return [one for one in paths if one not in self.sure and self._may_lack(one)]

    def _may_lack(self, steps: Steps) -> bool:
        if any(one.is_optional for one in self.at(steps)):
            return True
        lacking = [kind for kind in self.kinds if steps[1] not in self._attributes(kind)]
        return len(steps) == 2 and steps[0] == "resource" and bool(lacking)

    def _attributes(self, kind: str) -> set[str]:
        return {
            each.name for one in self.names.types if one.name == kind for each in one.attributes
        }

    def _roots(self, variable: str) -> list[Attribute]:
        if variable == "context":
            arguments = tuple(one for tool in self.tools for one in tool.input)
            inputs = Attribute(
                name="input",
                type="Record",
                attributes=arguments,
                description="The arguments of the call.",
            )
            return [inputs, *self.names.context]
        kinds = {"principal": ("Wicket::Member",), "resource": self.kinds}.get(variable, ())
        return [each for one in self.names.types if one.name in kinds for each in one.attributes]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The types that `resource` can have here."""
        if self._is_of:
            return self._is_of
        kinds = dict.fromkeys(kind for tool in self.tools for kind in tool.types)
        actions = self._scoped.actions
        others = [kind for one, kind in _OTHERS.items() if one in actions or not actions]
        return (*kinds, *others)

    @cached_property
    def tools(self) -> tuple[ToolName, ...]:
        """The tools whose calls can come to this place; all of them where none is known."""
        live = [one for one in self.names.tools if not one.is_gone]
        found = [one for one in live if self._scoped.matches(one) and self._has_sure(one)]
        return tuple(found or ([] if self._scoped.actions and not self._scoped.tools else live))

    def _has_sure(self, tool: ToolName) -> bool:
        names = {one.name for one in tool.input}
        return all(one[2] in names for one in self.sure if one[:2] == ("context", "input"))

    @cached_property
    def _scoped(self) -> "_Scope":
        return _Scope.of(self.tokens)

    @cached_property
    def _is_of(self) -> tuple[str, ...]:
        scoped = self._scoped.kinds
        held = [
            "".join(_words(self.tokens, at + 1, "::"))
            for at in self._holding
            if self.texts[at] == "is" and self.chain(at).steps == ("resource",)
        ]
        known = {one.name for one in self.names.types}
        return tuple(one for one in (*held, *scoped) if one in known)[:1]

    @cached_property
    def sure(self) -> frozenset[Steps]:
        """The paths that a `has` to the left makes sure of."""
        found: set[Steps] = set()
        for at in self._holding:
            if self.texts[at] != "has":
                continue
            steps = self.chain(at).steps
            if steps and at + 1 < len(self.tokens) and self.tokens[at + 1].kind == "string":
                found.add((*steps, lexer.unquote(self.tokens[at + 1].text)))
                continue
            for word in _words(self.tokens, at + 1, ".")[::2] if steps else ():
                steps = (*steps, word)
                found.add(steps)
        return frozenset(found)

    @cached_property
    def _holding(self) -> list[int]:
        """The tokens before the place that are of a condition which is true there."""
        found: list[int] = []
        depth, is_apart = 0, False
        for at in range(len(self.texts) - 1, -1, -1):
            text = self.texts[at]
            if text in _CLOSERS:
                depth += 1
            elif text in _OPENERS and depth == 0:
                is_apart = False
            elif text in _OPENERS:
                depth -= 1
            elif depth == 0 and text in _APART:
                is_apart = True
            elif depth == 0 and not is_apart:
                found.append(at)
        return found


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the head of a statement says: actions and the service or type of the resource."""

    actions: frozenset[tuple[str, str]]
    services: frozenset[str]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> "_Scope":
        head = list(_head(tokens))
        paths = lexer.paths(" ".join(token.text for token in head))
        kinds = tuple(
            "".join(_words(head, at + 1, "::"))
            for at, one in enumerate(head)
            if one.text == "is" and at > 0 and head[at - 1].text == "resource"
        )
        return cls(
            frozenset((one.type, one.id) for one in paths if one.type.endswith("Action")),
            frozenset(one.id for one in paths if one.type == "Wicket::Service"),
            kinds,
        )

    @property
    def tools(self) -> frozenset[tuple[str, str]]:
        """The actions that call tools."""
        return self.actions - _OTHERS.keys()

    def matches(self, tool: ToolName) -> bool:
        """Whether calls of a tool can match."""
        if self.services and tool.service not in self.services:
            return False
        if self.kinds and not {*self.kinds} & {*tool.types}:
            return False
        groups = {("Wicket::Action", "call_tool"), ("Wicket::Action", tool.tier)}
        own = {(f"{tool.namespace}::Action", name) for name in (tool.name, "any")}
        return not self.actions or bool(self.actions & (groups | own))


def _head(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens of the scope, whole or not."""
    depth = 0
    for token in tokens:
        if token.kind != "string" and token.text in _CLOSERS:
            depth -= 1
            if depth == 0 and token.text == ")":
                return
        if depth:
            yield token
        if token.kind != "string" and token.text in _OPENERS:
            depth += 1


def _words(tokens: Sequence[Token], start: int, joint: str) -> list[str]:
    """Identifiers from an index on, with the joints between them: `a . b`, `A :: B`."""
    found: list[str] = []
    for token in tokens[start:]:
        wanted = token.kind == "ident" if len(found) % 2 == 0 else token.text == joint
        if not wanted:
            break
        found.append(token.text)
    return found

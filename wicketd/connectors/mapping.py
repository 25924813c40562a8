"""Maps a call's arguments to the resource they name. Counterpart of `policy.schema`; pure.

Each part matches its pattern whole and holds no separator, so arguments that differ in a target
part never share an id, case folding apart. Source: policy spec, 1.5 (T1 to T4).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.catalogue import Target, TargetRule, target_rule
from wicketd.domain.json import JsonObject

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The argument that names no resource: its JSON Pointer, and what was expected there."""

    pointer: str
    expected: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `{argument}` placeholders; `literals` has one entry more than `arguments`."""

    literals: tuple[str, ...]
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Splits a template of a connector file.

        Raises:
            ValueError: a brace stands outside a placeholder.
        """
        parts = _PLACEHOLDER.split(text)
        literals, arguments = tuple(parts[::2]), tuple(parts[1::2])
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError("holds a brace that is no {argument}")
        return cls(literals, arguments)

    @property
    def separators(self) -> frozenset[str]:
        """The characters between placeholders: none of them may stand inside a part."""
        return frozenset("".join(self.literals[1:-1]))

    @property
    def is_separated(self) -> bool:
        """Whether neighbouring placeholders have text between them."""
        return all(self.literals[1:-1])

    def fill(self, parts: Mapping[str, str]) -> str:
        """The text with its placeholders replaced by `parts`."""
        filled = [self.literals[0]]
        for argument, literal in zip(self.arguments, self.literals[1:], strict=True):
            filled += (parts[argument], literal)
        return "".join(filled)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its texts parsed: what a snapshot keeps, so that no call parses them again."""

    rule: TargetRule
    pattern: re.Pattern[str]
    id: Template
    attrs: tuple[tuple[str, Template], ...]
    parents: tuple[tuple[str, Template], ...]
    arguments: tuple[str, ...]
    """All arguments of the rule, those of the id first."""
    separators: frozenset[str]

    @classmethod
    def of(cls, rule: TargetRule) -> "CompiledRule":
        """Parses the texts of a rule that `rules.check` has admitted."""
        template = Template.parse(rule.id)
        attrs = tuple((name, Template.parse(text)) for name, text in rule.attrs.items())
        parents = tuple((entity, Template.parse(text)) for entity, text in rule.parents)
        everyone = (template, *(each for _, each in (*attrs, *parents)))
        return cls(
            rule=rule,
            pattern=re.compile(rule.pattern),
            id=template,
            attrs=attrs,
            parents=parents,
            arguments=tuple(dict.fromkeys(name for each in everyone for name in each.arguments)),
            separators=frozenset[str]().union(*(each.separators for each in everyone)),
        )

    def resolve(self, namespace: str, arguments: JsonObject) -> Target | Unresolved | None:
        """Applies the rule. None: it is optional and its arguments are all absent or null."""
        if self.rule.optional and all(arguments.get(name) is None for name in self.arguments):
            return None
        parts: dict[str, str] = {}
        for name in self.arguments:
            part = self._part(arguments.get(name))
            if part is None:
                expected = f"a text or integer that matches {self.rule.pattern}"
                return Unresolved(_pointer(name), expected)
            parts[name] = part.lower() if self.rule.fold == "lower" else part
        return Target(
            type=f"{namespace}::{self.rule.entity}",
            id=self.id.fill(parts),
            attrs={name: template.fill(parts) for name, template in self.attrs},
            parents=tuple(
                (f"{namespace}::{entity}", template.fill(parts))
                for entity, template in self.parents
            ),
        )

    def _part(self, value: object) -> str | None:
        """The text of an argument, or None if it is no part: absent, mistyped, not matching."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = value if isinstance(value, str) else str(value)
        if self.pattern.fullmatch(text) is None:
            return None
        # The pattern is the file's; that no part holds a separator is ours, whatever it admits.
        return None if self.separators.intersection(text) else text


def target(
    namespace: str,
    rules: Sequence[TargetRule],
    tool_name: str,
    required: frozenset[str],
    arguments: JsonObject,
) -> Target | Unresolved | None:
    """The resource that the arguments name; None: the tool stays on its own `Wicket::Tool`.

    Rules T1 to T4: id, attributes and parents come from the one parsed value that is forwarded.
    """
    rule = target_rule(rules, tool_name, required)
    return None if rule is None else CompiledRule.of(rule).resolve(namespace, arguments)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")

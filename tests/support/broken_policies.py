"""Real policies, each broken in one place that is known: tokens dropped, doubled and swapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wicketd.policy import lexer

_CASES: Final = Path(__file__).parents[1] / "policy" / "cases" / "recipes"
_MORE: Final = """\
@id("a") permit (principal is Wicket::Member in Wicket::Group::"g", action, resource)
when { if principal has role then principal.role like "own*" else -1 < context.time.hour + 2 }
unless { {a: 1, "b": [1, 2]}.a == 1 || !(context.input["max-rows"] != 3) };
"""


@dataclass(frozen=True, slots=True)
class Edited:
    """A statement with one edit. `start`: of the first token that the edit changed."""

    text: str
    start: int


def statements() -> list[str]:
    """The statements of the published recipes, and one of each form that they leave out."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(_CASES.glob("*.cedar"))]
    return [text[span.start : span.end] for text in [*texts, _MORE] for span in lexer.split(text)]


def edits() -> Iterator[Edited]:
    """Every token of every statement dropped, doubled, and swapped with its neighbour."""
    for statement in statements():
        tokens = lexer.significant(statement)
        for at, token in enumerate(tokens):
            before, rest = statement[: token.start], statement[token.end :]
            yield Edited(before + rest, token.start)
            yield Edited(f"{before}{token.text} {token.text}{rest}", token.start)
            if at + 1 < len(tokens):
                other = tokens[at + 1]
                middle = f"{other.text} {statement[token.end : other.start]}{token.text}"
                yield Edited(f"{before}{middle} {statement[other.end :]}", token.start)


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A statement with a wrong name. `marks`: the spans that name it, alone, as type or as path."""

    text: str
    marks: frozenset[str]


_KEYWORDS: Final = frozenset(
    {"permit", "forbid", "principal", "action", "resource", "context", "when", "unless"}
    | {"true", "false", "in", "is", "has", "like", "if", "then", "else"}
)


def misspelt(statement: str) -> Iterator[Misspelt]:
    """Every name and string of a statement with a letter too many."""
    tokens = lexer.significant(statement)
    for at, token in enumerate(tokens):
        if token.kind not in {"ident", "string"} or token.text in _KEYWORDS:
            continue
        wrong = token.text[:-1] + 'q"' if token.kind == "string" else token.text + "q"
        low, high = at, at
        while low > 1 and tokens[low - 1].text == "::":
            low -= 2
        while high + 2 < len(tokens) and tokens[high + 1].text == "::":
            high += 2
        path = [one.text for one in tokens[low : high + 1]]
        path[at - low] = wrong
        marks = {wrong, "".join(path), "".join(path[:-2])}
        yield Misspelt(statement[: token.start] + wrong + statement[token.end :], frozenset(marks))

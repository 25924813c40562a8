"""A Cedar text as an editor sees it: lines of coloured tokens, places, problems found without help.

Pure. Counterpart of the check endpoint, whose answer replaces the problems that are found here.
Offsets are code points of the whole text; a place is a line and a column, both from 0.
Source: terminal app specification, section 5.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from wicketd.api.types.policies import Problem
from wicketd.policy import lexer
from wicketd.policy.lexer import Token

Place = tuple[int, int]
UNSENDABLE: Final = frozenset({"too_large", "too_nested", "too_deep"})
"""Codes of problems with which a text is not sent to the daemon."""

_BOOLS: Final = ("true", "false")
_KEYWORDS: Final = frozenset(
    ("permit", "forbid", "when", "unless", "if", "then", "else", "in", "has", "like", "is", *_BOOLS)
)
_VARIABLES: Final = frozenset({"principal", "action", "resource", "context"})
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_HIDDEN: Final = re.compile(f"\r(?!\n)|[{lexer.DECEPTIVE}\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    r"""The text with what a terminal would hide or obey as Cedar's own escape, `\u{202e}`.

    In a string it means the same; anywhere else the check says where it stands.
    """
    return _HIDDEN.sub(lambda match: f"\\u{{{ord(match.group()):x}}}", text)


@dataclass(frozen=True, slots=True)
class Shade:
    """A piece of a line and what it is: keyword, type, string, number, comment, annotation."""

    start: int
    end: int
    kind: str


class Source:
    """One text, lexed once. `newline`: what ends its lines."""

    def __init__(self, text: str, newline: str = "\n") -> None:
        self.text = text
        self._tokens = lexer.lex(text)
        self._starts = [0]
        at = text.find(newline)
        while at >= 0:
            self._starts.append(at + len(newline))
            at = text.find(newline, at + len(newline))
        self._begins = [token.start for token in self._tokens]

    def offset(self, place: Place) -> int:
        """The code points before a place."""
        return min(self._starts[min(place[0], len(self._starts) - 1)] + place[1], len(self.text))

    def place(self, offset: int) -> Place:
        """Line and column of an offset."""
        line = bisect_right(self._starts, max(0, min(offset, len(self.text)))) - 1
        return line, offset - self._starts[line]

    def shades(self, line: int) -> Iterator[Shade]:
        """The tokens of a line that have a colour, as columns of it."""
        if line >= len(self._starts):
            return
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        at = max(bisect_right(self._begins, start) - 1, 0)
        while at < len(self._tokens) and self._tokens[at].start < end:
            token = self._tokens[at]
            kind = self._kind(at)
            if kind and token.end > start:
                yield Shade(max(token.start, start) - start, min(token.end, end) - start, kind)
            at += 1

    def _kind(self, at: int) -> str:
        token = self._tokens[at]
        if token.kind == "ident":
            return self._kind_of_word(at)
        if token.text == "@":
            return "annotation"
        kinds = {"openstring": "error", "bad": "error", "slot": "error", "op": "operator"}
        return kinds.get(token.kind, "" if token.kind == "space" else token.kind)

    def _kind_of_word(self, at: int) -> str:
        before, after = self._beside(at, -1), self._beside(at, 1)
        if before == "@":
            return "annotation"
        if after == "::" or before in {"::", "is"}:
            return "type"
        word = self._tokens[at].text
        if before == ".":
            return ""
        return "keyword" if word in _KEYWORDS else "variable" if word in _VARIABLES else ""

    def _beside(self, at: int, step: int) -> str:
        at += step
        while 0 <= at < len(self._tokens):
            if self._tokens[at].kind not in {"space", "comment"}:
                return self._tokens[at].text
            at += step
        return ""

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong whatever the agent's names are: size, nesting, open strings, brackets."""
        found = [
            self._problem(one.code, one.message, one.start, one.end)
            for one in lexer.guard(self.text)
        ]
        if not any(one.code in UNSENDABLE for one in found):
            found += self._open_strings()
            found += self._open_brackets()
        return tuple(found[:100])

    def _open_strings(self) -> Iterator[Problem]:
        message = 'This string has no end. Write a " behind it.'
        for token in self._tokens:
            if token.kind == "openstring":
                yield self._problem("syntax", message, token.start, token.end)

    def _open_brackets(self) -> Iterator[Problem]:
        opened: list[Token] = []
        for token in self._tokens:
            if token.kind != "op":
                continue
            if token.text in _PAIRS.values():
                opened.append(token)
            elif token.text in _PAIRS:
                if opened and opened[-1].text == _PAIRS[token.text]:
                    opened.pop()
                    continue
                message = f"Nothing opens this {token.text}. Remove it, or open it before."
                yield self._problem("syntax", message, token.start, token.end)
                return
        for token in opened[-1:]:
            message = f"This {token.text} is never closed."
            yield self._problem("syntax", message, token.start, token.end)

    def _problem(self, code: str, message: str, start: int, end: int) -> Problem:
        line, column = self.place(start)
        return Problem(
            severity="error",
            code=code,
            message=message,
            start=start,
            end=end,
            line=line + 1,
            col=column + 1,
            statement=None,
            approximate=False,
        )


def moved(problems: Sequence[Problem], source: Source, at: int, by: int) -> tuple[Problem, ...]:
    """Problems of a text whose part from `at` on went `by` code points further.

    Until the next check: marks would else stand beside what they mean while somebody types.
    """
    found = []
    for one in problems:
        start = one.start + by if one.start >= at else one.start
        end = one.end + by if one.end > at else one.end
        if not 0 <= start <= end <= len(source.text):
            continue
        line, column = source.place(start)
        found.append(replace(one, start=start, end=end, line=line + 1, col=column + 1))
    return tuple(found)


def errors(problems: Sequence[Problem]) -> int:
    """How many of them refuse a save."""
    return sum(one.severity == "error" for one in problems)


def place_after(old: str, offset: int, new: str) -> int:
    """Where a cursor belongs in a formatted text: into the token that it was in."""
    before = [token for token in lexer.significant(old) if token.start <= offset]
    after = lexer.significant(new)
    if not before or not after:
        return 0
    token = after[min(len(before), len(after)) - 1]
    return min(token.start + offset - before[-1].start, token.end)

"""Tokens, statements and the size guard of Cedar policy text.

Counterpart of `policy.engine`, which parses; used by the daemon, its policy child and the TUI
alike. Invariant: total and lossless, every text lexes, and the tokens put together are the text.
Offsets are code points.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_BYTES: Final = 64 * 1024
MAX_NESTING: Final = 64
MAX_PATH: Final = 512

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\r\n]*)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<openstring>"(?:[^"\\\r\n]|\\[^\r\n])*\\?)
  | (?P<number>[0-9]+)
  | (?P<ident>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<slot>\?[A-Za-z_]*)
  | (?P<op>::|==|!=|<=|>=|&&|\|\||[@.,;:(){}\[\]<>=!+*/%-])
  | (?P<bad>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_END: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|"(?:[^"\\\r\n]|\\[^\r\n])*\\?|//[^\r\n]*|(?P<end>;)', re.DOTALL
)
"""Strings and comments, in which no statement ends, and the `;` of `_TOKEN`."""
_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_SIMPLE_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
DECEPTIVE: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ud800-\udfff"
)
"""A character class: controls, lines that are none, bidi controls, zero widths, surrogates."""
_FORBIDDEN: Final = re.compile(f"\r(?!\n)|[{DECEPTIVE}]")
_OPENERS: Final = frozenset("([{")
_CLOSERS: Final = frozenset(")]}")


class Token(NamedTuple):
    """`kind`: space comment string openstring number ident slot op bad; `start`, `end`: offsets."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """One statement, from its first token to behind its `;`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Path:
    """An entity literal `A::B::"id"`; `id` is unquoted."""

    type: str
    id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How deep an engine has to recurse: open brackets and `if`s, and links on the deepest path."""

    nesting: int
    path: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What the guard refuses. `message` is a sentence for people that ends with the next step."""

    code: str
    message: str
    start: int
    end: int


def lex(text: str) -> list[Token]:
    """Splits any text into tokens that cover it without gaps."""
    return [
        Token(match.lastgroup or "bad", match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]


def significant(text: str) -> list[Token]:
    """The tokens that mean something: without spaces and comments."""
    return [token for token in lex(text) if token.kind not in {"space", "comment"}]


def essence(text: str) -> list[str]:
    """Comments and tokens without trailing commas: what a formatter must keep."""
    kept = [token.text.rstrip() for token in lex(text) if token.kind != "space"]
    after = [*kept[1:], ""]
    return [
        one for one, then in zip(kept, after, strict=True) if one != "," or then not in _CLOSERS
    ]


def split(text: str) -> list[Span]:
    """Cuts at each `;` token, the point where the engine itself recovers.

    A last open statement counts.
    """
    spans: list[Span] = []
    start: int | None = None
    end = 0
    for token in significant(text):
        start = token.start if start is None else start
        end = token.end
        if token.text == ";" and token.kind == "op":
            spans.append(Span(start, end))
            start = None
    if start is not None:
        spans.append(Span(start, end))
    return spans


def statement_start(text: str, offset: int) -> int:
    """Where the statement around an offset begins: behind the last `;` token before it.

    Several times quicker than `lex`, for what has to answer while somebody types.
    """
    ends = [match.end() for match in _END.finditer(text, 0, offset) if match.lastgroup == "end"]
    return ends[-1] if ends else 0


def line_col(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a code point, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def unquote(literal: str) -> str:
    """The value of a string token; an escape that Cedar does not know stands for itself."""

    def value(match: re.Match[str]) -> str:
        code = match.group(1) or match.group(2)
        if code is None:
            return _SIMPLE_ESCAPES.get(match.group(3), match.group(3))
        point = int(code, 16)
        return chr(point) if point < 0x110000 else match.group()

    return _ESCAPE.sub(value, literal[1:-1])


def names(text: str) -> frozenset[str]:
    """Every identifier and every string value.

    No other attribute can be read by these statements.
    """
    return frozenset(
        token.text if token.kind == "ident" else unquote(token.text)
        for token in lex(text)
        if token.kind in {"ident", "string"}
    )


def paths(text: str) -> list[Path]:
    """Entity literals in order of appearance."""
    found: list[Path] = []
    parts: list[Token] = []
    for token in significant(text):
        if parts and parts[-1].text == "::":
            if token.kind == "string":
                kind = "".join(part.text for part in parts[:-1])
                found.append(Path(kind, unquote(token.text), parts[0].start, token.end))
                parts = []
            else:
                parts = [*parts, token] if token.kind == "ident" else []
        elif parts and token.text == "::":
            parts.append(token)
        else:
            parts = [token] if token.kind == "ident" else []
    return found


_IF, _OR, _AND, _RELATION, _SUM, _PRODUCT, _UNARY, _MEMBER = range(8)
_LEVELS: Final = {
    "||": _OR,
    "&&": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "=", "in", "has", "like", "is"), _RELATION),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
    "!": _UNARY,
    ".": _MEMBER,
}


class _Frame:
    """One open bracket or `if`: links and the deepest operand so far, per precedence level."""

    __slots__ = ("deepest", "is_if", "links")

    def __init__(self, *, is_if: bool = False) -> None:
        self.is_if = is_if
        self.links = [0] * 8
        self.deepest = [0] * 8

    def depth(self, level: int = _IF) -> int:
        """Links on the longest path that starts at `level`.

        Operands left of a chain sit below all of it.
        """
        depth = 0
        for at in range(_MEMBER, level - 1, -1):
            depth = self.links[at] + max(self.deepest[at], depth)
        return depth

    def link(self, level: int) -> None:
        """Takes an operator.

        What bound tighter is finished and becomes an operand of this chain.
        """
        self.deepest[level] = max(self.deepest[level], self.depth(level + 1))
        self.links[level] += 1
        self.links[level + 1 :] = [0] * (_MEMBER - level)
        self.deepest[level + 1 :] = [0] * (_MEMBER - level)

    def hold(self, depth: int, *, is_link: bool) -> None:
        """Takes a closed group of that depth.

        A call, an index or a condition is one link besides.
        """
        self.deepest[_MEMBER] = max(self.deepest[_MEMBER], depth)
        self.links[_MEMBER] += is_link

    def sibling(self) -> None:
        """Starts an element beside the last one: neither lies below the other."""
        self.deepest[_IF] = self.depth()
        self.links[_OR:] = [0] * _MEMBER
        self.deepest[_OR:] = [0] * _MEMBER


class _Meter:
    """Walks the tokens of a text with a stack of frames; recursion-free, whatever the text."""

    def __init__(self) -> None:
        self.frames: list[tuple[_Frame, bool]] = [(self._statement(), False)]
        self.nesting = 0
        self.path = 0

    @staticmethod
    def _statement() -> _Frame:
        frame = _Frame()
        # The scope's own brackets are no link: nothing stands before them.
        frame.links[_MEMBER] = -1
        return frame

    def take(self, token: Token, before: str) -> None:
        """Feeds one significant token; `before` is the kind of operand before it, or empty."""
        text = token.text
        if token.kind == "string":
            return
        if text in _OPENERS or (text == "if" and token.kind == "ident"):
            at_root = len(self.frames) == 1
            self.frames.append((_Frame(is_if=text == "if"), at_root or bool(before)))
            self.nesting = max(self.nesting, len(self.frames) - 1)
        elif text in _CLOSERS:
            self._close_ifs()
            self._close()
        elif text in {",", ";", ":"}:
            self._separate(text)
        elif text in {"then", "else"}:
            self.frames[-1][0].sibling()
        elif text in _LEVELS:
            level = _UNARY if text == "-" and not before else _LEVELS[text]
            self.frames[-1][0].link(level)

    def finish(self) -> Depth:
        """The deepest values of the text, whatever is still open at its end."""
        while len(self.frames) > 1:
            self._close()
        self._end_statement()
        return Depth(self.nesting, self.path)

    def _separate(self, text: str) -> None:
        self._close_ifs()
        if text == ";" and len(self.frames) == 1:
            self._end_statement()
        else:
            self.frames[-1][0].sibling()

    def _close_ifs(self) -> None:
        while self.frames[-1][0].is_if:
            self._close()

    def _close(self) -> None:
        if len(self.frames) > 1:
            frame, is_link = self.frames.pop()
            self.frames[-1][0].hold(1 + frame.depth(), is_link=is_link)

    def _end_statement(self) -> None:
        self.path = max(self.path, self.frames[0][0].depth())
        self.frames[0] = (self._statement(), False)


def measure(text: str) -> Depth:
    """Nesting and path depth (policy spec, G2 and G3).

    The path is an upper bound: a chain lies above its deepest operand on either side, so that a
    long tight chain left of a long loose one counts with both.
    """
    return _measure(significant(text))


def _measure(tokens: Sequence[Token]) -> Depth:
    meter = _Meter()
    before = ""
    for token in tokens:
        meter.take(token, before)
        before = _operand(token)
    return meter.finish()


_PREFIXES: Final = frozenset({"if", "then", "else", "in", "has", "like", "is", "when", "unless"})


def _operand(token: Token) -> str:
    """The token's kind if an operand can end with it, else empty: what tells `a (b)` from `(b)`."""
    if token.kind in {"string", "number", "slot"} or token.text in _CLOSERS:
        return token.kind
    return token.kind if token.kind == "ident" and token.text not in _PREFIXES else ""


def guard(text: str) -> list[Finding]:
    """What would make the engine unsafe to call or the text unsafe to read (policy spec, G1 to G5).

    Run before every engine call that takes text: it dies of deep texts uncatchably.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = (
            f"The policy has {size} bytes; at most {MAX_BYTES} fit. Split it into two policies."
        )
        return [Finding("too_large", message, 0, len(text))]
    findings = list(_bad_characters(text))
    tokens = significant(text)
    findings += _templates(tokens)
    depth = _measure(tokens)
    if depth.nesting > MAX_NESTING:
        message = (
            f"Brackets and ifs nest {depth.nesting} deep; at most {MAX_NESTING} do. Flatten them."
        )
        findings.append(Finding("too_nested", message, 0, len(text)))
    if depth.path > MAX_PATH:
        message = (
            f"An expression is {depth.path} links deep; at most {MAX_PATH} are. "
            "Use a list, or split the statement."
        )
        findings.append(Finding("too_deep", message, 0, len(text)))
    return findings


def _bad_characters(text: str) -> Iterator[Finding]:
    for match in _FORBIDDEN.finditer(text):
        message = (
            f"The character U+{ord(match.group()):04X} can hide what a policy says. Remove it, "
            "or write it as an escape in a string."
        )
        yield Finding("bad_character", message, match.start(), match.end())


def _templates(tokens: Sequence[Token]) -> Iterator[Finding]:
    for token in tokens:
        if token.kind == "slot":
            message = "Template slots never apply here. Name the member or resource instead."
            yield Finding("template", message, token.start, token.end)
        elif token.kind == "ident" and "__cedar" in token.text:
            message = "Names with __cedar belong to the engine. Use another name."
            yield Finding("template", message, token.start, token.end)

"""Makes foreign text safe to print: control, bidi and invisible characters become visible escapes.

Zero-width characters are among them: two names that differ by one look alike, and terminals do not
agree on how wide joined characters are. Used by both command lines and the TUI for everything that
came from upstream, a member or a file.
Source: security specification, section 9 (terminal safety).
"""

import re
from typing import Final

NAME_LIMIT: Final = 256
MESSAGE_LIMIT: Final = 4096

_HIDDEN: Final = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069"
    r"\ufeff\U000e0000-\U000e007f\ud800-\udfff"
)
_ANY_HIDDEN: Final = re.compile(f"[{_HIDDEN}]")
_HIDDEN_BUT_NEWLINE: Final = re.compile(rf"(?!\n)[{_HIDDEN}]")


def safe_text(text: str, *, limit: int = NAME_LIMIT, multiline: bool = False) -> str:
    r"""One line (or, with `multiline`, several) that a terminal shows as it is: `\x1b`, `\u{202e}`.

    `limit`: code points of the result's visible part; a longer text ends with `…`.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return (_HIDDEN_BUT_NEWLINE if multiline else _ANY_HIDDEN).sub(_visible, cut)


def safe_message(text: str) -> str:
    """A text of several lines, cut at 4,096 code points."""
    return safe_text(text, limit=MESSAGE_LIMIT, multiline=True)


def safe_json(encoded: str) -> str:
    r"""JSON text with the same characters as `\uXXXX`: equal for parsers, harmless to see."""
    return _HIDDEN_BUT_NEWLINE.sub(_json_escape, encoded)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{{{code:x}}}"


def _json_escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))

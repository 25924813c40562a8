"""The statements of a policy text, one line each: what the outline of the editor lists.

Pure, total: a broken statement has its line, too. Source: policy specification, 9.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.api.text import safe_text
from wicketd.api.types.policies import PolicyChecked
from wicketd.policy import lexer
from wicketd.policy.lexer import Token

MAX_LABEL: Final = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement. `label`: its `@id`, or its head, safe to show.

    `line`, `start`: of its first token; `touched`: live tools that it can matter for, None where
    that is unknown. `effect`: permit, forbid, or empty where it has none yet.
    """

    number: int
    label: str
    effect: str
    line: int
    start: int
    touched: int | None


def outline(text: str, checked: PolicyChecked | None = None) -> tuple[Entry, ...]:
    """Every statement in order. `checked`: the answer of a check of this very text."""
    known = {one.number for one in checked.statements} if checked else set[int]()
    touched = checked.touched if checked else None
    entries: list[Entry] = []
    for number, span in enumerate(lexer.split(text), 1):
        tokens = lexer.significant(text[span.start : span.end])
        count = None
        if touched is not None and number in known:
            count = sum(number in one.statements for one in touched)
        effect = next((one.text for one in tokens if one.text in {"permit", "forbid"}), "")
        line, _ = lexer.line_col(text, span.start)
        entries.append(Entry(number, _label(tokens), effect, line, span.start, count))
    return tuple(entries)


def _label(tokens: Sequence[Token]) -> str:
    """The `@id`, else the text of the head: from the effect to the end of the scope."""
    for at, token in enumerate(tokens[:-4]):
        if token.text == "@" and tokens[at + 1].text == "id" and tokens[at + 3].kind == "string":
            return _shown(lexer.unquote(tokens[at + 3].text))
    words: list[str] = []
    length = 0
    for token in tokens:
        if token.text in {"when", "unless", ";"} or length > MAX_LABEL:
            break
        if token.text in {"permit", "forbid"}:
            words.clear()
        words.append(token.text)
        length += len(token.text)
    joined = " ".join(words)
    for tight in ("( ", " )", "[ ", " ]", " ,", " :: ", " ."):
        joined = joined.replace(tight, tight.strip())
    return _shown(joined)


def _shown(label: str) -> str:
    return safe_text(label, limit=MAX_LABEL)[:MAX_LABEL]

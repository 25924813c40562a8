"""Texts that differ, line by line: signs and colours, for diffs of policies."""

from collections.abc import Callable
from typing import Final

from rich.style import Style
from rich.text import Text

from wicketd.api.text import safe_text

MAX_LINES: Final = 2000
_LINE: Final = 400
_TINTS: Final = {"+": "allow", "-": "deny", "@": "accent"}


def difference(unified: str, tint: Callable[[str], Style]) -> Text:
    """A unified diff. `tint`: the style of a theme variable; every line is safe to show."""
    lines = unified.splitlines()
    text = Text(end="")
    for line in lines[:MAX_LINES]:
        name = _TINTS.get(line[:1])
        text.append(safe_text(line, limit=_LINE) + "\n", tint(name) if name else "")
    if len(lines) > MAX_LINES:
        text.append(f"… {len(lines) - MAX_LINES} more lines")
    return text

"""The one door for foreign text: a `Text` that no markup is read from, safe for a terminal.

Everything that came from upstream, a member or a file passes here before a widget shows it.
Source: terminal app specification, sections 1 and 2.
"""

from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from wicketd.api.text import safe_text

GLYPHS: Final = {"allow": "✓", "deny": "✗", "pending": "?", "shadow": "~", "muted": "·"}
"""Theme variable to the sign that says the same without colour."""

_MEANINGS: Final = {
    "allow": (
        "active",
        "approved",
        "enabled",
        "sealed",
        "ok",
        "allow",
        "online",
        "write",
        "none",
        "enforced",
    ),
    "deny": ("disabled", "rejected", "removed", "revoked", "degraded", "deny", "broken", "blocked"),
    "pending": (
        "pending",
        "invited",
        "needs_reconnect",
        "flagged",
        "connecting",
        "unacked",
        "stale",
    ),
    "shadow": ("shadow",),
}
_BY_WORD: Final = {word: state for state, words in _MEANINGS.items() for word in words}


def plain(value: object, style: str | Style = "") -> Text:
    """A value as one line: `-` for nothing, lists by comma, control characters visible."""
    if value is None or value in ("", (), {}, []):
        shown = "-"
    elif isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, list | tuple):
        shown = ", ".join(str(item) for item in value)
    else:
        shown = str(value)
    return Text(safe_text(shown), style=style, no_wrap=True, end="")


def prose(text: str, style: str | Style = "") -> Text:
    """A text of several lines, at most 4,096 code points."""
    return Text(safe_text(text, limit=4096, multiline=True), style=style, end="")


def meaning(word: str) -> str:
    """The theme variable of a state's word; "muted" for one without a meaning of its own."""
    return _BY_WORD.get(word.lower(), "muted")


def stated(word: str) -> str:
    """A state's sign and word, such as `✓ approved`."""
    return f"{GLYPHS[meaning(word)]} {safe_text(word)}"


def fitted(text: Text, width: int) -> Text:
    """The text cut to `width` cells, with `…` where something is left out."""
    if cell_len(text.plain) <= width:
        return text
    cut = text.copy()
    cut.truncate(max(width - 1, 0))
    cut.append("…")
    return cut


def padded(text: str, width: int) -> str:
    """Exactly `width` cells."""
    return set_cell_size(text, width)


def moment(at: str | None, now: datetime) -> str:
    """A time of the wire in words: `12 s ago`, `3 h ago`, a date when it is over 30 days."""
    if not at:
        return "never"
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return at
    seconds = int((now - then).total_seconds())
    if seconds < 0:
        return "in " + _span(-seconds)
    return _span(seconds) + " ago" if seconds < 30 * 86_400 else then.date().isoformat()


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

"""The tree of why, coloured: principal, statements with their parts, decision."""

from collections.abc import Callable
from typing import Final

from rich.style import Style
from rich.text import Text

from wicket_tui.reasons import explained
from wicketd.api.types.simulations import Explanation

_TINTS: Final = {"✓": "allow", "✗": "deny", "!": "deny", "·": "muted"}
"""The theme variable of a line by its sign; signs are of `reasons.MARKS`."""


def decision_tree(one: Explanation, head: str, tint: Callable[[str], Style]) -> Text:
    """An explanation. `head`: what it is of; `tint`: the style of a theme variable."""
    first, *rest = explained(one, head)
    decision = "allow" if one.decision == "ALLOW" else "deny"
    sign = "✓" if one.decision == "ALLOW" else "✗"
    text = Text.assemble((f"{sign} {first}\n", tint(decision) + Style(bold=True)), end="")
    for line in rest:
        name = _TINTS.get(line.lstrip()[:1])
        text.append(f"{line}\n", tint(name) if name else Style.null())
    return text

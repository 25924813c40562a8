"""The four themes. States have colours of their own: `$allow $deny $pending $shadow`.

Source: terminal app specification, section 8; contrast and colour-blind distances are tests.
"""

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme

STATES: Final = ("allow", "deny", "pending", "shadow")
DEFAULT: Final = "wicket-dark"
PLAIN: Final = "ansi"


def _theme(
    name: str, grounds: tuple[str, str, str], texts: tuple[str, str, str], states: tuple[str, ...]
) -> Theme:
    """`grounds`: background, surface, panel; `texts`: text, muted, accent; `states` as STATES."""
    background, surface, panel = grounds
    text, muted, accent = texts
    return Theme(
        name=name,
        primary=accent,
        secondary=muted,
        accent=accent,
        success=states[0],
        error=states[1],
        warning=states[2],
        foreground=text,
        background=background,
        surface=surface,
        panel=panel,
        dark=name != "wicket-light",
        variables={
            **dict(zip(STATES, states, strict=True)),
            "muted": muted,
            "line": panel if name == "wicket-light" else "#33404f",
            "block-cursor-background": panel,
            "block-cursor-foreground": text,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": panel,
            "block-cursor-blurred-foreground": text,
            "block-cursor-blurred-text-style": "none",
            "block-hover-background": panel,
            "border": accent,
            "border-blurred": panel,
            "footer-background": surface,
            "input-cursor-background": text,
            "input-cursor-foreground": background,
            "input-selection-background": panel,
            "input-selection-foreground": text,
            "scrollbar": panel,
            "scrollbar-hover": muted,
            "scrollbar-active": accent,
            "scrollbar-background": background,
            "scrollbar-background-hover": background,
            "scrollbar-background-active": background,
            "scrollbar-corner-color": background,
            "button-foreground": text,
            "button-color-foreground": background,
            "button-focus-text-style": "bold reverse",
        },
    )


_DARK: Final = ("#12161c", "#1a2028", "#242c37")
_ANSI: Final = Theme(
    name=PLAIN,
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    success="ansi_green",
    error="ansi_red",
    warning="ansi_yellow",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "allow": "ansi_green",
        "deny": "ansi_red",
        "pending": "ansi_yellow",
        "shadow": "ansi_magenta",
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "muted": "ansi_default",
        "line": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-background": "ansi_default",
        "block-cursor-text-style": "bold reverse",
        "block-cursor-blurred-text-style": "reverse",
        "border": "ansi_cyan",
        "border-blurred": "ansi_default",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
    },
)

THEMES: Final[Mapping[str, Theme]] = {
    theme.name: theme
    for theme in (
        _theme(
            "wicket-dark",
            _DARK,
            ("#dfe6ee", "#9aa8b8", "#7cc4ff"),
            ("#6fd08c", "#ff8a80", "#f2c55c", "#c3a6ff"),
        ),
        _theme(
            "wicket-light",
            ("#ffffff", "#f5f7fa", "#e6ebf1"),
            ("#1b2430", "#4d5a69", "#0b5cad"),
            ("#14692f", "#b3261e", "#7a4b00", "#6237a8"),
        ),
        _theme(
            "blue-orange",
            _DARK,
            ("#dfe6ee", "#9aa8b8", "#dfe6ee"),
            ("#6aaeff", "#ff9d3b", "#fffbe6", "#97a3ae"),
        ),
        _ANSI,
    )
}
"""By name, in the order in which they are offered."""

FALLBACKS: Final[Mapping[str, str]] = THEMES[DEFAULT].variables
"""For themes that users bring: a variable that they do not name."""

"""How the terminal app is started. No Textual here: the command line reads it first."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ThemeName(StrEnum):
    """The themes of `styles.themes`."""

    DARK = "wicket-dark"
    LIGHT = "wicket-light"
    BLUE_ORANGE = "blue-orange"
    ANSI = "ansi"


@dataclass(frozen=True, slots=True)
class Options:
    """How the app was started."""

    socket: Path
    agent: str | None = None
    screen: int = 1
    read_only: bool = False
    theme: ThemeName | None = None
    mouse: bool = True
    low_bandwidth: bool = False

"""How the terminal app is started. No Textual here: the command line reads it first."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """How the app was started."""

    socket: Path
    agent: str | None = None
    screen: int = 1
    read_only: bool = False
    theme: str | None = None
    mouse: bool = True
    low_bandwidth: bool = False

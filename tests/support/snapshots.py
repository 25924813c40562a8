"""What a screen looks like, written down so that people can review it: its grid, and its colours.

Values that differ in every run (ids, times, sizes) are masked in their own width, so that the
layout around them is still compared. Counterpart of `support.screen`, which reads the export.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from textual.app import App

from tests.support.screen import Run, grid

ROOT: Final = Path(__file__).parent.parent / "snapshots"
_MASKS: Final = (
    (re.compile(r"\d\d [A-Z][a-z]{2} \d\d:\d\d:\d\d"), "00 Mon 00:00:00"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?"), None),
    (re.compile(r"(?<=  )\d\d:\d\d$", re.MULTILINE), "00:00"),
    (re.compile(r"/tmp/\S+"), None),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]*"), None),
    (re.compile(r"(?=[A-Za-z_]*\d)[0-9A-Za-z_]{8,}"), None),
    (re.compile(r"\b(?=\w*[a-z]\w*[A-Z]|[A-Z]{8})[0-9A-Za-z]{8}\b"), None),
    (re.compile(r"(?<=key\.issued )\S*…"), "…"),
    (re.compile("[▁▂▃▄▅▆▇]{2}(?= ?│)"), "  "),  # a scrollbar's thumb: it moves with any row
)


_TOOK: Final = re.compile(r"^(│00 Mon[^│]*?)(\d{1,5})( *[▁-█]{0,2} *│)", re.MULTILINE)
"""The milliseconds at the end of an audit line."""


def masked(text: str) -> str:
    """The grid without what differs in every run."""
    for pattern, same in _MASKS:
        text = pattern.sub(same or (lambda match: "#" * len(match[0])), text)
    return _TOOK.sub(lambda match: f"{match[1]}{'N'.ljust(len(match[2]))}{match[3]}", text)


def without_digits(text: str) -> str:
    """The same without any number or blank: for screens that are made of figures."""
    text = re.sub(r"#+", "#", re.sub(r"\d+", "0", text))
    return re.sub(r" +", " ", text)


def colours(found: Iterable[Run]) -> str:
    """The colour pairs of a screen, a line each."""
    pairs = sorted({(run.colour, run.ground) for run in found})
    return "\n".join(f"{one} on {other}" for one, other in pairs)


def shown(app: App[Any], source: str, *, has_numbers: bool = True) -> str:
    """The masked grid of an export."""
    text = masked(grid(app, source))
    return text if has_numbers else without_digits(text)


def compared(name: str, text: str, *, update: bool) -> str | None:
    """None if the text is the stored one, else a sentence with the first line that differs."""
    file = ROOT / f"{name}.txt"
    if update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
        return None
    stored = file.read_text(encoding="utf-8").rstrip("\n") if file.exists() else ""
    if stored == text.rstrip("\n"):
        return None
    return f"{name}: {_first(stored.splitlines(), text.splitlines())}"


def _first(stored: Iterable[str], new: Iterable[str]) -> str:
    for number, (one, other) in enumerate(zip(stored, new, strict=False), 1):
        if one != other:
            return f"line {number} was\n{one}\nand is\n{other}"
    return "it has another number of lines"

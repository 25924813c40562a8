"""What a terminal app shows, read off its public SVG export: a grid of characters, and colours.

`grid` gives the lines as people see them; `runs` each piece of text with its colour and the colour
under it, for contrast.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from textual.app import App

_SVG: Final = "{http://www.w3.org/2000/svg}"
_CELL_W: Final = 12.2
_CELL_H: Final = 24.4
_STYLE: Final = re.compile(r"\.(terminal-\d+-r\d+) \{ fill: (#[0-9a-f]{6})")


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text of one style. `ratio`: WCAG contrast against what lies under it."""

    text: str
    line: int
    colour: str
    ground: str

    @property
    def ratio(self) -> float:
        """Contrast, 1 to 21."""
        return contrast(self.colour, self.ground)


def grid(app: App[Any], source: str | None = None) -> str:
    """The screen as lines of text, right-hand blanks cut. `source`: an export made before."""
    width, height = app.size
    lines = [[" "] * width for _ in range(height)]
    for text, x, y in _texts(_parsed(source or app.export_screenshot())):
        row, column = round((y - 18.5) / _CELL_H), round(x / _CELL_W)
        if 0 <= row < height:
            lines[row][column : column + len(text)] = list(text)
    return "\n".join("".join(line).rstrip() for line in lines)


def runs(app: App[Any], source: str | None = None) -> Iterator[Run]:
    """Each visible piece of text with its colours. `source`: an export made before."""
    source = source or app.export_screenshot()
    colours = dict(_STYLE.findall(source))
    root = _parsed(source)
    grounds = [
        (float(one.get("x", 0)), float(one.get("y", 0)), float(one.get("width", 0)), fill)
        for one in root.iter(f"{_SVG}rect")
        if (fill := one.get("fill", "")).startswith("#") and one.get("shape-rendering")
    ]
    for text, x, y, style in _styled(root):
        row = round((y - 18.5) / _CELL_H)
        under = [
            fill
            for left, top, wide, fill in grounds
            if left - 1 <= x < left + wide and round((top - 1.5) / _CELL_H) == row
        ]
        if text.strip() and under:
            yield Run(text.strip(), row, colours[style], under[-1])


def contrast(one: str, other: str) -> float:
    """The WCAG ratio of two colours such as `#12161c`."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _parsed(source: str) -> ElementTree.Element:
    return ElementTree.fromstring(source)  # noqa: S314  # our own export


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _texts(root: ElementTree.Element) -> Iterator[tuple[str, float, float]]:
    for text, x, y, _ in _styled(root):
        yield text, x, y


def _styled(root: ElementTree.Element) -> Iterator[tuple[str, float, float, str]]:
    for node in root.iter(f"{_SVG}text"):
        style = node.get("class", "")
        if node.text and "-r" in style:
            text = node.text.replace("\xa0", " ")
            yield text, float(node.get("x", 0)), float(node.get("y", 0)), style

"""The detail of one object: names and values, one a line."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from wicketd.api.text import safe_text

Pair = tuple[str, Text]


class FactSheet(VerticalScroll):
    """A pane of names and values; it can be focused to scroll.

    | class | what |
    | :- | :- |
    | `factsheet--name` | the name of a value |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"factsheet--name"}

    def __init__(self, id: str = "facts") -> None:  # noqa: A002  # Textual's own name
        self._body = Static("", markup=False)
        super().__init__(self._body, id=id)
        self.jump = "Details"
        self._pairs: tuple[Pair, ...] = ()

    def tell(self, title: str, pairs: Sequence[Pair]) -> None:
        """Shows an object. `title` is the pane's, safe to show."""
        self.border_title = Content(safe_text(title))
        self._pairs = tuple(pairs)
        self.repaint_pairs()

    def repaint_pairs(self) -> None:
        """Shows the same in the colours of the theme of now."""
        width = max((len(name) for name, _ in self._pairs), default=0)
        style = self.get_component_rich_style("factsheet--name", partial=True)
        body = Text(end="")
        for name, value in self._pairs:
            body.append(f"{name.ljust(width)}  ", style).append_text(value).append("\n")
        self._body.update(body)

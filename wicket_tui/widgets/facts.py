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

    def tell(self, title: str, pairs: Sequence[Pair]) -> None:
        """Shows an object. `title` is the pane's, safe to show."""
        self.border_title = Content(safe_text(title))
        width = max((len(name) for name, _ in pairs), default=0)
        style = self.get_component_rich_style("factsheet--name", partial=True)
        body = Text(end="")
        for name, value in pairs:
            body.append(f"{name.ljust(width)}  ", style).append_text(value).append("\n")
        self._body.update(body)

"""Something to read over a screen: what a word means, what a policy touches; any way closes it."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Button, Static
from typing_extensions import override

from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import prose
from wicketd.api.text import safe_text


class ExplainDialog(Dialog[str]):
    """Lines of text under a title; `esc` or `enter` goes back."""

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)

    @override
    def title_text(self) -> str:
        return safe_text(self._title)

    @override
    def content(self) -> ComposeResult:
        with VerticalScroll(id="explanation", can_focus=False):
            yield Static(prose("\n".join(self._lines)))
        yield Button("Close", id="no")

    @on(Button.Pressed)
    def _press(self) -> None:
        self.answer(None)

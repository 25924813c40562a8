"""Jump mode: a letter on each pane that can be focused; pressing it goes there.

A pane takes part by having a text `jump`, its name.
"""

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

LETTERS: Final = "asdfghjkl"


def panes(widgets: Sequence[Widget]) -> list[Widget]:
    """Those that take part, can be focused and are seen, at most nine."""
    found = [one for one in widgets if getattr(one, "jump", "") and one.focusable and one.region]
    return found[: len(LETTERS)]


class JumpScreen(ModalScreen[Widget | None]):
    """The letters over the screen; it is dismissed with the pane that was chosen."""

    def __init__(self, targets: Sequence[Widget]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    @override
    def compose(self) -> ComposeResult:
        for letter, widget in self._targets.items():
            text = Text.assemble(
                (f" {letter} ", "bold reverse"), f" {getattr(widget, 'jump', '')} "
            )
            label = Static(text, classes="jump")
            label.styles.offset = (widget.region.x + 1, widget.region.y)
            yield label

    def on_key(self, event: Key) -> None:
        """A letter goes to its pane, anything else goes back."""
        event.stop()
        _ = self.dismiss(self._targets.get(event.key))

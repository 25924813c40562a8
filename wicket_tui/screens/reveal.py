"""Shows a secret link once: it is not kept anywhere, and only `esc` or the button closes it."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Static
from typing_extensions import override

from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import prose
from wicketd.api.text import safe_text


class RevealDialog(Dialog[str]):
    """A text that is shown this once. `y` copies it."""

    AUTO_FOCUS = "#copy"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", show=False)]

    def __init__(self, title: str, secret: str, explained: str) -> None:
        super().__init__()
        self._title = title
        self._secret = secret
        self._explained = explained

    @override
    def title_text(self) -> str:
        return safe_text(self._title)

    @override
    def content(self) -> ComposeResult:
        yield Static(prose(self._explained), classes="ask")
        yield Static(prose(self._secret), id="secret")
        with Horizontal(classes="buttons"):
            yield Button("Copy (y)", id="copy")
            yield Button("I have it, close", id="no")

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.answer(None)

    def action_copy(self) -> None:
        """Copies what is shown."""
        self.wicket.clip(self._secret)

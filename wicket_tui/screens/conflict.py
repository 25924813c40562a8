"""A save on a stale base: what is mine, what is theirs, what both came from; never an overwrite."""

from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Static
from typing_extensions import override

from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import prose
from wicketd.api.text import safe_text

Choice = Literal["mine", "theirs"]


class ConflictDialog(Dialog[Choice]):
    """Three texts side by side. It is dismissed with whose text goes on, None to look again.

    `theirs` equal to `base`: only the agent's other policies changed.
    """

    def __init__(self, *, mine: str, theirs: str, base: str, by: str) -> None:
        super().__init__()
        self._texts = {"Mine": mine, "Theirs": theirs, "Base": base}
        self._by = by
        self._is_same = theirs == base

    @override
    def title_text(self) -> str:
        return "Saved by somebody else meanwhile"

    @override
    def content(self) -> ComposeResult:
        yield Static(prose(self._said()), classes="ask")
        if not self._is_same:
            with Horizontal(id="sides"):
                for name, text in self._texts.items():
                    pane = VerticalScroll(Static(prose(text)), classes="side")
                    pane.border_title = name
                    yield pane
        with Horizontal(classes="buttons"):
            yield Button("Look again", id="no")
            if not self._is_same:
                yield Button("Take theirs", id="theirs")
            yield Button("Check mine and save", id="mine")

    def on_mount(self) -> None:
        """What overwrites nothing has the focus; where nothing is overwritten, what goes on."""
        self.query_one("#mine" if self._is_same else "#no").focus()

    def _said(self) -> str:
        by = safe_text(self._by)
        if self._is_same:
            return f"This policy is unchanged; another one of the agent was saved by {by}."
        return (
            f"{by} saved this policy while you wrote. Nothing is lost: take theirs (ctrl+z brings "
            "yours back), or save yours as the version behind theirs."
        )

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "mine":
                self.answer("mine")
            case "theirs":
                self.answer("theirs")
            case _:
                self.answer(None)

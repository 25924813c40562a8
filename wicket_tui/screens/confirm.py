"""Asks before something happens: default No, the consequence in words, the command beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static
from typing_extensions import override

from wicket_tui.actions import Action, question, sentence
from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import plain, prose
from wicketd.api.text import safe_text


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The answer was yes. `typed`: the name, where one had to be typed."""

    reason: str = ""
    typed: str = ""


class ConfirmDialog(Dialog[Confirmed]):
    """Danger 1: No is focused. Danger 2: Yes works once the name is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, action: Action, values: Mapping[str, str]) -> None:
        super().__init__()
        self.action = action
        self._values = values
        self._word = sentence(action.word, values)

    @override
    def title_text(self) -> str:
        return self.action.label + "?"

    @override
    def content(self) -> ComposeResult:
        asks, twin = question(self.action, self._values)
        yield Static(prose(asks), classes="ask")
        if twin:
            yield Static(plain(twin), classes="twin")
        if self.action.wants_reason:
            yield Input(placeholder="Why? Kept in the audit.", id="reason", max_length=500)
        if self._word:
            yield Static(prose(f"Type {self._word} to go on:"), classes="ask")
            yield Input(placeholder=safe_text(self._word), id="typed")
        with Horizontal(classes="buttons"):
            yield Button("No, go back", id="no")
            yield Button(f"Yes, {self.action.label.lower()}", id="yes", disabled=bool(self._word))

    def on_mount(self) -> None:
        """What is safe has the focus."""
        self.query_one("#typed" if self._word else "#no").focus()

    @on(Input.Changed, "#typed")
    def _compare(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value != self._word

    @on(Input.Submitted)
    def _submit(self) -> None:
        self.focus_next()

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        if event.button.id != "yes":
            self.answer(None)
            return
        reason = self.query_one("#reason", Input).value if self.action.wants_reason else ""
        self.answer(Confirmed(reason=reason.strip(), typed=self._word))

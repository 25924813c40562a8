"""Asks for some values, sends them, and stays open with the daemon's sentence when it refuses."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Label, Select, Static
from typing_extensions import override

from wicket_tui.client import CallFailed, Problem
from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import prose
from wicketd.api.text import safe_text

Submit = Callable[[dict[str, str]], Awaitable[str]]
"""Sends the values; gives the sentence for the toast, empty for none."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value. `choices`: a closed list; `is_secret`: shown as dots, never logged or kept."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    is_secret: bool = False


class FormDialog(Dialog[str]):
    """A form. It is dismissed with the sentence of what was done; `ctrl+s` sends it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "send", show=False)]

    class Sent(Message):
        """The daemon did it."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    class Refused(Message):
        """The daemon did not."""

        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    def __init__(
        self, title: str, fields: Sequence[Field], *, submit: str, sentence: Submit, intro: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._fields = tuple(fields)
        self._submit = submit
        self._send = sentence
        self._intro = intro

    @override
    def title_text(self) -> str:
        return safe_text(self._title)

    @override
    def content(self) -> ComposeResult:
        if self._intro:
            yield Static(prose(self._intro), classes="ask")
        with VerticalScroll(id="fields", can_focus=False):
            for field in self._fields:
                with Horizontal(classes="field"):
                    yield Label(field.label, markup=False, classes="label")
                    yield _control(field)
        problem = Static("", classes="problem", markup=False)
        problem.display = False
        yield problem
        with Horizontal(classes="buttons"):
            yield Button("Cancel", id="no")
            yield Button(self._submit, id="yes")

    def on_mount(self) -> None:
        """The first value is asked first."""
        if self._fields:
            self.query_one(f"#field-{self._fields[0].name}").focus()

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    def action_send(self) -> None:
        """Sends what is filled in, from whichever field."""
        self.query_one("#yes", Button).press()

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        if event.button.id != "yes":
            self.answer(None)
            return
        event.button.disabled = True
        self._try({field.name: self._value(field) for field in self._fields})

    def _value(self, field: Field) -> str:
        if field.choices:
            return str(self.query_one(f"#field-{field.name}", Select).value)
        return self.query_one(f"#field-{field.name}", Input).value.strip()

    @work(exclusive=True, group="form", exit_on_error=False)
    async def _try(self, values: dict[str, str]) -> None:
        try:
            self.post_message(self.Sent(await self._send(values)))
        except CallFailed as failure:
            self.post_message(self.Refused(failure.problem))

    @on(Sent)
    def _close(self, event: Sent) -> None:
        if event.sentence:
            self.wicket.toast(event.sentence)
        self.answer(event.sentence)
        self.wicket.reload_screen()

    @on(Refused)
    def _explain(self, event: Refused) -> None:
        problem = event.problem
        text = "\n".join(part for part in (f"✗ {problem.message}", problem.hint) if part)
        notice = self.query_one(".problem", Static)
        notice.update(prose(text))
        notice.display = True
        self.query_one("#yes", Button).disabled = False


def _control(field: Field) -> Input | Select[str]:
    if field.choices:
        options = [(choice, choice) for choice in field.choices]
        return Select(
            options,
            value=field.value or field.choices[0],
            allow_blank=False,
            id=f"field-{field.name}",
            compact=True,
        )
    return Input(
        safe_text(field.value),
        placeholder=field.hint,
        password=field.is_secret,
        id=f"field-{field.name}",
        compact=True,
    )


def words_of(text: str) -> tuple[str, ...]:
    """The words of a field that takes several, by spaces or commas."""
    return tuple(text.replace(",", " ").split())

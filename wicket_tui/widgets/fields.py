"""Short values that a panel asks for, side by side: labels and one-line inputs."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label
from typing_extensions import override

from wicketd.api.text import safe_text


class Fields(Horizontal):
    """One line of inputs, each as (name, label, value, hint). `id` of an input: `ask-<name>`."""

    def __init__(self, fields: Iterable[tuple[str, str, str, str]]) -> None:
        super().__init__(classes="asked")
        self._fields = tuple(fields)

    @override
    def compose(self) -> ComposeResult:
        for name, label, value, hint in self._fields:
            yield Label(label, markup=False)
            yield Input(
                safe_text(value), placeholder=safe_text(hint), id=f"ask-{name}", compact=True
            )


def asked(screen: Widget, name: str) -> str:
    """What stands in a field."""
    return screen.query_one(f"#ask-{name}", Input).value.strip()

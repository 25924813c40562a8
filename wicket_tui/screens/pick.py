"""Small lists over a screen: choose an agent, try a theme, read the command log."""

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import plain


class PickDialog(Dialog[str]):
    """A list; it is dismissed with the key of a row. `preview` sees each row under the cursor."""

    def __init__(
        self,
        title: str,
        columns: Sequence[Column],
        rows: Sequence[Row],
        *,
        chosen: str | None = None,
        preview: Callable[[str], None] | None = None,
        hint: str = "enter chooses · esc goes back",
    ) -> None:
        super().__init__()
        self._title = title
        self._columns = tuple(columns)
        self._rows = tuple(rows)
        self._chosen = chosen
        self._preview = preview
        self._hint = hint

    @override
    def title_text(self) -> str:
        return self._title

    @override
    def content(self) -> ComposeResult:
        yield Rows(self._columns, id="picks")
        yield Static(plain(self._hint), classes="hint")

    def on_mount(self) -> None:
        """The cursor starts where the person is now."""
        rows = self.query_one(Rows)
        rows.fill(self._rows)
        if self._chosen is not None:
            rows.choose(self._chosen)
        rows.focus()

    @on(Rows.RowHighlighted)
    def _show(self) -> None:
        key = self.query_one(Rows).chosen
        if self._preview is not None and key is not None:
            self._preview(key)

    @on(Rows.RowSelected)
    def _choose(self) -> None:
        self.answer(self.query_one(Rows).chosen)

"""A list of at most 1,000 rows: fixed columns, one that takes the rest, `j k g G`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from wicket_tui.widgets.text import fitted


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `width` in cells, 0: what is left; `from_width`: shown on lists this wide."""

    title: str
    width: int = 0
    from_width: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the key that survives reloads, and a cell a column."""

    key: str
    cells: tuple[Text, ...]


class Rows(DataTable[Text]):
    """The list. Keeps the row under the cursor by its key when rows come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "scroll_top", show=False),
        Binding("G", "scroll_bottom", show=False),
    ]

    def __init__(self, columns: Sequence[Column], id: str = "rows") -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._layout_columns = tuple(columns)
        self._rows_shown: tuple[Row, ...] = ()
        self._laid_out_for = -1

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        if not 0 <= self.cursor_row < len(self._rows_shown):
            return None
        return self._rows_shown[self.cursor_row].key

    def fill(self, rows: Sequence[Row]) -> None:
        """Shows these rows; the cursor stays on its key, or on its place where that is gone."""
        kept, place, scrolled = self.chosen, self.cursor_row, self.scroll_y
        self._rows_shown = tuple(rows)
        self._lay_out()
        keys = [row.key for row in rows]
        place = keys.index(kept) if kept in keys else min(place, len(keys) - 1)
        if place >= 0:
            self.move_cursor(row=place, animate=False, scroll=False)
            self.scroll_to(y=scrolled, animate=False)

    def choose(self, key: str) -> None:
        """Puts the cursor on a row."""
        keys = [row.key for row in self._rows_shown]
        if key in keys:
            self.move_cursor(row=keys.index(key), animate=False)

    def on_resize(self) -> None:
        """Columns follow the width of the list."""
        if self._laid_out_for != self._room():
            self.fill(self._rows_shown)

    def _room(self) -> int:
        return self.size.width or self.app.size.width

    def _lay_out(self) -> None:
        room = self._laid_out_for = self._room()
        shown = [
            (index, column)
            for index, column in enumerate(self._layout_columns)
            if room >= column.from_width
        ]
        padding = 2 * self.cell_padding
        taken = sum(column.width for _, column in shown) + padding * len(shown) + 1
        rest = max(room - taken, 6)
        self.clear(columns=True)
        widths = [column.width or rest for _, column in shown]
        for (_, column), width in zip(shown, widths, strict=True):
            self.add_column(Text(column.title), width=width)
        for row in self._rows_shown:
            cells = (
                fitted(row.cells[index], width)
                for (index, _), width in zip(shown, widths, strict=True)
            )
            self.add_row(*cells, key=row.key)

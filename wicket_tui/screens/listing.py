"""A screen that is a list beside its detail: filter, cursor, detail of the row under it."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Input
from typing_extensions import override

from wicket_tui.screens.frame import FrameScreen
from wicket_tui.widgets.facts import FactSheet, Pair
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import meaning, moment, plain, stated

T = TypeVar("T")


class ListScreen(FrameScreen[list[T]], Generic[T]):
    """`COLUMNS` of the list; `EMPTY`: title and first steps while there is nothing."""

    COLUMNS: ClassVar[tuple[Column, ...]]
    EMPTY: ClassVar[tuple[str, str]]
    sought: str | None = None
    """The key of a row that another screen wants to be chosen."""

    @override
    def body(self) -> Iterable[Widget]:
        rows = Rows(self.COLUMNS)
        rows.jump = "List"  # type: ignore[attr-defined]  # read by the jump mode
        filter_bar = Input(placeholder="words that a row must hold", id="filter", compact=True)
        filter_bar.display = False
        yield Container(Container(filter_bar, rows, id="list"), FactSheet(), id="split")

    @abstractmethod
    def key(self, item: T) -> str:
        """What tells an item from the others."""

    @abstractmethod
    def cells(self, item: T) -> Sequence[Text]:
        """One cell a column."""

    @abstractmethod
    def detail(self, item: T) -> tuple[str, Sequence[Pair]]:
        """Title and facts of an item."""

    def summary(self, items: Sequence[T]) -> str:
        """What the title of the list says beside its name."""
        return str(len(items))

    @property
    def item(self) -> T | None:
        """The item under the cursor."""
        keys = [rows.chosen for rows in self.query(Rows)]
        return next((item for item in self.data or () if self.key(item) in keys), None)

    @override
    def show(self, data: list[T]) -> None:
        if not data:
            self.panel.empty(*self.EMPTY)
            return
        words = self.query_one("#filter", Input).value.lower().split()
        rows = [Row(self.key(item), tuple(self.cells(item))) for item in data]
        kept = [row for row in rows if _holds(row, words)]
        table = self.query_one(Rows)
        table.fill(kept)
        if self.sought is not None:
            table.choose(self.sought)
            self.sought = None
        hidden = f" · {len(kept)} match" if words else ""
        self.query_one("#list").border_title = Content(
            f"{self.NAME.capitalize()} {self.summary(data)}{hidden}"
        )
        self.show_detail()
        if self.focused is None:
            table.focus()

    def show_detail(self) -> None:
        """Shows the item under the cursor."""
        item = self.item
        sheet = self.query_one(FactSheet)
        if item is None:
            sheet.tell("Nothing matches: esc clears the filter", ())
        else:
            sheet.tell(*self.detail(item))
        self.offer()

    @on(DataTable.RowHighlighted)
    def _follow_cursor(self) -> None:
        if self.data:
            self.show_detail()

    @on(DataTable.RowSelected)
    def _enter(self) -> None:
        self.wicket.press_key("enter")

    def do_list_filter(self) -> None:
        """Opens the filter."""
        bar = self.query_one("#filter", Input)
        bar.display = True
        bar.focus()

    @on(Input.Changed, "#filter")
    def _narrow(self) -> None:
        if self.data is not None:
            self.show(self.data)

    @on(Input.Submitted, "#filter")
    def _keep_filter(self) -> None:
        self.query_one(Rows).focus()

    @override
    def step_back(self) -> bool:
        bar = self.query_one("#filter", Input)
        if not bar.display:
            return False
        bar.value = ""
        bar.display = False
        self.query_one(Rows).focus()
        return True

    def state(self, word: str) -> Text:
        """A state as sign, word and colour."""
        return Text(stated(word), style=self.wicket.tint(meaning(word)), end="", no_wrap=True)

    def quiet(self, value: object) -> Text:
        """A value that is only for orientation."""
        return plain(value, self.wicket.tint("muted"))

    def strong(self, value: object) -> Text:
        """A value that names the row."""
        return plain(value, Style(bold=True))

    def ago(self, at: str | None) -> Text:
        """A time in words."""
        return self.quiet(moment(at, self.wicket.host.now()))


def _holds(row: Row, words: Sequence[str]) -> bool:
    text = " ".join(cell.plain.lower() for cell in row.cells)
    return all(word in text for word in words)

"""A list of any length: only visible lines are rendered, pages are asked for as they are needed.

Counterpart of `pagebook`, which knows what stands where. Source: terminal app specification,
section 6.
"""

from collections.abc import Callable
from typing import ClassVar, Final, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from typing_extensions import override

from wicket_tui.pagebook import Numbered, PageBook

E = TypeVar("E", bound=Numbered)

STRIPS: Final = 1_000
"""Rendered lines that are kept."""


class PagedList(ScrollView, Generic[E], can_focus=True):
    """The list. `draw`: the line of an entry at a width; follows while it stands at the newest.

    | class | what |
    | :- | :- |
    | `paged--cursor` | the line under the cursor |
    | `paged--absent` | a line whose page is on its way |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"paged--cursor", "paged--absent"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "step(1)", show=False),
        Binding("k,up", "step(-1)", show=False),
        Binding("pagedown", "leaf(1)", show=False),
        Binding("pageup", "leaf(-1)", show=False),
        Binding("g,home", "newest", show=False),
        Binding("G,end", "oldest", show=False),
    ]

    class Wanted(Message):
        """These pages are visible, or nearly, and not there."""

        def __init__(self, pages: tuple[int, ...]) -> None:
            super().__init__()
            self.pages = pages

    class Moved(Message):
        """Another entry is under the cursor, or news of it came."""

    def __init__(
        self,
        draw: Callable[[E, int], Text],
        id: str = "rows",  # noqa: A002  # Textual's own name
    ) -> None:
        super().__init__(id=id)
        self._draw = draw
        self.book: PageBook[E] = PageBook()
        self.cursor = 0
        self.unseen = 0
        self._follows = True
        self._strips: dict[tuple[object, ...], Strip] = {}

    @property
    def follows(self) -> bool:
        """Whether it shows what comes, and the cursor stays at the newest."""
        return self._follows

    @property
    def chosen(self) -> E | None:
        """The entry under the cursor, if its page is there."""
        return self.book.at(self.cursor) if self.book.total else None

    def open(self, book: PageBook[E]) -> None:
        """Shows another query from its newest entry on."""
        self.book, self.cursor, self.unseen, self._follows = book, 0, 0, True
        self.remove_class("-old")
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.refreshed()

    def came(self, count: int) -> None:
        """New entries stand before the others: what is under the cursor stays there."""
        if not self._follows and count:
            self.unseen += count
            self.cursor += count
            self._measure()
            self.scroll_to(y=self.scroll_y + count, animate=False, force=True, immediate=True)
        self.refreshed()

    def refreshed(self) -> None:
        """The book holds more, or something else."""
        self._strips.clear()
        self._measure()
        self.cursor = max(0, min(self.cursor, self.book.total - 1))
        self.refresh()
        self._ask()
        self.post_message(self.Moved())

    @override
    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        ground = self.rich_style
        if index >= self.book.total:
            return Strip.blank(width, ground)
        entry = self.book.at(index)
        is_here = index == self.cursor
        key = (None if entry is None else entry.seq, is_here, self.has_focus, width)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= STRIPS:
                self._strips.clear()
            strip = self._strips[key] = self._line(entry, width, is_here=is_here)
        return strip

    def _line(self, entry: E | None, width: int, *, is_here: bool) -> Strip:
        if entry is None:
            style = self.get_component_rich_style("paged--absent")
            return Strip([Segment("· · ·".ljust(width), style)], width)
        ground = self.rich_style
        if is_here:
            ground += self.get_component_rich_style("paged--cursor")
        text = self._draw(entry, width)
        segments = [
            Segment(part.text, ground + (part.style or Style.null()))
            for part in text.render(self.app.console)
            if part.text
        ]
        return Strip(segments).adjust_cell_length(width, ground)

    @override
    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Asks for what came into sight."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._ask()

    def on_resize(self, _event: Resize) -> None:
        """Lines follow the width."""
        self.refreshed()

    def on_focus(self) -> None:
        """The line under the cursor looks different."""
        self.refresh()

    def on_blur(self) -> None:
        """The same."""
        self.refresh()

    def on_click(self, event: Click) -> None:
        """The line under the pointer."""
        place = event.get_content_offset(self)
        if place is not None:
            self._go(self.scroll_offset.y + place.y)

    def action_step(self, by: int) -> None:
        """One line."""
        self._go(self.cursor + by)

    def action_leaf(self, by: int) -> None:
        """One screenful."""
        self._go(self.cursor + by * max(1, self.scrollable_content_region.height - 1))

    def action_newest(self) -> None:
        """To the newest entry; from there on it follows."""
        self._go(0)

    def action_oldest(self) -> None:
        """To the oldest entry."""
        self._go(self.book.total - 1)

    def _go(self, index: int) -> None:
        before = self.cursor
        self.cursor = max(0, min(index, self.book.total - 1))
        self._follows = self.cursor == 0
        if self._follows:
            self.unseen = 0
        height = max(1, self.scrollable_content_region.height)
        top = round(self.scroll_y)
        if self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + height:
            top = self.cursor - height + 1
        if top != round(self.scroll_y):
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
            self.refresh()
        else:
            # Two lines, not the whole list: a slow line carries each repainted cell.
            for place in {before, self.cursor}:
                self.refresh_lines(place)
        self._ask()
        self.post_message(self.Moved())

    def _measure(self) -> None:
        width = self.scrollable_content_region.width
        self.virtual_size = Size(width, self.book.total)

    def _ask(self) -> None:
        """Wants the pages in sight, and one screenful on either side of them."""
        height = max(1, self.scrollable_content_region.height)
        top = self.scroll_offset.y
        pages = self.book.missing(max(0, top - height), top + 2 * height)
        if pages:
            self.post_message(self.Wanted(tuple(pages)))

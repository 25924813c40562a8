"""A text area for Cedar: colours from the shared lexer, marks and underlines for problems.

Only public hooks of `TextArea` are overridden. Source: terminal app specification, section 5.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.document._document import EditResult
from textual.document._edit import Edit
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea
from typing_extensions import override

from wicket_tui.source import Source, visible
from wicketd.api.types.policies import Problem

SIGNS: Final = {"error": "●", "warning": "▲"}
KINDS: Final = (
    "keyword", "type", "string", "number", "comment", "annotation", "variable", "operator",
    "error", "warning",
)  # fmt: skip
_CLASSES: Final = {f"cedar--{kind}" for kind in KINDS}

_MOVES: Final = {
    "up": "cursor_up",
    "down": "cursor_down",
    "left": "cursor_left",
    "right": "cursor_right",
    "home": "cursor_line_start",
    "end": "cursor_line_end",
}
_OTHERS: Final = {
    "ctrl+left": "cursor_word_left",
    "ctrl+right": "cursor_word_right",
    "ctrl+shift+left": "cursor_word_left(True)",
    "ctrl+shift+right": "cursor_word_right(True)",
    "ctrl+a": "select_all",
    "pageup": "cursor_page_up",
    "pagedown": "cursor_page_down",
    "backspace": "delete_left",
    "delete": "delete_right",
    "ctrl+w": "delete_word_left",
    "ctrl+u": "delete_to_start_of_line",
    "ctrl+k": "delete_to_end_of_line_or_delete_line",
    "ctrl+x": "cut",
    "ctrl+c": "copy",
    "ctrl+v": "paste",
    "ctrl+z": "undo",
    "ctrl+y": "redo",
}
_BINDINGS: Final[list[BindingType]] = [
    *(Binding(key, action, show=False) for key, action in (_MOVES | _OTHERS).items()),
    *(Binding(f"shift+{key}", f"{action}(True)", show=False) for key, action in _MOVES.items()),
]


class CedarEditor(TextArea, inherit_bindings=False):
    """The editor. Its own bindings leave the F-keys and `ctrl+s e t d` to the registry.

    | class | what |
    | :- | :- |
    | `cedar--keyword`, `--type`, `--string`, … | a token of that kind |
    | `cedar--error`, `cedar--warning` | what a problem is about, and its mark in the gutter |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = _CLASSES
    BINDINGS: ClassVar[list[BindingType]] = _BINDINGS

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=False, show_line_numbers=True, id="editor", compact=True, max_checkpoints=500
        )
        self.jump = "Editor"
        self.problems: tuple[Problem, ...] = ()
        self._source: Source | None = None

    @property
    def source(self) -> Source:
        """The text of now, lexed once."""
        if self._source is None:
            self._source = Source(self.text, self.document.newline)
        return self._source

    @property
    def offset_now(self) -> int:
        """The code points before the cursor."""
        return self.source.offset(self.cursor_location)

    @override
    def update_suggestion(self) -> None:
        # Called behind each edit, undo, redo and load: what was lexed is of an older text.
        self._source = None

    @override
    def edit(self, edit: Edit) -> EditResult:
        """Does an edit; what would be hidden in it, pasted say, is made visible first."""
        return super().edit(replace(edit, text=visible(edit.text)))

    def begin(self, text: str) -> None:
        """Shows a text from its start; there is nothing to undo."""
        self.load_text(visible(text))
        self.move_cursor((0, 0))

    def put(self, text: str, start: int, end: int) -> None:
        """Replaces a range of code points as one step that can be undone."""
        source = self.source
        self.history.checkpoint()
        self.replace(text, source.place(start), source.place(end), maintain_selection_offset=False)
        self.history.checkpoint()

    def go_to(self, offset: int) -> None:
        """Moves the cursor to an offset and shows it."""
        self.move_cursor(self.source.place(offset), center=True)

    def mark(self, problems: Sequence[Problem]) -> None:
        """Underlines problems; equal ones cost no repaint."""
        if self.problems == (found := tuple(problems)):
            return
        self.problems = found
        self.notify_style_update()  # the line cache does not know them
        self.refresh()

    @override
    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        for shade in self.source.shades(line_index):
            line.stylize(self._style(shade.kind), shade.start, shade.end)
        for problem in reversed(self.problems):
            for start, end in self._columns(problem, line_index, len(line)):
                line.stylize(self._style(problem.severity), start, end)
        return line

    def _columns(self, problem: Problem, line: int, width: int) -> list[tuple[int, int]]:
        """Where a problem stands in a line; one that has no width marks the sign before it."""
        first, start = self.source.place(problem.start)
        last, end = self.source.place(problem.end)
        if not first <= line <= last:
            return []
        left = start if line == first else 0
        right = end if line == last else width
        return [(left, right)] if right > left else [(max(left - 1, 0), max(left, 1))]

    def _style(self, kind: str) -> Style:
        return self.get_component_rich_style(f"cedar--{kind}", partial=True)

    @override
    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        row = y + self.scroll_offset.y
        if row >= self.wrapped_document.height:
            return strip
        line, _ = self.wrapped_document.offset_to_location(Offset(0, row))
        severities = {one.severity for one in self.problems if one.line - 1 == line}
        sign = next((kind for kind in SIGNS if kind in severities), None)
        if sign is None:
            return strip
        # The mark keeps the gutter's ground: a bare segment is a black box in light themes.
        at = self.gutter_width - 2
        ground = next((one.style for one in strip.crop(at, at + 1) if one.style), Style())
        mark = Segment(SIGNS[sign], ground + self._style(sign) + Style(underline=False))
        return Strip.join(
            [strip.crop(0, at), Strip([mark], 1), strip.crop(at + 1, strip.cell_length)]
        )

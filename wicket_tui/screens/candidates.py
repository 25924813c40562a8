"""The completion list over the editor: it opens when asked, and typing goes on in the text."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.events import Key
from textual.geometry import Offset
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option
from typing_extensions import override

from wicket_tui.completion import Candidate, complete
from wicket_tui.widgets.cedar_editor import CedarEditor
from wicket_tui.widgets.text import fitted, plain
from wicketd.api.types.names import Names

WIDTH: Final = 62
HEIGHT: Final = 8


class CandidatesScreen(ModalScreen[Candidate | None]):
    """Dismissed with what was chosen by `enter` or `tab`; any other key is typed."""

    def __init__(self, editor: CedarEditor, names: Names) -> None:
        super().__init__()
        self._editor = editor
        self._names = names
        self._found: Sequence[Candidate] = ()

    @override
    def compose(self) -> ComposeResult:
        yield OptionList(id="candidates", markup=False, compact=True)

    def on_mount(self) -> None:
        """Offers what fits now."""
        self._renew()

    def _renew(self) -> None:
        editor = self._editor
        self._found = complete(editor.text, editor.offset_now, self._names)[:200]
        if not self._found:
            _ = self.dismiss(None)
            return
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(_line(one).plain)) for one in self._found])
        options.highlighted = 0
        at = editor.cursor_screen_offset
        height = min(len(self._found), HEIGHT)
        below = at.y + 1 + height < self.app.size.height
        options.styles.height = height
        options.styles.width = min(WIDTH, self.app.size.width)
        left = max(0, min(at.x, self.app.size.width - WIDTH))
        options.styles.offset = Offset(left, at.y + 1 if below else max(0, at.y - height))

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        _ = self.dismiss(self._found[event.option_index])

    def on_key(self, event: Key) -> None:
        """`tab` takes, `esc` closes; letters go on into the text and narrow the list."""
        options = self.query_one(OptionList)
        if event.key == "escape":
            _ = self.dismiss(None)
        elif event.key == "tab" and options.highlighted is not None:
            _ = self.dismiss(self._found[options.highlighted])
        elif event.key == "backspace":
            self._editor.action_delete_left()
            self._renew()
        elif event.is_printable and event.character is not None:
            self._editor.insert(event.character)
            self._renew()
        else:
            return
        event.stop()
        event.prevent_default()


def _line(one: Candidate) -> Text:
    about = "  ".join(part for part in (one.detail, one.help) if part)
    return fitted(plain(f"{one.kind:9} {one.label:24}  {about}"), WIDTH - 3)

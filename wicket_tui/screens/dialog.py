"""What all dialogs are: a box over the screen, `esc` closes it and changes nothing."""

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.worker import Worker
from typing_extensions import override

if TYPE_CHECKING:
    from wicket_tui.app import WicketApp

A = TypeVar("A")


class Dialog(ModalScreen[A | None]):
    """A box with a title. It is dismissed with an answer, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]
    TITLE = ""

    @property
    def wicket(self) -> "WicketApp":
        """The app, as what it is."""
        return cast("WicketApp", self.app)  # every dialog is opened by it

    @override
    def compose(self) -> ComposeResult:
        box = Vertical(id="box")
        box.border_title = Content(self.title_text())
        with box:
            yield from self.content()

    def title_text(self) -> str:
        """The title, safe to show."""
        return self.TITLE

    def content(self) -> ComposeResult:
        """The widgets in the box."""
        yield from ()

    def answer(self, value: A | None) -> None:
        """Closes with an answer."""
        _ = self.dismiss(value)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A task that failed is said."""
        self.wicket.on_worker_state_changed(event)

    def action_leave(self) -> None:
        """Closes without an answer."""
        self.answer(None)

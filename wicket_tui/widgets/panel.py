"""A pane with four states: loading (a skeleton after 150 ms), data, empty, failed.

Data that is there stays when a later read fails; the notice then stands above it.
"""

from typing import Final

from rich.text import Text
from textual.containers import Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from wicket_tui.client import Problem
from wicket_tui.widgets.text import prose

SKELETON_S: Final = 0.15
_BARS: Final = ("▁" * 34, "▁" * 22, "▁" * 28)


class Panel(Vertical):
    """Children and, instead of or above them, a notice."""

    def __init__(self, *children: Widget, id: str | None = None) -> None:  # noqa: A002  # Textual's own name
        self.notice = Static("", classes="notice", markup=False)
        self.notice.display = False
        super().__init__(self.notice, *children, id=id, classes="panel")
        self.state = "loading"
        self._skeleton: Timer | None = None

    def begin(self) -> None:
        """A read began; what is shown stays, and only a first read gets a skeleton."""
        if self.state != "data" and self._skeleton is None:
            self.state = "loading"
            self._skeleton = self.set_timer(SKELETON_S, self._show_skeleton)

    def loaded(self) -> None:
        """Data is there."""
        self._become("data")
        self.notice.display = False
        self._show_children(shown=True)

    def empty(self, title: str, steps: str) -> None:
        """There is nothing yet. `steps`: what to do first."""
        self._become("empty")
        self._say(Text.assemble((title, "bold"), "\n\n", end="").append_text(prose(steps)))
        self._show_children(shown=False)

    def failed(self, problem: Problem, age: str | None) -> None:
        """A read failed. `age`: of the data that stays, None where there is none."""
        stale = self.state == "data"
        if not stale:
            self._become("failed")
            self._show_children(shown=False)
        text = Text.assemble(("✗ ", "bold"), end="").append_text(prose(problem.message, "bold"))
        if problem.hint:
            text.append("\n  ").append_text(prose(problem.hint))
        text.append(f"\n  {problem.code} · ctrl+r reads again")
        if stale and age:
            text.append(f" · what you see is of {age}")
        self._say(text)

    def _become(self, state: str) -> None:
        self.state = state
        if self._skeleton is not None:
            self._skeleton.stop()
            self._skeleton = None
        self.set_class(state == "failed", "-failed")

    def _show_skeleton(self) -> None:
        self._skeleton = None
        if self.state == "loading":
            self._say(Text("Loading\n\n" + "\n".join(_BARS)))
            self._show_children(shown=False)

    def _say(self, text: Text) -> None:
        self.notice.update(text)
        self.notice.display = True

    def _show_children(self, *, shown: bool) -> None:
        for child in self.children:
            if child is not self.notice:
                child.display = shown

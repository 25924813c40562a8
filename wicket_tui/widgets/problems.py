"""The list of problems under the editor: one a line, `enter` goes there."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from wicket_tui.widgets.cedar_editor import SIGNS
from wicketd.api.text import safe_text
from wicketd.api.types.policies import Problem

SHOWN = 100


class Problems(OptionList):
    """Problems, errors first; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__(id="problems", markup=False, compact=True)
        self.jump = "Problems"
        self.display = False
        self._shown: tuple[str, ...] = ()

    def tell(self, problems: Sequence[Problem]) -> None:
        """Shows them; equal ones cost no repaint."""
        lines = tuple(_line(one) for one in problems[:SHOWN])
        if lines == self._shown:
            return
        self._shown = lines
        self.display = bool(lines)
        place = self.highlighted
        self.clear_options()
        self.add_options([Option(Content(line)) for line in lines])
        self.highlighted = min(place, len(lines) - 1) if place is not None and lines else None


def _line(problem: Problem) -> str:
    sign = SIGNS.get(problem.severity, "·")
    about = " (somewhere in this statement)" if problem.approximate else ""
    fix = f"  ctrl+t writes {safe_text(problem.fix, limit=40)}" if problem.fix else ""
    said = safe_text(problem.message, limit=400)
    return f"{sign} {problem.line}:{problem.col}  {said}{about}{fix}"

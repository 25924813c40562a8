"""What can be done with the draft under the cursor: complete, explain, mend, walk, try it out.

Counterpart of `screens.editor`, which keeps text and problems together.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import OptionList
from typing_extensions import override

from wicket_tui.completion import Candidate
from wicket_tui.hover import hover
from wicket_tui.outline import outline
from wicket_tui.screens.candidates import CandidatesScreen
from wicket_tui.screens.explain import ExplainDialog
from wicket_tui.screens.frame import FrameScreen
from wicket_tui.screens.pick import PickDialog
from wicket_tui.screens.replay import ReplaySheet, Subject
from wicket_tui.screens.saving import Saving
from wicket_tui.screens.simulate import SimulateSheet
from wicket_tui.screens.versions import VersionsSheet
from wicket_tui.widgets.rows import Column, Row
from wicket_tui.widgets.text import plain
from wicketd.api.types.names import Names
from wicketd.api.types.policies import PolicyVersion

if TYPE_CHECKING:
    from wicket_tui.widgets.cedar_editor import CedarEditor


@dataclass(frozen=True, slots=True)
class Opened:
    """What the daemon has. `current` None: the policy is not saved yet."""

    current: PolicyVersion | None
    revision: int
    names: Names


class EditorActs(Saving, FrameScreen[Opened]):
    """The actions of the policy editor."""

    @property
    @abstractmethod
    @override
    def agent(self) -> str | None:
        """The agent of the policy."""

    @property
    @abstractmethod
    @override
    def editor(self) -> "CedarEditor":
        """The text."""

    @property
    @abstractmethod
    def is_dirty(self) -> bool:
        """Whether something is typed that is not saved."""

    def do_policy_complete(self) -> None:
        """Offers what can stand at the cursor."""
        if self.data is not None:
            self.wicket.open(CandidatesScreen(self.editor, self.data.names), self._complete)

    def _complete(self, chosen: Candidate | None) -> None:
        if chosen is not None:
            self.editor.put(chosen.insert, chosen.start, chosen.end)

    def do_policy_explain(self) -> None:
        """Says what stands under the cursor."""
        editor = self.editor
        names = self.data.names if self.data else None
        said = names and hover(editor.text, editor.offset_now, names, editor.problems)
        if said:
            self.wicket.open(ExplainDialog(said.title, said.lines))
        else:
            self.wicket.toast("Nothing is known of what stands here.")

    def do_policy_touches(self) -> None:
        """Lists the live tools that the text can matter for."""
        touched = self.found.touched if self.found else None
        if touched is None:
            self.wicket.toast("Not known yet: the text has to be checked without errors first.")
            return
        lines = [
            f"{one.tier:12} {one.service} {one.tool}  by "
            + ", ".join(f"statement {number}" for number in one.statements)
            for one in touched
        ]
        self.wicket.open(ExplainDialog(f"Touches {len(touched)} tools", lines or ["No live tool."]))

    def do_policy_outline(self) -> None:
        """Lists the statements; the cursor goes to the chosen one."""
        entries = outline(self.text, self.found)
        rows = [
            Row(
                str(one.start),
                tuple(map(plain, (one.line, one.effect or "?", one.label, one.touched))),
            )
            for one in entries
        ]
        columns = (
            Column("Line", 5),
            Column("Effect", 7),
            Column("Statement", 0),
            Column("Tools", 6),
        )
        title = f"{len(entries)} statement{'' if len(entries) == 1 else 's'}"
        self.wicket.open(PickDialog(title, columns, rows), self._go_to_statement)

    def _go_to_statement(self, start: str | None) -> None:
        if start is not None:
            self.editor.go_to(int(start))
            self.editor.focus()

    def do_problem_next(self) -> None:
        """Goes to the problem behind the cursor, round and round."""
        at = self.editor.offset_now
        places = sorted({one.start for one in self.editor.problems})
        self.editor.go_to(next((one for one in places if one > at), places[0]))
        self.editor.focus()

    def do_problem_previous(self) -> None:
        """Goes to the problem before the cursor."""
        at = self.editor.offset_now
        places = sorted({one.start for one in self.editor.problems}, reverse=True)
        self.editor.go_to(next((one for one in places if one < at), places[0]))
        self.editor.focus()

    @on(OptionList.OptionSelected, "#problems")
    def _jump(self, event: OptionList.OptionSelected) -> None:
        self.editor.go_to(self.editor.problems[event.option_index].start)
        self.editor.focus()

    def do_problem_fix(self) -> None:
        """Writes what is proposed for the problem at the cursor, or for the first that has it."""
        at = self.editor.offset_now
        fixable = [one for one in self.editor.problems if one.fix is not None]
        here = [one for one in fixable if one.start <= at <= one.end] or fixable
        for problem in here[:1]:
            self.editor.put(problem.fix or "", problem.start, problem.end)
            return
        self.wicket.toast("Nothing is proposed for these problems: F3 explains one.")

    @property
    def _tried(self) -> str | None:
        """The text that is tried out; None: what is saved is what stands here."""
        return self.text if self.is_dirty else None

    def do_draft_simulate(self) -> None:
        """Decides a call in thought, without and with the draft."""
        if self.agent is not None:
            policy = self.policy or None
            self.wicket.open(SimulateSheet(self.agent, draft=self._tried, policy=policy))

    def do_draft_replay(self) -> None:
        """Decides recorded calls once more with the draft."""
        if self.agent is not None:
            subject = Subject(draft=self._tried, policy=self.policy or None)
            self.wicket.open(ReplaySheet(self.agent, subject), self.wicket.look_up)

    def do_draft_versions(self) -> None:
        """The versions of the policy."""
        if self.agent is not None:
            self.wicket.open(VersionsSheet(self.agent, self.policy))

"""The policy editor: a Cedar text with its problems while it is typed, saved as a new version.

Opened from the list of policies. What is asked of the daemon runs beside the typing: an answer to
an older text is dropped, and without a daemon the problems found here and the draft go on.
Source: terminal app specification, section 5.
"""

from collections.abc import Iterable
from typing import Final

from textual import on, work
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static, TextArea
from typing_extensions import override

from wicket_tui.client import CallFailed, Link
from wicket_tui.completion import complete
from wicket_tui.drafts import Draft, Drafts
from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.editor_acts import EditorActs, Opened
from wicket_tui.source import UNSENDABLE, errors, moved, place_after
from wicket_tui.widgets.cedar_editor import SIGNS, CedarEditor
from wicket_tui.widgets.problems import Problems
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.types import agents
from wicketd.api.types.policies import (
    PolicyCheck,
    PolicyChecked,
    PolicyFormat,
    PolicyRef,
    Problem,
)

QUIET_S: Final = 0.1
"""Without a key this long, the text is checked."""
LATE_S: Final = 0.3
"""A check that takes longer is said."""
KEEP_S: Final = 1.0
"""Without a key this long, the draft is written."""


class EditorScreen(EditorActs):
    """One policy. `policy`: its key, empty for a new one that begins as `name` and `text`."""

    NAME = "policy_editor"
    PLACE = "policies"
    TOPICS = frozenset({"policies", "services"})

    class Checked(Message):
        """A check ended. `draft`: the number of the text that was checked."""

        def __init__(self, draft: int, found: PolicyChecked | None, why: str = "") -> None:
            super().__init__()
            self.draft = draft
            self.found = found
            self.why = why

    class Formatted(Message):
        """The daemon formatted a text."""

        def __init__(self, draft: int, text: str) -> None:
            super().__init__()
            self.draft = draft
            self.text = text

    def __init__(self, agent: str, policy: str, *, name: str = "", text: str = "") -> None:
        super().__init__()
        self._of = agent
        self.policy = policy
        self._begin = text
        self.base = Draft(name=name, text=text, base="", version=0, revision=0, at="")
        self.mode = ""
        self.found: PolicyChecked | None = None
        self._is_open = False
        self._draft = 0
        self.text = ""
        self._state = "not checked yet"
        self._quiet: Timer | None = None
        self._late: Timer | None = None
        self._keep: Timer | None = None

    @property
    @override
    def agent(self) -> str | None:
        """That of the policy, whatever is chosen elsewhere."""
        return self._of

    @property
    @override
    def editor(self) -> CedarEditor:
        """The text."""
        return self.query_one(CedarEditor)

    @property
    @override
    def drafts(self) -> Drafts:
        """Where drafts are kept."""
        return Drafts(self.wicket.host.state, self.wicket.options.socket)

    @property
    @override
    def is_dirty(self) -> bool:
        """Whether something is typed that is not saved."""
        return self._is_open and self.text != self.base.base

    @override
    def body(self) -> Iterable[Widget]:
        yield Static("", id="titling", markup=False)
        yield CedarEditor()
        yield Problems()

    @override
    async def fetch(self, agent: str) -> Opened:
        schema = await self.session.call(policy_endpoints.SCHEMA, agents.AgentRef(agent=agent))
        if not self.policy:
            owner = await self.session.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
            return Opened(None, owner.policy_revision, schema.names)
        ref = PolicyRef(agent=agent, policy=self.policy)
        found = await self.session.call(policy_endpoints.POLICY_SHOW, ref)
        return Opened(found.current, found.policy_revision, schema.names)

    @override
    def show(self, data: Opened) -> None:
        current = data.current
        if current is not None:
            self.mode = current.mode if current.enabled else "off"
        if not self._is_open:
            self._open(data)
        elif current is not None and current.version != self.base.version and not self.is_dirty:
            self.take(current, data.revision)
            self.editor.begin(current.text)
        self._check_soon()

    def _open(self, data: Opened) -> None:
        self.take(data.current, data.revision)
        self.text = data.current.text if data.current else self._begin
        kept = self.drafts.find(self._of, self.policy)
        if kept is not None and kept.text not in (self.text, ""):
            self.base, self.text = kept, kept.text
            self.wicket.toast("Your draft is back. ctrl+d drops it.")
        self._is_open = True
        self.editor.begin(self.text)
        self.editor.focus()

    @on(TextArea.Changed)
    def _typed(self) -> None:
        if not self._is_open:
            return
        self._draft += 1
        editor, source = self.editor, self.editor.source
        by = len(source.text) - len(self.text)
        self.text = source.text
        at = editor.offset_now - max(by, 0)
        remote = self.found.problems if self.found else ()
        known = source.problems() or moved(remote, source, at, by)
        if self.found is not None:
            self.found = PolicyChecked(problems=tuple(known))
        self._tell_problems(known)
        self._check_soon()
        if self._keep is not None:
            self._keep.stop()
        self._keep = self.set_timer(KEEP_S, self.keep_draft)

    def _check_soon(self) -> None:
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet = self.set_timer(QUIET_S, self._settled)

    def _settled(self) -> None:
        """Nothing was typed for a moment: the ghost text, and a check of the whole."""
        self._suggest()
        source = self.editor.source
        if any(one.code in UNSENDABLE for one in source.problems()):
            self._state = ""
            return
        if self.session.standing.link is not Link.ONLINE:
            self._say("not checked: no connection")
            return
        if self._late is not None:
            self._late.stop()
        self._late = self.set_timer(LATE_S, self._say_checking)
        self._check(self._draft, source.text)

    def _say_checking(self) -> None:
        self._say("checking")

    @work(exclusive=True, group="check", exit_on_error=False)
    async def _check(self, draft: int, text: str) -> None:
        request = PolicyCheck(agent=self._of, text=text, policy=self.policy or None)
        try:
            found = await self.session.call(policy_endpoints.POLICY_CHECK, request)
        except CallFailed as failure:
            self.post_message(self.Checked(draft, None, failure.problem.message))
            return
        self.post_message(self.Checked(draft, found))

    @on(Checked)
    def _take_check(self, event: Checked) -> None:
        event.stop()
        if event.draft != self._draft:
            return
        if self._late is not None:
            self._late.stop()
        self.found = event.found
        if event.found is None:
            self._say(f"not checked: {event.why}")
            return
        self._state = ""
        self._tell_problems(event.found.problems)

    def _tell_problems(self, problems: Iterable[Problem]) -> None:
        shown = tuple(problems)
        self.editor.mark(shown)
        self.query_one(Problems).tell(shown)
        self._title()
        self.offer()

    def _say(self, state: str) -> None:
        self._state = state
        self._title()

    @property
    def _called(self) -> str:
        return self.policy or self.base.name or "new"

    def _title(self) -> None:
        base, problems = self.base, self.editor.problems
        parts = [f"Policies \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} {self._called}"]
        parts += [f"v{base.version}"] if base.version else []
        parts += [self.mode] if self.mode else []
        parts += ["draft*"] if self.is_dirty else []
        theirs = self.data.current if self.data else None
        if theirs is not None and theirs.version != base.version:
            parts.append(f"v{theirs.version} saved by {theirs.created_by} meanwhile")
        for kind, sign in SIGNS.items():
            count = sum(one.severity == kind for one in problems)
            parts += [f"{sign} {count} {kind}{'' if count == 1 else 's'}"] if count else []
        parts += ["no problems"] if self.found is not None and not problems else []
        parts += [self._state] if self._state else []
        self.query_one("#titling", Static).update(plain("  ".join(parts)))

    @override
    def chosen(self) -> dict[str, str]:
        if not self._is_open:
            return {"policy": self.policy}
        wrong = errors(self.editor.problems)
        return {
            "policy": self.policy,
            "name": self.base.name,
            "changed": "yes" if self.is_dirty else "",
            "correct": "" if wrong else "yes",
            "problem": "yes" if self.editor.problems else "",
        }

    @override
    def shown_twin(self) -> str:
        return "policy show {agent} {policy}" if self.policy else "policy list {agent}"

    def _suggest(self) -> None:
        editor = self.editor
        row, column = editor.cursor_location
        rest = editor.document.get_line(row)[column : column + 1]
        editor.suggestion = ""
        if self.data is None or rest.isalnum() or not editor.has_focus:
            return
        at = editor.offset_now
        for best in complete(editor.text, at, self.data.names)[:1]:
            typed = editor.text[best.start : at]
            if typed and best.insert.startswith(typed) and "\n" not in best.insert:
                editor.suggestion = best.insert[len(typed) :]

    def do_policy_format(self) -> None:
        """Brings the text into the usual form."""
        self._format(self._draft, self.editor.text)

    @work(exclusive=True, group="format", exit_on_error=False)
    async def _format(self, draft: int, text: str) -> None:
        try:
            request = PolicyFormat(text=text, agent=self._of)
            found = await self.session.call(policy_endpoints.POLICY_FORMAT, request)
        except CallFailed as failure:
            self.say_failed(failure.problem)
            return
        self.post_message(self.Formatted(draft, found.text))

    @on(Formatted)
    def _take_format(self, event: Formatted) -> None:
        event.stop()
        editor = self.editor
        if event.draft != self._draft or event.text == editor.text:
            return
        at = place_after(editor.text, editor.offset_now, event.text)
        editor.put(event.text, 0, len(editor.text))
        editor.go_to(at)

    def do_draft_discard(self, _given: Confirmed) -> None:
        """Goes back to what is saved."""
        self.drafts.drop(self._of, self.policy)
        if self.data is not None:
            self.take(self.data.current, self.data.revision)
        self.editor.put(self.base.base, 0, len(self.editor.text))

    @override
    def step_back(self) -> bool:
        """Leaves for the list; the draft is kept."""
        self.keep_draft()
        self.wicket.go("policies")
        return True

    def on_unmount(self) -> None:
        """A draft is never lost with its screen."""
        self.keep_draft()

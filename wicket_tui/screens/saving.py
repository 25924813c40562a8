"""How a draft becomes a version: kept on this machine, saved with a note, or met by another's save.

The half of the policy editor that writes. Nothing is overwritten: a save says which revision of
the agent it was made from, and the daemon refuses another one.
"""

import difflib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace
from textual import work
from textual.screen import Screen

from wicket_tui import handoff
from wicket_tui.client import CallFailed
from wicket_tui.drafts import Draft, Drafts
from wicket_tui.screens.conflict import ConflictDialog
from wicket_tui.screens.form import Field, FormDialog
from wicketd.api import policy_endpoints
from wicketd.api.types.policies import (
    PolicyChecked,
    PolicyCreate,
    PolicyRef,
    PolicySave,
    PolicySaved,
    PolicyVersion,
)

if TYPE_CHECKING:
    from wicket_tui.app import WicketApp
    from wicket_tui.widgets.cedar_editor import CedarEditor

DIFF_LINES = 8


class Saving(Screen[None]):
    """Mixed into the editor: what it needs of it is abstract."""

    policy: str
    base: Draft
    found: PolicyChecked | None
    text: str
    """The text as it was typed last, also when its widget is gone."""

    @property
    @abstractmethod
    def agent(self) -> str | None:
        """The agent of the policy."""

    @property
    @abstractmethod
    def editor(self) -> "CedarEditor":
        """The text."""

    @property
    @abstractmethod
    def drafts(self) -> Drafts:
        """Where drafts are kept."""

    @property
    def _app(self) -> "WicketApp":
        return cast("WicketApp", self.app)  # every screen is made by it

    def take(self, current: PolicyVersion | None, revision: int) -> None:
        """From now on the draft is one of this version."""
        self.base = replace(
            self.base,
            name=current.name if current else self.base.name,
            base=current.text if current else "",
            version=current.version if current else 0,
            revision=revision,
        )

    def keep_draft(self) -> None:
        """Writes what was typed; what is saved already needs no draft."""
        if self.agent is None or self.text in (self.base.base, ""):
            return
        now = self._app.host.now().isoformat()
        try:
            draft = replace(self.base, text=self.text, at=now)
            self.drafts.keep(self.agent, self.policy, draft)
        except OSError as error:
            self._app.toast(f"The draft is not kept: {error}.", severity="warning")

    def do_policy_save(self) -> None:
        """Asks for a note, saves the draft as a new version."""
        note = Field("note", "Note", hint="why; shown in the history")
        if self.policy:
            title = f"Save {self.policy} as v{self.base.version + 1}"
            fields: tuple[Field, ...] = (note,)
        else:
            name = Field("name", "Name", self.base.name, hint="what people call it")
            mode = Field("mode", "Mode", "enforce", choices=("enforce", "shadow"))
            title, fields = "Save a new policy", (name, mode, note)
        dialog = FormDialog(title, fields, submit="Save", sentence=self._save, intro=self._intro())
        self._app.open(dialog)

    def _intro(self) -> str:
        touched = self.found.touched if self.found else None
        said = "Checked without errors." if self.found else "Not checked yet: the daemon does."
        if touched is not None:
            tiers = [one.tier for one in touched]
            count = ", ".join(
                f"{tiers.count(tier)} {tier}"
                for tier in ("read", "write", "destructive")
                if tier in tiers
            )
            said += f" Touches {count or 'no live'} tools."
        lines = self.base.base.splitlines(), self.text.splitlines()
        diff = [*difflib.unified_diff(*lines, n=0, lineterm="")][2:] if self.policy else []
        diff = [line for line in diff if not line.startswith("@@")]
        more = [f"… {len(diff) - DIFF_LINES} more lines"] if len(diff) > DIFF_LINES else []
        return "\n".join([said, *diff[:DIFF_LINES], *more])

    async def _save(self, values: dict[str, str]) -> str:
        text = self.text
        try:
            saved = await self._send(text, values)
        except CallFailed as failure:
            if failure.problem.code != "stale":
                raise
            self._compare(values)
            return ""
        self._app.call_later(self._saved, saved, text)
        state = "watched" if saved.version.mode == "shadow" else "in force"
        key, number = saved.version.key, saved.version.version
        return f"{key} v{number} is {state} as revision {saved.policy_revision}."

    async def _send(self, text: str, values: dict[str, str]) -> PolicySaved:
        session, agent, note = self._app.session, self.agent or "", values["note"] or None
        if not self.policy:
            mode = "shadow" if values["mode"] == "shadow" else "enforce"
            made = PolicyCreate(agent=agent, name=values["name"], text=text, mode=mode, note=note)  # type: ignore[arg-type]  # one of the two
            return await session.call(policy_endpoints.POLICY_CREATE, made)
        request = PolicySave(agent=agent, policy=self.policy, text=text, note=note)
        return await session.call(policy_endpoints.POLICY_SAVE, request, match=self.base.revision)

    def _saved(self, saved: PolicySaved, text: str) -> None:
        self.drafts.drop(self.agent or "", self.policy)
        self.policy = saved.version.key
        self.take(saved.version, saved.policy_revision)
        if self.text == text:
            self.drafts.drop(self.agent or "", self.policy)
        self._app.reload_screen()

    @work(exclusive=True, group="conflict", exit_on_error=False)
    async def _compare(self, values: dict[str, str]) -> None:
        ref = PolicyRef(agent=self.agent or "", policy=self.policy)
        try:
            theirs = await self._app.session.call(policy_endpoints.POLICY_SHOW, ref)
        except CallFailed as failure:
            self._app.toast(failure.problem.message, severity="error")
            return
        current = theirs.current
        dialog = ConflictDialog(
            mine=self.text, theirs=current.text, base=self.base.base, by=current.created_by
        )

        def decide(choice: Any) -> None:
            if choice is None:
                return
            self.take(current, theirs.policy_revision)
            if choice == "theirs":
                self.editor.put(current.text, 0, len(self.editor.text))
            else:
                self._save_again(values)

        self._app.open(dialog, decide)

    @work(exclusive=True, group="write", exit_on_error=False)
    async def _save_again(self, values: dict[str, str]) -> None:
        try:
            sentence = await self._save(values)
        except CallFailed as failure:
            self._app.toast(failure.problem.message, severity="error")
            return
        if sentence:
            self._app.toast(sentence)

    def do_policy_hand_over(self) -> None:
        """Gives the draft to `$EDITOR` and takes back what it wrote."""
        self.keep_draft()
        try:
            # The app stands still meanwhile, as the terminal is not ours; the draft is on disk.
            with self._app.suspend():
                text = handoff.edited(self.text, self._app.host.environ)
        except (handoff.EditorFailed, OSError) as error:
            self._app.toast(str(error), severity="error")
            return
        if text != self.text:
            self.editor.put(text, 0, len(self.editor.text))

"""What can be done with the entry under the cursor: explain, reveal, export, go on from it.

Counterpart of `screens.audit`, which shows the log.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import msgspec
from textual import on
from textual.message import Message
from typing_extensions import override

from wicket_tui import audit_rows
from wicket_tui.client import CallFailed, Problem
from wicket_tui.headless.filters import parsed
from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.form import Field, FormDialog
from wicket_tui.screens.frame import FrameScreen
from wicket_tui.screens.reveal import RevealDialog
from wicket_tui.widgets.facts import FactSheet
from wicket_tui.widgets.paged_list import PagedList
from wicketd.api import endpoints
from wicketd.api.types import audit


class AuditActs(FrameScreen[Any]):
    """The actions of the audit screen."""

    class Revealed(Message):
        """Arguments came."""

        def __init__(self, ref: str, text: str) -> None:
            super().__init__()
            self.ref = ref
            self.text = text

    @property
    @abstractmethod
    def entry(self) -> audit.AuditEntry | None:
        """The entry under the cursor."""

    @property
    @abstractmethod
    def words(self) -> tuple[str, ...]:
        """The terms of the filter."""

    @property
    @abstractmethod
    def texts(self) -> audit_rows.Texts:
        """The policy texts that were read."""

    @override
    def chosen(self) -> dict[str, str]:
        entry = self.entry
        if entry is None:
            return {}
        found = {
            "ref": entry.ref or entry.id,
            "agent": entry.agent_id or self.agent or "",
            "tool": audit_rows.what(entry),
            "member": entry.member_name or "",
            "session": entry.session_id or "",
            "sealed": "yes" if entry.fields.get("argsState") == "encrypted" else "",
        }
        by = audit_rows.statements(entry)
        if by:
            found |= {"policy": str(by[0]["key"]), "version": str(by[0]["version"])}
        return found

    @override
    def shown_twin(self) -> str:
        return "audit show {ref}" if self.entry else "audit list agent:{agent}"

    def do_audit_show(self) -> None:
        """Moves to the details."""
        self.query_one(FactSheet).focus()

    def do_audit_follow(self) -> None:
        """Back to the newest entry."""
        self.query_one(PagedList).action_newest()

    def do_audit_policy(self) -> None:
        """The text that decided, at its version."""
        entry = self.entry
        by = audit_rows.statements(entry) if entry else []
        if not by:
            return
        name = audit_rows.named(by[0])
        text = self.texts.get((str(by[0]["key"]), int(by[0]["version"])))
        if text is None:
            self.wicket.toast("The text is on its way: press p again.")
            return
        explained = "As it was when it decided this entry. Versions are never changed."
        self.wicket.open(RevealDialog(name, text, explained))

    def do_audit_session(self) -> None:
        """The session that the call belongs to."""
        entry = self.entry
        if entry is not None and entry.session_id:
            self.wicket.seek("sessions", entry.session_id)

    def do_audit_reveal(self, given: Confirmed) -> None:
        """Shows the recorded arguments; the reason is on record first."""
        entry = self.entry
        if entry is None:
            return
        if not given.reason:
            self.wicket.toast("A reveal needs a reason: the audit keeps it.", severity="warning")
            return
        request = audit.AuditReveal(ref=entry.id, reason=given.reason)

        async def reveal() -> None:
            found = await self.session.call(endpoints.AUDIT_REVEAL, request)
            text = msgspec.json.format(msgspec.json.encode(found.arguments)).decode()
            self.post_message(self.Revealed(found.ref or found.id, text))

        self.write(reveal)

    @on(Revealed)
    def _show_revealed(self, event: Revealed) -> None:
        explained = "What the client sent. The audit holds that you read it, and why."
        self.wicket.open(RevealDialog(f"Arguments of {event.ref}", event.text, explained))

    def do_audit_export(self) -> None:
        """Asks where to, then writes what the filter shows."""
        stamp = self.wicket.host.now().strftime("%Y%m%d-%H%M%S")
        fields = (
            Field("form", "Form", choices=("jsonl", "csv")),
            Field("path", "File", value=str(Path.cwd() / f"wicket-audit-{stamp}.jsonl")),
        )
        words = self.words

        async def export(values: dict[str, str]) -> str:
            request = parsed(audit.AuditExport, words, format=values["form"])
            lines = self.session.lines(endpoints.AUDIT_EXPORT, request)
            try:
                count = await self.wicket.host.keep_export(Path(values["path"]), lines)
            except OSError as error:
                problem = Problem("bad_request", f"Cannot write there: {error.strerror}.")
                raise CallFailed(problem) from error
            return f"{count} lines are in {values['path']}. The export is on record."

        intro = "jsonl can be verified alone, csv opens in a spreadsheet. Nothing is overwritten."
        self.wicket.open(
            FormDialog("Export", fields, submit="Export", sentence=export, intro=intro)
        )

"""What enabling a service would do, before it is done: tools by tier, exclusions, the policy."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Label, Select, Static
from typing_extensions import override

from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.text import prose
from wicketd.api.text import safe_text
from wicketd.api.types.services import EnableReport


class ReportDialog(Dialog[str]):
    """The report; it is dismissed with the tiers that the baseline policy permits."""

    def __init__(self, service: str, report: EnableReport) -> None:
        super().__init__()
        self._service = service
        self._report = report

    @override
    def title_text(self) -> str:
        return f"Enable {safe_text(self._service)}: nothing is changed yet"

    @override
    def content(self) -> ComposeResult:
        with VerticalScroll(id="report"):
            yield Static(prose(self._text()))
        with Horizontal(classes="field"):
            yield Label("Permit at first", markup=False, classes="label")
            options = [("read", "read"), ("write", "write"), ("all", "all")]
            yield Select(options, value="read", allow_blank=False, id="allow", compact=True)
        with Horizontal(classes="buttons"):
            yield Button("Not now", id="no")
            yield Button("Enable", id="yes")

    def on_mount(self) -> None:
        """What is safe has the focus."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        chosen = str(self.query_one("#allow", Select).value)
        self.answer(chosen if event.button.id == "yes" else None)

    def _text(self) -> str:
        report = self._report
        lines = [report.note] if report.note else []
        for tier in ("read", "write", "destructive"):
            names = [tool.name for tool in report.tools if tool.tier == tier]
            if names:
                shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
                lines.append(f"{tier}, {len(names)}: {shown}")
        if not report.tools:
            lines.append("Its tools are not known before somebody connects, or before d.")
        lines += [f"excluded: {one.tool}, {one.reason}" for one in report.excluded[:10]]
        lines += [f"breaks the policy {one.policy}: {one.reason}" for one in report.broken[:10]]
        if report.baseline_text:
            lines += ["", "The baseline policy:", report.baseline_text]
        return "\n".join(lines)

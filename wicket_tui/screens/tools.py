"""The tools of a service: tier, source, state; open changes with the old and the new definition."""

import difflib
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.actions import refusal, shown_key
from wicket_tui.client import CallFailed, Problem
from wicket_tui.keymap import BY_ID
from wicket_tui.screens.confirm import ConfirmDialog, Confirmed
from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import meaning, plain, prose
from wicketd.api import endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import services

_NEXT: Final[dict[str, services.Tier]] = {
    "read": "write",
    "write": "destructive",
    "destructive": "read",
}


def next_tier(tier: str, source: str) -> services.Tier | None:
    """The tier that the key gives, round and round; None takes the override back."""
    return None if (tier, source) == ("destructive", "override") else _NEXT[tier]


class ToolsDialog(Dialog[str]):
    """Tools of one service. `only_open`: those whose change waits for a review."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(BY_ID["tool.tier"].keys), "tier", show=False, id="tool.tier"),
        Binding(",".join(BY_ID["tool.ack"].keys), "accept", show=False, id="tool.ack"),
    ]

    class Read(Message):
        """Tools and open changes were read."""

        def __init__(self, tools: list[services.Tool], drift: services.Drift) -> None:
            super().__init__()
            self.tools = tools
            self.drift = drift

    class Failed(Message):
        """A call had no success."""

        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    def __init__(self, agent: str, service: str, *, only_open: bool) -> None:
        super().__init__()
        self._agent = agent
        self._service = service
        self._only_open = only_open
        self._tools: list[services.Tool] = []
        self._changes: dict[str, services.DriftChange] = {}

    @override
    def title_text(self) -> str:
        what = "Open changes" if self._only_open else "Tools"
        return f"{what} of {safe_text(self._service)}"

    @override
    def content(self) -> ComposeResult:
        columns = (Column("Tool", 0), Column("Tier", 13), Column("Source", 11), Column("State", 12))
        yield Rows(columns, id="tools")
        with VerticalScroll(id="definition"):
            yield Static("Loading", id="explained", markup=False)
        tier, accept = (
            shown_key(self.wicket.key_of(BY_ID[name])) for name in ("tool.tier", "tool.ack")
        )
        hint = f"{tier} next tier · {accept} accepts the change · esc goes back"
        yield Static(plain(hint), classes="hint")

    def on_mount(self) -> None:
        """Reads at once."""
        self.query_one(Rows).focus()
        self._load()

    @work(exclusive=True, group="tools", exit_on_error=False)
    async def _load(self, *before: Any) -> None:
        try:
            for step in before:
                await step()
            session = self.wicket.session
            asked = services.ToolList(agent=self._agent, service=self._service)
            ref = services.ServiceRef(agent=self._agent, service=self._service)
            tools = await session.every(endpoints.SERVICE_TOOLS, asked)
            self.post_message(self.Read(tools, await session.call(endpoints.SERVICE_DRIFT, ref)))
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))

    @on(Read)
    def _show(self, event: Read) -> None:
        self._changes = {change.tool: change for change in event.drift.changes}
        self._tools = [
            tool for tool in event.tools if not self._only_open or tool.name in self._changes
        ]
        rows = []
        for tool in self._tools:
            tint = {"read": "allow", "write": "pending"}.get(tool.tier, "deny")
            word = "changed" if tool.name in self._changes else tool.status
            state = plain(word, self.wicket.tint("pending" if word == "changed" else meaning(word)))
            cells = (
                plain(tool.name, "bold"),
                plain(tool.tier, self.wicket.tint(tint)),
                plain(tool.source),
                state,
            )
            rows.append(Row(tool.name, cells))
        self.query_one(Rows).fill(rows)
        if not rows:
            self._explain(
                "Nothing waits for a review." if self._only_open else "No tools known yet."
            )
        else:
            self._follow()

    @on(Failed)
    def _refused(self, event: Failed) -> None:
        self._explain("\n".join(filter(None, (event.problem.message, event.problem.hint))))

    @on(Rows.RowHighlighted)
    def _follow(self) -> None:
        tool = self._tool
        if tool is None:
            return
        change = self._changes.get(tool.name)
        if change is None:
            definition = tool.definition or {}
            about = str(definition.get("description") or "no description")
            self._explain(
                about + (f"\nexcluded: {tool.exclude_reason}" if tool.exclude_reason else "")
            )
            return
        broken = ", ".join(change.broken_policies) or "none"
        lines = difflib.unified_diff(
            _lines(change.old_definition), _lines(change.new_definition), "old", "new", lineterm=""
        )
        self._explain(f"{change.kind} · policies it breaks: {broken}\n" + "\n".join(lines))

    def action_tier(self) -> None:
        """The next tier of the tool under the cursor."""
        tool = self._tool
        if tool is None or not self._may("tool.tier", tool):
            return
        request = services.TierSet(
            agent=self._agent,
            service=self._service,
            tool=tool.name,
            tier=next_tier(tool.tier, tool.source),
        )
        if tool.tier != "destructive":
            self._turn(request)
            return
        # The only step that lowers a tier: what was guarded would be permitted from now on.
        dialog = ConfirmDialog(BY_ID["tool.tier"], self._values(tool))
        self.wicket.open(dialog, lambda given: None if given is None else self._turn(request))

    def _turn(self, request: services.TierSet) -> None:
        async def turn() -> None:
            session = self.wicket.session
            ref = services.ServiceRef(agent=self._agent, service=self._service)
            current = await session.call(endpoints.SERVICE_SHOW, ref)
            await session.call(endpoints.TOOL_TIER, request, match=current.rev)

        self._load(turn)

    def action_accept(self) -> None:
        """Accepts the change under the cursor, after the question."""
        tool = self._tool
        if tool is None or not self._may("tool.ack", tool):
            return
        dialog = ConfirmDialog(BY_ID["tool.ack"], self._values(tool))
        self.wicket.open(dialog, lambda given: self._accept(tool, given))

    def _accept(self, tool: services.Tool, given: Confirmed | None) -> None:
        if given is None or tool.hash is None:
            return
        request = services.Ack(
            agent=self._agent, service=self._service, tool=tool.name, hash=tool.hash
        )

        async def accept() -> None:
            await self.wicket.session.call(endpoints.TOOL_ACK, request)

        self._load(accept)

    def _values(self, tool: services.Tool) -> dict[str, str]:
        changed = tool.name in self._changes and tool.hash is not None
        after = next_tier(tool.tier, tool.source)
        return {
            "agent": self._agent,
            "service": self._service,
            "tool": tool.name,
            "new_hash": tool.hash or "" if changed else "",
            "next_tier": after or "none",
            "As_what": f"As {after}" if after else "With the tier of its connector again",
        }

    def _may(self, name: str, tool: services.Tool) -> bool:
        frame = self.wicket.frame
        if frame is None:
            return False
        here = replace(frame.here(), chosen=self._values(tool))
        why = refusal(BY_ID[name], here)
        if why is not None:
            self.wicket.toast(why, severity="warning")
        return why is None

    @property
    def _tool(self) -> services.Tool | None:
        key = self.query_one(Rows).chosen
        return next((tool for tool in self._tools if tool.name == key), None)

    def _explain(self, text: str) -> None:
        self.query_one("#explained", Static).update(prose(text))


def _lines(definition: dict[str, Any] | None) -> list[str]:
    if definition is None:
        return []
    return msgspec.json.format(msgspec.json.encode(definition)).decode().splitlines()

"""A call that nobody makes: what it would be answered and why, without and with a draft."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
from rich.text import Text
from textual import on, work
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static
from typing_extensions import override

from wicket_tui.client import CallFailed, Problem
from wicket_tui.screens.pick import PickDialog
from wicket_tui.screens.sheet import Sheet
from wicket_tui.widgets.decision_tree import decision_tree
from wicket_tui.widgets.fields import Fields, asked
from wicket_tui.widgets.rows import Column, Row
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints, policy_endpoints, simulation_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.members import MemberList
from wicketd.api.types.names import Attribute, ToolName
from wicketd.api.types.simulations import DraftText, SessionCounters, Simulate, Simulated

_EMPTY: Final = {"Long": 0, "Bool": False, "decimal": 0.5, "Record": {}}
"""The value that an argument of a type begins with; lists begin empty, all else as a text."""


@dataclass(frozen=True, slots=True)
class Known:
    """What can be chosen: members as policies name them, tools with their arguments."""

    members: tuple[str, ...]
    tools: tuple[ToolName, ...]


class SimulateSheet(Sheet[Simulated]):
    """A form of one call and the tree of why under it. `entry`: an audit entry to begin with."""

    NAME: ClassVar[str] = "simulate"
    READS: ClassVar[bool] = False

    class Learnt(Message):
        """Members and tools were read."""

        def __init__(self, known: Known) -> None:
            super().__init__()
            self.known = known

    def __init__(
        self,
        agent: str,
        *,
        draft: str | None = None,
        policy: str | None = None,
        entry: str | None = None,
    ) -> None:
        super().__init__(agent)
        self._draft = None if draft is None else DraftText(text=draft, policy=policy)
        self._entry = entry
        self._known = Known((), ())

    @override
    def title_text(self) -> str:
        if self._draft is None:
            return f"Simulate a call on {safe_text(self.agent)}"
        name = safe_text(self._draft.policy or "")
        return f"Simulate a call with the draft{f' of {name}' if name else ''}"

    @override
    def head(self) -> Iterable[Widget]:
        yield Fields((("member", "Member", "", "F2 lists"), ("tool", "Tool", "", "F3 lists")))
        yield Fields((("args", "Arguments", "{}", "JSON"),))
        yield Fields(
            (
                ("entry", "Entry", self._entry or "", "its arguments"),
                ("time", "Time", "", "now"),
                ("ip", "IP", "", "127.0.0.1"),
                ("denials", "Denials", "0", "before"),
            )
        )

    @override
    def body(self) -> Iterable[Widget]:
        yield VerticalScroll(Static("", id="why", markup=False), id="tree")

    @override
    def on_mount(self) -> None:
        super().on_mount()
        self.panel.empty("No call yet", "Name a member and a tool, then press enter.")
        self.query_one("#ask-member", Input).focus()
        self._learn()

    @work(exclusive=True, group="names", exit_on_error=False)
    async def _learn(self) -> None:
        try:
            ref = AgentRef(agent=self.agent)
            schema = await self.session.call(policy_endpoints.SCHEMA, ref)
            members = await self.session.every(
                endpoints.MEMBER_LIST, MemberList(agent=self.agent, state="approved")
            )
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))
            return
        names = tuple(one.email or one.local_name or one.id for one in members)
        live = tuple(one for one in schema.names.tools if not one.is_gone)
        self.post_message(self.Learnt(Known(names, live)))

    @on(Learnt)
    def _fill(self, event: Learnt) -> None:
        known = self._known = event.known
        if known.members and not asked(self, "member"):
            self.query_one("#ask-member", Input).value = known.members[0]
        if known.tools and not asked(self, "tool"):
            self._use_tool(known.tools[0])

    def _use_tool(self, tool: ToolName) -> None:
        self.query_one("#ask-tool", Input).value = f"{tool.service}__{tool.name}"
        self.query_one("#ask-args", Input).value = skeleton(tool.input)

    @on(Input.Submitted)
    def _submit(self) -> None:
        self.action_do("simulate.run")

    def do_simulate_run(self) -> None:
        """Decides the call that the form describes."""
        self.action_reload()

    @override
    async def fetch(self) -> Simulated:
        return await self.session.call(simulation_endpoints.SIMULATE, self._request())

    def _request(self) -> Simulate:
        entry = asked(self, "entry") or None
        return Simulate(
            agent=self.agent,
            member=asked(self, "member"),
            tool=asked(self, "tool"),
            arguments=None if entry else _arguments(asked(self, "args")),
            entry=entry,
            time=asked(self, "time") or None,
            ip=asked(self, "ip") or "127.0.0.1",
            session=SessionCounters(denials=_count(asked(self, "denials"))),
            draft=self._draft,
        )

    @override
    def show(self, data: Simulated) -> None:
        tint = self.wicket.tint
        if data.after is None:
            text = decision_tree(data.now, "Decision", tint)
        else:
            text = decision_tree(data.after, "With the draft", tint)
            text.append_text(Text("\n", end=""))
            text.append_text(decision_tree(data.now, "Without the draft", tint))
        self.query_one("#why", Static).update(text)
        tree = self.query_one("#tree")
        tree.scroll_home(animate=False)
        tree.focus()

    @override
    def chosen(self) -> dict[str, str]:
        return {
            "member": asked(self, "member"),
            "tool": asked(self, "tool"),
            "args": asked(self, "args"),
        }

    @override
    def shown_twin(self) -> str:
        draft = " --draft -" if self._draft is not None else ""
        return (
            f"policy simulate {{agent}} --member {{member}} --tool {{tool}} --args {{args}}{draft}"
        )

    def do_simulate_member(self) -> None:
        """Chooses the member from a list."""
        rows = [Row(name, (plain(name),)) for name in self._known.members]
        picker = PickDialog("Who would call?", (Column("Member", 0),), rows)
        self.wicket.open(picker, self._use_member)

    def _use_member(self, name: str | None) -> None:
        if name is not None:
            self.query_one("#ask-member", Input).value = name

    def do_simulate_tool(self) -> None:
        """Chooses the tool from a list; its arguments are laid out."""
        tools = {f"{one.service}__{one.name}": one for one in self._known.tools}
        rows = [Row(name, (plain(name), plain(one.tier))) for name, one in tools.items()]
        picker = PickDialog("Which tool?", (Column("Tool", 0), Column("Tier", 12)), rows)
        self.wicket.open(picker, lambda name: None if name is None else self._use_tool(tools[name]))


def skeleton(arguments: Iterable[Attribute]) -> str:
    """JSON with every argument of a tool, empty, or the first of its listed values."""
    values: dict[str, Any] = {}
    for one in arguments:
        is_list = one.type.startswith("Set<")
        empty: Any = [] if is_list else _EMPTY.get(one.type, "")
        values[one.name] = one.values[0] if one.values else empty
    return msgspec.json.encode(values).decode()


def _arguments(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(
            text.encode("utf-8", "surrogatepass") or b"{}", type=dict[str, Any]
        )
    except (msgspec.MsgspecError, UnicodeError) as error:
        problem = Problem(
            "invalid", f"The arguments are no JSON object: {error}.", 'Write such as {"path":"a"}.'
        )
        raise CallFailed(problem) from error


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        problem = Problem("invalid", "Denials is no count.", "Write a number such as 3.")
        raise CallFailed(problem)
    return int(text)

"""What policies leave open: tools that nothing permits, policies that do nothing."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.screens.sheet import Sheet
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import plain
from wicketd.api import policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.coverage import Coverage, PolicyCover, ToolCover

_COLUMNS: Final = (
    Column("What", 8),
    Column("Name", 0),
    Column("State", 24),
    Column("Why", 40, from_width=100),
)
_COVERS: Final = {
    "uncovered": ("✗ nothing permits it", "deny", "Every call of it is denied."),
    "always_forbidden": ("✗ always forbidden", "deny", "A forbid matches each of its calls."),
    "group": ("✓ by a group", "allow", "No statement names it."),
    "named": ("✓ by name", "allow", ""),
}
"""How a tool is covered: words with their sign, theme variable, sentence."""
_ORDER: Final = tuple(_COVERS)

State = tuple[str, str, str]


class CoverageSheet(Sheet[Coverage]):
    """Tools and policies that want a look, worst first; every one of them with `u`.

    It is dismissed with the key of a policy that was chosen.
    """

    NAME: ClassVar[str] = "coverage"

    def __init__(self, agent: str) -> None:
        super().__init__(agent)
        self._shows_all = False

    @override
    def title_text(self) -> str:
        return f"Coverage of {safe_text(self.agent)}"

    @override
    def body(self) -> Iterable[Widget]:
        yield Static("", id="counts", markup=False)
        yield Rows(_COLUMNS, id="covers")

    @override
    async def fetch(self) -> Coverage:
        return await self.session.call(policy_endpoints.POLICY_COVERAGE, AgentRef(agent=self.agent))

    @override
    def show(self, data: Coverage) -> None:
        if not data.tools and not data.policies:
            self.panel.empty(
                "Nothing to cover yet", "Press 3, then n to enable a service: its tools come here."
            )
            return
        rows = [*self._policies(data), *self._tools(data)]
        table = self.query_one(Rows)
        table.fill(rows)
        table.focus()
        left = sum(one.cover == "uncovered" for one in data.tools)
        text = f"{left} of {len(data.tools)} tools are permitted by nothing. "
        if not rows:
            text += "Nothing wants a look: u shows all."
        self.query_one("#counts", Static).update(plain(text))

    def _policies(self, data: Coverage) -> Iterator[Row]:
        for one in data.policies:
            state = _state(one, data.days)
            if state is not None or self._shows_all:
                fine = (f"✓ {one.hits} hits", "allow", f"In {data.days} days.")
                yield self._row("policy", one.policy, state or fine)

    def _tools(self, data: Coverage) -> Iterator[Row]:
        for one in sorted(data.tools, key=_urgency):
            if self._shows_all or one.stale or one.cover in {"uncovered", "always_forbidden"}:
                yield self._row("tool", f"{one.service}.{one.tool}", _tool_state(one))

    def _row(self, kind: str, name: str, state: State) -> Row:
        words, tint, why = state
        cells = (plain(kind), plain(name, "bold"), plain(words, self.wicket.tint(tint)), plain(why))
        return Row(f"{kind} {name}", cells)

    @override
    def chosen(self) -> dict[str, str]:
        kind, _, name = (self.query_one(Rows).chosen or "").partition(" ")
        return {"policy": name} if kind == "policy" else {}

    @override
    def shown_twin(self) -> str:
        return "policy coverage {agent}"

    @on(Rows.RowSelected)
    def _open(self) -> None:
        policy = self.chosen().get("policy")
        if policy is not None:
            self.answer(policy)

    def do_coverage_all(self) -> None:
        """Shows what is well, too, or not any more."""
        self._shows_all = not self._shows_all
        if self.data is not None:
            self.show(self.data)


def _urgency(one: ToolCover) -> tuple[bool, int, str, str]:
    order = _ORDER.index(one.cover) if one.cover in _ORDER else len(_ORDER)
    return (not one.stale, order, one.service, one.tool)


def _tool_state(one: ToolCover) -> State:
    if one.stale:
        return ("? changed", "pending", "Its calls are denied until the change is accepted.")
    words, tint, why = _COVERS.get(one.cover, (f"? {one.cover}", "pending", ""))
    return (words, tint, why or ", ".join(one.policies))


def _state(one: PolicyCover, days: int) -> State | None:
    """What is wrong with a policy; None: nothing."""
    if one.broken is not None:
        return ("✗ broken", "deny", one.broken)
    if one.stale:
        return ("? stale", "pending", ", ".join(one.stale))
    if one.unmatchable:
        return ("? matches nothing", "pending", "No live tool is within it.")
    if one.flips:
        return (f"~ {one.flips} flips", "shadow", "Calls that it would have turned round.")
    if one.enabled and not one.hits:
        return ("· never hit", "muted", f"It decided no call in {days} days.")
    return None

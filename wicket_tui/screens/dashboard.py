"""Screen 1: what the agent does, what was denied, what waits for the person."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from rich.text import Text
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Sparkline, Static
from typing_extensions import override

from wicket_tui.screens.frame import FrameScreen
from wicket_tui.widgets.text import fitted, moment, padded, plain, prose
from wicketd.api import endpoints
from wicketd.api.snippets import snippets
from wicketd.api.types import audit, status
from wicketd.api.types.listing import Empty

WINDOWS: Final = {"1h": 1, "24h": 24, "7d": 168, "30d": 720}
"""Windows by their word, in hours."""
_DENIALS: Final = 8


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen reads."""

    stats: status.Stats
    health: status.Status
    denials: tuple[audit.AuditEntry, ...]
    mcp_url: str


class DashboardScreen(FrameScreen[Glance]):
    """Totals and their course on top, lists below, what waits at the end."""

    NAME = "dashboard"
    TOPICS = frozenset({"audit", "members", "services", "connections", "status", "policies"})

    def __init__(self) -> None:
        super().__init__()
        self.window = "24h"

    @override
    def body(self) -> Iterable[Widget]:
        yield Container(
            Static("", id="totals", markup=False),
            Sparkline([], id="allowed"),
            Sparkline([], id="denied"),
            id="course",
        )
        yield Container(
            Static("", id="tools", classes="card", markup=False),
            Static("", id="policies", classes="card", markup=False),
            id="tops",
        )
        yield Container(
            Static("", id="denials", classes="card", markup=False),
            Static("", id="waiting", classes="card", markup=False),
            id="lows",
        )

    @override
    async def fetch(self, agent: str) -> Glance:
        hours = WINDOWS[self.window]
        since = self.wicket.host.now() - timedelta(hours=hours)
        ask = status.AgentStatsAsk(
            agent=agent, since=since.isoformat(), bucket="day" if hours > 48 else "hour"
        )
        refused = audit.AuditList(agent=agent, decision="DENY", limit=_DENIALS)
        return Glance(
            stats=await self.session.call(endpoints.AGENT_STATS, ask),
            health=await self.session.call(endpoints.STATUS, Empty()),
            denials=(await self.session.call(endpoints.AUDIT_LIST, refused)).items,
            mcp_url=(await self.session.call(endpoints.CONFIG, Empty())).mcp_url,
        )

    @override
    def show(self, data: Glance) -> None:
        stats = data.stats
        self._title("#course", f"Calls, last {self.window}")
        self.query_one("#totals", Static).update(self._totals(stats))
        quiet = self.wicket.options.low_bandwidth
        for name, values in (
            ("#allowed", [one.allowed for one in stats.series]),
            ("#denied", [one.denied for one in stats.series]),
        ):
            line = self.query_one(name, Sparkline)
            line.display = not quiet and any(values)
            line.data = [float(value) for value in values]
        self._title("#tools", "Top tools")
        self._card("#tools", self._bars(stats.top_tools, "allow"), self._snippet(data.mcp_url))
        self._title("#policies", "Denying policies")
        self._card("#policies", self._bars(stats.top_denying_policies, "deny"), "Nothing denied.")
        self._title("#denials", "Last denials")
        self._card("#denials", self._denials(data.denials), "No call was denied yet.")
        self._title("#waiting", "Waits for you")
        self._card("#waiting", self._waiting(data.health), "Nothing. All quiet.")

    @override
    def chosen(self) -> dict[str, str]:
        return {"window": self.window}

    @override
    def shown_twin(self) -> str:
        return "stats --agent {agent} --since {window}" if self.agent else "status"

    def do_window_shorter(self) -> None:
        """The next shorter window."""
        self._move(-1)

    def do_window_longer(self) -> None:
        """The next longer window."""
        self._move(1)

    def do_window_denials(self) -> None:
        """The denied calls of the window, in the audit."""
        self.wicket.look_into("decision:deny", f"since:{self.window}")

    def _move(self, step: int) -> None:
        words = list(WINDOWS)
        place = words.index(self.window) + step
        if 0 <= place < len(words):
            self.window = words[place]
            self.reload()

    def _title(self, name: str, title: str) -> None:
        self.query_one(name).border_title = Content(title)

    def _card(self, name: str, lines: Sequence[Text], empty: str) -> None:
        body = Text("\n", end="").join(lines) if lines else prose(empty, self.wicket.tint("muted"))
        self.query_one(name, Static).update(body)

    def _totals(self, stats: status.Stats) -> Text:
        tint = self.wicket.tint
        speed = (
            ""
            if stats.p95_ms is None
            else f"   p50 {stats.p50_ms:.0f} ms  p95 {stats.p95_ms:.0f} ms"
        )
        return Text.assemble(
            (f"✓ {stats.allowed:,} allowed", tint("allow")),
            "   ",
            (f"✗ {stats.denied:,} denied", tint("deny")),
            (speed, tint("muted")),
            end="",
        )

    def _bars(self, counts: Sequence[status.Count], state: str) -> list[Text]:
        most = max((one.count for one in counts), default=1) or 1
        lines = []
        for one in counts[:5]:
            name = padded(fitted(plain(one.name), 20).plain, 20)
            bar = "█" * max(1, round(8 * one.count / most))
            lines.append(
                Text.assemble(
                    name, " ", (padded(bar, 8), self.wicket.tint(state)), f" {one.count:,}"
                )
            )
        return lines

    def _denials(self, entries: Sequence[audit.AuditEntry]) -> list[Text]:
        now = self.wicket.host.now()
        lines = []
        for one in entries:
            tool = fitted(plain(one.tool or one.kind), 18).plain
            who = fitted(plain(one.member_name), 16).plain
            lines.append(
                Text.assemble(
                    ("✗ ", self.wicket.tint("deny")), padded(tool, 18), " ", (who, "bold"),
                    (f" {moment(one.timestamp, now)}", self.wicket.tint("muted")),
                )
            )  # fmt: skip
        return lines

    def _waiting(self, found: status.Status) -> list[Text]:
        counts = found.counts
        rows = (
            ("members_pending", "pending", "? {} to approve: press 5"),
            ("services_flagged", "pending", "? {} services changed: press 3"),
            ("connections_broken", "deny", "✗ {} broken connections: press 5"),
            ("agents_disabled", "deny", "✗ {} agents disabled: press 2"),
        )
        lines = [
            Text(text.format(counts[name]), self.wicket.tint(state))
            for name, state, text in rows
            if counts.get(name)
        ]
        lines += [Text("✗ ", self.wicket.tint("deny")) + plain(why) for why in found.reasons]
        return lines

    def _snippet(self, url: str) -> str:
        return f"No calls yet. A client begins with:\n\n{snippets(url)['claude-code']}"

"""Screen 7: the tool sessions of the agent, newest activity first."""

from collections.abc import Sequence

from rich.text import Text
from typing_extensions import override

from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.listing import ListScreen
from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.rows import Column
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints
from wicketd.api.types import sessions


class SessionsScreen(ListScreen[sessions.Session]):
    """What each client does: calls, denials, tools, policies that decided."""

    NAME = "sessions"
    TOPICS = frozenset({"sessions", "audit", "agents"})
    COLUMNS = (
        Column("Member", 0),
        Column("State", 10),
        Column("Client", 16, from_width=70),
        Column("Calls", 6),
        Column("Denied", 7),
        Column("Active", 12),
    )
    EMPTY = (
        "No tool session yet",
        "A session begins with the first call of a client. Press 1 to see how one begins.",
    )

    @override
    async def fetch(self, agent: str) -> list[sessions.Session]:
        return await self.session.every(endpoints.SESSION_LIST, sessions.SessionList(agent=agent))

    @override
    def key(self, item: sessions.Session) -> str:
        return item.id

    @override
    def cells(self, item: sessions.Session) -> Sequence[Text]:
        denied = plain(item.denials, self.wicket.tint("deny") if item.denials else "")
        return (
            self.strong(item.member or item.member_id),
            self.state("active") if item.is_active else self.quiet("· ended"),
            plain(item.agent_type),
            plain(item.calls),
            denied,
            self.ago(item.last_activity_at),
        )

    @override
    def summary(self, items: Sequence[sessions.Session]) -> str:
        live = sum(one.is_active for one in items)
        return f"{len(items)} · {live} live"

    @override
    def detail(self, item: sessions.Session) -> tuple[str, Sequence[Pair]]:
        facts: list[Pair] = [
            ("session", plain(item.id)),
            ("client", plain(item.agent_type)),
            ("began", self.ago(item.created_at)),
            ("ended", plain(item.terminated_reason)),
        ]
        facts += [(_tool(name), plain(f"{n} calls")) for name, n in item.tools_used.items()]
        for sign, counts in (
            ("allow", item.policies_allow_counts),
            ("deny", item.policies_deny_counts),
        ):
            for policy, number in counts.items():
                text = self.state(sign).append_text(plain(f" {policy} × {number}"))  # noqa: RUF001  # the sign for times
                facts.append(("policy", text))
        return item.member or item.member_id, facts

    @override
    def chosen(self) -> dict[str, str]:
        item = self.item
        if item is None:
            return {}
        return {
            "session": item.id,
            "member": item.member or item.member_id,
            "state": "active" if item.is_active else "ended",
        }

    @override
    def shown_twin(self) -> str:
        return "session show {agent} {session}" if self.item else "session list {agent}"

    def do_session_show(self) -> None:
        """Moves to the details."""
        self.query_one("#facts").focus()

    def do_session_reset(self, _given: Confirmed) -> None:
        """Ends the session under the cursor."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def reset() -> str:
            request = sessions.SessionRef(agent=agent, session=item.id)
            await self.session.call(endpoints.SESSION_RESET, request)
            return "The session is ended; the next call begins a new one."

        self.write(reset)


def _tool(name: str) -> str:
    return plain(name.partition(":")[2] or name).plain[:24]

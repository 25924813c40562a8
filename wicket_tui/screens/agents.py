"""Screen 2: the agents and their kill switch."""

from collections.abc import Sequence

from msgspec import UNSET
from rich.text import Text
from typing_extensions import override

from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.form import Field, FormDialog, words_of
from wicket_tui.screens.listing import ListScreen
from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.rows import Column
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints
from wicketd.api.types import agents


class AgentsScreen(ListScreen[agents.Agent]):
    """Every agent that was not deleted, the chosen one marked."""

    NAME = "agents"
    TOPICS = frozenset({"agents", "policies"})
    NEEDS_AGENT = False
    COLUMNS = (
        Column("Agent", 0),
        Column("State", 11),
        Column("Trust", 10),
        Column("Zone", 16, from_width=76),
        Column("Rev", 5),
        Column("Tags", 18, from_width=100),
    )
    EMPTY = (
        "No agent yet",
        (
            "An agent is what your MCP clients connect as; one per purpose is a good start.\n\n"
            "  n   create the first agent\n"
            "  3   then enable a service on it\n"
            "  5   then invite who may use it"
        ),
    )

    @override
    async def fetch(self, agent: str) -> list[agents.Agent]:
        found = await self.session.every(endpoints.AGENT_LIST, agents.AgentList())
        return [one for one in found if one.status != "deleted"]

    @override
    def key(self, item: agents.Agent) -> str:
        return item.key

    @override
    def cells(self, item: agents.Agent) -> Sequence[Text]:
        mark = "▸ " if item.key == self.agent else "  "
        return (
            Text(mark, end="").append_text(self.strong(item.key)),
            self.state(item.status),
            plain(item.trust),
            self.quiet(item.tz),
            self.quiet(item.policy_revision),
            self.quiet(item.tags),
        )

    @override
    def summary(self, items: Sequence[agents.Agent]) -> str:
        off = sum(one.status == "disabled" for one in items)
        return f"{len(items)}" + (f" · {off} disabled" if off else "")

    @override
    def detail(self, item: agents.Agent) -> tuple[str, Sequence[Pair]]:
        facts: list[Pair] = [
            ("name", plain(item.name)),
            ("state", self.state(item.status)),
            ("trust", plain(item.trust)),
            ("sessions", plain(f"one per {item.session_scope}")),
            ("zone", plain(item.tz)),
            ("tags", plain(item.tags)),
            ("policies", plain(f"revision {item.policy_revision}")),
            (
                "created",
                self.ago(item.created_at).append_text(self.quiet(f" by {item.created_by}")),
            ),
        ]
        if item.status == "disabled":
            facts.insert(2, ("why", plain(item.disabled_reason)))
        return item.key, facts

    @override
    def chosen(self) -> dict[str, str]:
        item = self.item
        if item is None:
            return {"agent": ""}
        off = item.status == "disabled"
        return {
            "agent": item.key,
            "state": item.status,
            "switch": "enable" if off else "disable",
            "Switch": "Enable" if off else "Disable",
            "switch_effect": "Its calls are decided by its policies again."
            if off
            else "Every further call is refused at once, calls in flight end. K undoes it.",
        }

    @override
    def shown_twin(self) -> str:
        return "agent show {agent}" if self.item else "agent list"

    def do_agent_show(self) -> None:
        """Makes the agent under the cursor the one that the screens show."""
        item = self.item
        if item is not None:
            self.wicket.choose_agent(item.key)
            self.repaint_all()

    def do_agent_create(self) -> None:
        """Asks for key and name, creates the agent."""
        fields = (
            Field("key", "Key", hint="a-z, 0-9 and -; never reused"),
            Field("name", "Name", hint="what people call it"),
            Field("trust", "Trust", "trusted", choices=("trusted", "untrusted")),
            Field("tz", "Time zone", "UTC", hint="IANA, such as Europe/Berlin"),
            Field("tags", "Tags", hint="words, separated by spaces"),
        )
        self.wicket.open(
            FormDialog("New agent", fields, submit="Create", sentence=self._create_sentence)
        )

    async def _create_sentence(self, values: dict[str, str]) -> str:
        made = await self.session.call(
            endpoints.AGENT_CREATE,
            agents.AgentCreate(
                key=values["key"],
                name=values["name"] or values["key"],
                trust="untrusted" if values["trust"] == "untrusted" else "trusted",
                tz=values["tz"] or "UTC",
                tags=words_of(values["tags"]),
            ),
        )
        self.wicket.call_later(self.wicket.choose_agent, made.key)
        return f"Agent {made.key} is made. Everything is denied yet: press 3 to enable a service."

    def do_agent_edit(self) -> None:
        """Asks for the new values, changes the agent under the revision that was read."""
        item = self.item
        if item is None:
            return
        fields = (
            Field("name", "Name", item.name),
            Field("tz", "Time zone", item.tz, hint="IANA, such as Europe/Berlin"),
            Field("tags", "Tags", " ".join(item.tags), hint="words, separated by spaces"),
            Field("scope", "Sessions per", item.session_scope, choices=("conversation", "key")),
        )

        async def change(values: dict[str, str]) -> str:
            scope = values["scope"]
            request = agents.AgentUpdate(
                agent=item.key,
                name=values["name"],
                tz=values["tz"],
                tags=words_of(values["tags"]),
                session_scope=scope if scope in ("conversation", "key") else UNSET,  # type: ignore[arg-type]  # one of the two
            )
            await self.session.call(endpoints.AGENT_UPDATE, request, match=item.rev)
            return f"Agent {item.key} is changed."

        self.wicket.open(FormDialog(f"Edit {item.key}", fields, submit="Save", sentence=change))

    def do_agent_switch(self, given: Confirmed) -> None:
        """The kill switch, either way."""
        item = self.item
        if item is None:
            return
        off = item.status == "disabled"
        request = agents.AgentStatusSet(
            agent=item.key, status="active" if off else "disabled", reason=given.reason or None
        )

        async def switch() -> str:
            await self.session.call(endpoints.AGENT_STATUS, request)
            return (
                f"Agent {item.key} is active."
                if off
                else f"Agent {item.key} is disabled. K switches it on again."
            )

        self.write(switch)

    def do_agent_delete(self, given: Confirmed) -> None:
        """Deletes a disabled agent whose key was typed."""
        item = self.item
        if item is None:
            return

        async def delete() -> str:
            request = agents.AgentDelete(agent=item.key, confirm=given.typed)
            await self.session.call(endpoints.AGENT_DELETE, request, match=item.rev)
            return f"Agent {item.key} is deleted."

        self.write(delete)

    def do_agent_panic(self, given: Confirmed) -> None:
        """Disables every agent."""

        async def stop_all() -> str:
            request = agents.Panic(reason=given.reason or None)
            done = await self.session.call(endpoints.PANIC, request)
            names = ", ".join(one.key for one in done.agents) or "none, nothing was active"
            return f"Disabled: {names}. K enables them one by one."

        self.write(stop_all)

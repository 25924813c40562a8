"""Screen 3: the services of the agent: state, credential, tools by tier, drift."""

from collections.abc import Sequence

import msgspec
from rich.text import Text
from typing_extensions import override

from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.form import Field, FormDialog
from wicket_tui.screens.listing import ListScreen
from wicket_tui.screens.pick import PickDialog
from wicket_tui.screens.report import ReportDialog
from wicket_tui.screens.tools import ToolsDialog
from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.rows import Column, Row
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints
from wicketd.api.types import services


class ServicesScreen(ListScreen[services.Service]):
    """Services of the chosen agent; what drifted is marked."""

    NAME = "services"
    TOPICS = frozenset({"services", "connections", "agents"})
    COLUMNS = (
        Column("Service", 0),
        Column("State", 11),
        Column("Read", 5),
        Column("Write", 6),
        Column("Destr", 6),
        Column("Drift", 11),
        Column("Conn", 5),
        Column("Secret set", 12, from_width=100),
    )
    EMPTY = (
        "No service is enabled yet",
        (
            "Press n to choose one of the catalogue. The report comes first: its tools by tier,\n"
            "what is excluded, and the baseline policy that would be made."
        ),
    )

    @override
    async def fetch(self, agent: str) -> list[services.Service]:
        found = await self.session.every(endpoints.SERVICE_LIST, services.ServiceList(agent=agent))
        return [one for one in found if one.state != "removed"]

    @override
    def key(self, item: services.Service) -> str:
        return item.key

    @override
    def cells(self, item: services.Service) -> Sequence[Text]:
        tools = item.tools
        drift = self.state(item.drift) if item.drift == "flagged" else self.quiet(item.drift)
        return (
            self.strong(item.name or item.key),
            self.state(item.state),
            plain(tools.get("read", 0)),
            plain(tools.get("write", 0)),
            plain(tools.get("destructive", 0)),
            drift,
            self.quiet(sum(item.connections.values())),
            self.ago(item.secret_set_at),
        )

    @override
    def detail(self, item: services.Service) -> tuple[str, Sequence[Pair]]:
        states = ", ".join(f"{count} {name}" for name, count in item.connections.items())
        facts: list[Pair] = [
            ("key", plain(item.key)),
            ("state", self.state(item.state)),
            ("credential", plain(item.credential)),
            ("secret set", self.ago(item.secret_set_at)),
            ("connections", plain(states)),
            ("drift", self.state(item.drift)),
            ("tools read", self.ago(item.discovered_at)),
            ("MCP", plain(item.era)),
            ("callback", plain(item.callback_url)),
        ]
        if item.last_error:
            facts.insert(2, ("error", plain(item.last_error, self.wicket.tint("deny"))))
        return item.name or item.key, facts

    @override
    def chosen(self) -> dict[str, str]:
        item = self.item
        if item is None:
            return {}
        return {"service": item.key, "state": item.state, "callback": item.callback_url or ""}

    @override
    def shown_twin(self) -> str:
        return "service show {agent} {service}" if self.item else "service list {agent}"

    def do_service_tools(self) -> None:
        """The tools of the service under the cursor."""
        item, agent = self.item, self.agent
        if item is not None and agent is not None:
            self.wicket.open(ToolsDialog(agent, item.key, only_open=False))

    def do_service_drift(self) -> None:
        """The changes that wait for a review."""
        item, agent = self.item, self.agent
        if item is not None and agent is not None:
            self.wicket.open(ToolsDialog(agent, item.key, only_open=True))

    def do_service_callback(self) -> None:
        """Copies the URL to register at the provider."""
        item = self.item
        if item is not None and item.callback_url:
            self.wicket.clip(item.callback_url)

    def do_service_enable(self) -> None:
        """Chooses a connector of the catalogue."""

        async def read() -> None:
            asked = services.CatalogueList()
            found = await self.session.every(endpoints.CATALOGUE_LIST, asked)
            self.app.call_later(self._choose_connector, found)

        self.write(read)

    def _choose_connector(self, found: list[services.Connector]) -> None:
        rows = [
            Row(one.key, (plain(one.name, "bold"), plain(one.credential), plain(one.address)))
            for one in found
        ]
        columns = (Column("Connector", 18), Column("Credential", 12), Column("Address", 0))
        picker = PickDialog("Enable which service?", columns, rows, hint="enter shows the report")
        self.wicket.open(picker, lambda key: None if key is None else self._ask_report(key))

    def _ask_report(self, key: str) -> None:
        agent = self.agent
        if agent is None:
            return
        request = services.ServicePut(agent=agent, service=key, dry_run=True)

        async def report() -> None:
            found = await self.session.call(endpoints.SERVICE_PUT, request)
            self.app.call_later(self._show_report, found, request)

        self.write(report)

    def _show_report(self, found: services.EnableReport, request: services.ServicePut) -> None:
        def decide(allow: str | None) -> None:
            if allow in ("read", "write", "all"):
                wanted = msgspec.structs.replace(request, dry_run=False, allow=allow)
                self.write(lambda: self._enable(wanted))

        self.wicket.open(ReportDialog(request.service, found), decide)

    async def _enable(self, request: services.ServicePut) -> str:
        done = await self.session.call(endpoints.SERVICE_PUT, request)
        made = ", ".join(done.baselines) or "none"
        return f"{request.service} is enabled. Baseline policies made: {made}."

    def do_service_discover(self) -> None:
        """Lists the server's tools now."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return
        key = item.key

        async def discover(values: dict[str, str]) -> str:
            request = services.Discover(agent=agent, service=key, bearer=values["bearer"] or None)
            found = await self.session.call(endpoints.SERVICE_DISCOVER, request)
            return (
                f"{key}: {found.total} tools, {len(found.added)} new, "
                f"{len(found.changed)} changed, {len(found.removed)} gone."
            )

        field = Field(
            "bearer", "One-off token", hint="only if the server wants one", is_secret=True
        )
        intro = "The token is used once and never stored."
        self.wicket.open(
            FormDialog(
                f"Discover {key}", (field,), submit="Discover", sentence=discover, intro=intro
            )
        )

    def do_service_credentials(self) -> None:
        """Stores the OAuth app of the service; nothing ever shows it again."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def keep(values: dict[str, str]) -> str:
            request = services.CredentialsPut(
                agent=agent,
                service=item.key,
                client_id=values["client_id"],
                client_secret=values["client_secret"],
            )
            await self.session.call(endpoints.SERVICE_CREDENTIALS, request, match=item.rev)
            return f"The OAuth app of {item.key} is sealed."

        fields = (
            Field("client_id", "Client id"),
            Field("client_secret", "Client secret", is_secret=True),
        )
        intro = "It is sealed at once and never shown. Register the callback with u first."
        self.wicket.open(
            FormDialog(
                f"OAuth app of {item.key}", fields, submit="Store", sentence=keep, intro=intro
            )
        )

    def do_service_disable(self, _given: Confirmed) -> None:
        """Refuses every further call of the service."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def disable() -> str:
            request = services.ServicePut(agent=agent, service=item.key, enabled=False)
            await self.session.call(endpoints.SERVICE_PUT, request)
            return f"{item.key} is disabled. n enables it again."

        self.write(disable)

    def do_service_remove(self, _given: Confirmed) -> None:
        """Removes the disabled service whose key was typed."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def remove() -> str:
            request = services.ServiceRemove(agent=agent, service=item.key, purge=True)
            await self.session.call(endpoints.SERVICE_REMOVE, request)
            return f"{item.key} is removed."

        self.write(remove)

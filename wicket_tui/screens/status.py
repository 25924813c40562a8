"""Screen 8: the daemon about itself: health, audit head, keyring, settings."""

from collections.abc import Iterable

import msgspec
from textual.containers import Container
from textual.widget import Widget
from typing_extensions import override

from wicket_tui.screens.frame import FrameScreen
from wicket_tui.widgets.facts import FactSheet, Pair
from wicket_tui.widgets.text import meaning, moment, plain, stated
from wicketd.api import endpoints
from wicketd.api.types import status
from wicketd.api.types.listing import Empty


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen reads."""

    health: status.Status
    config: status.Config
    keyring: status.Keyring


class StatusScreen(FrameScreen[Condition]):
    """Health and audit on the left, settings on the right."""

    NAME = "status"
    TOPICS = frozenset({"status", "audit"})
    NEEDS_AGENT = False

    @override
    def body(self) -> Iterable[Widget]:
        health, settings = FactSheet("health"), FactSheet("settings")
        health.jump, settings.jump = "Health", "Settings"
        yield Container(health, settings, id="split")

    @override
    async def fetch(self, agent: str) -> Condition:
        return Condition(
            health=await self.session.call(endpoints.STATUS, Empty()),
            config=await self.session.call(endpoints.CONFIG, Empty()),
            keyring=await self.session.call(endpoints.KEYRING, Empty()),
        )

    @override
    def show(self, data: Condition) -> None:
        now = self.wicket.host.now()
        found, ring = data.health, data.keyring
        state = plain(stated(found.state), self.wicket.tint(meaning(found.state)))
        signed = found.checkpoint
        total = ring.rewrapped + ring.to_rewrap
        facts: list[Pair] = [
            ("daemon", state.append_text(plain(f"  {found.version}"))),
            *(("why", plain(reason)) for reason in found.reasons),
            ("up since", plain(moment(found.started_at, now))),
            ("audit rows", plain(f"{found.audit_seq:,}")),
            ("audit head", plain((found.audit_hash or "-")[:24])),
            (
                "checkpoint",
                plain(f"{signed.size:,} rows, {moment(signed.at, now)}" if signed else "none: c"),
            ),
            ("keyring", plain(f"{ring.active}, {ring.rewrapped} of {total} rows under it")),
            ("socket", plain(self.session.socket)),
            *((name.replace("_", " "), plain(number)) for name, number in found.counts.items()),
            *(
                (name.replace("_", " "), plain(f"{service} {value}"))
                for name in ("unavailable", "stdio_servers")
                for service, value in found.details.get(name, {}).items()
            ),
        ]
        self.query_one("#health", FactSheet).tell("Health", facts)
        settings = [
            (item.key, plain("set" if item.value is True else item.value))
            for item in data.config.settings
        ]
        self.query_one("#settings", FactSheet).tell(
            f"Settings of {data.config.file or 'the defaults'}", settings
        )
        if self.focused is None:
            self.query_one("#health").focus()

    @override
    def shown_twin(self) -> str:
        return "status"

    def do_catalogue_reload(self) -> None:
        """Reads the connector files again."""

        async def read() -> str:
            done = await self.session.call(endpoints.CATALOGUE_RELOAD, Empty())
            changes = ", ".join(f"{one.key} {one.change}" for one in done.changes)
            return f"Catalogue read again: {changes or 'nothing changed'}."

        self.write(read)

    def do_audit_checkpoint(self) -> None:
        """Signs the log as it stands."""

        async def sign() -> str:
            made = await self.session.call(endpoints.CHECKPOINT_MAKE, Empty())
            return f"Signed: {made.size:,} rows."

        self.write(sign)

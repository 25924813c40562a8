"""The palette: every action of the registry that this screen has, and the agents."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from typing_extensions import override

from wicket_tui.actions import shown_key
from wicket_tui.keymap import EVERYWHERE, of_screen
from wicketd.api.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wicket_tui.app import WicketApp


class Palette(Provider):
    """Actions and objects by name."""

    @override
    async def discover(self) -> Hits:
        for name, text, run in self._all():
            yield DiscoveryHit(Content(name), run, text=name, help=text)

    @override
    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, text, run in self._all():
            score = matcher.match(f"{name} {text}")
            if score > 0:
                yield Hit(score, Content(name), run, text=name, help=text)

    def _all(self) -> "Iterator[tuple[str, str, Callable[[], None]]]":
        app = cast("WicketApp", self.app)  # the only app with this provider
        own = of_screen(app.frame.NAME) if app.frame else ()
        for action in (*own, *EVERYWHERE):
            if action.id != "palette.open":
                key = shown_key(app.key_of(action))
                name = f"{action.label}  ({key})"
                yield name, _without_markup(action.help), partial(app.action_run, action.id)
        for agent in app.agents:
            name = f"Agent {safe_text(agent.key)}"
            yield name, "Show this agent.", partial(app.choose_agent, agent.key)


def _without_markup(text: str) -> str:
    """Texts of the registry hold no brackets; what is shown beside a hit is read as markup."""
    return text.replace("[", "\\[")

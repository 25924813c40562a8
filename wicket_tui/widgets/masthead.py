"""The two lines on top of every screen: where you are, whether you may write, the screens."""

from dataclasses import dataclass
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from typing_extensions import override

from wicket_tui.widgets.text import fitted, plain

SCREENS: Final = (
    "dashboard", "agents", "services", "policies", "members", "audit", "sessions", "status",
)  # fmt: skip
"""The eight screens in the order of their keys 1 to 8."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the first line says. `mode`: READ-ONLY or WRITE; `link`: the connection in a word."""

    host: str = ""
    agent: str | None = None
    revision: int | None = None
    mode: str = ""
    link: str = "connecting"
    clock: str = ""


class Masthead(Widget):
    """One line: product, host, agent, revision; permission, connection, clock in its zone.

    | class | what |
    | :- | :- |
    | `masthead--name` | the product's name |
    | `masthead--quiet` | what is only for orientation |
    | `masthead--allow`, `masthead--deny`, `masthead--pending` | state of link and permission |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "masthead--name",
        "masthead--quiet",
        "masthead--allow",
        "masthead--deny",
        "masthead--pending",
    }

    facts: reactive[Facts] = reactive(Facts())

    @override
    def render(self) -> RenderResult:
        """The line, cut in its middle where the terminal is narrow."""
        facts = self.facts
        right = self._right(facts)
        room = max(self.size.width - right.cell_len - 2, 8)
        left = Text.assemble((" ◆ wicket ", self._style("name")), end="", no_wrap=True)
        left.append(" ")
        left.append_text(plain(facts.host or "-", self._style("quiet")))
        if facts.agent:
            left.append(" \u203a ", self._style("quiet"))
            left.append_text(plain(facts.agent, Style(bold=True)))
        if facts.revision is not None:
            left.append(f" · rev {facts.revision}", self._style("quiet"))
        left = fitted(left, room)
        left.append(" " * max(self.size.width - left.cell_len - right.cell_len, 1))
        return left.append_text(right)

    def _right(self, facts: Facts) -> Text:
        state = {"online": "allow", "connecting": "pending"}.get(facts.link, "deny")
        sign = {"allow": "●", "pending": "◌", "deny": "✗"}[state]
        right = Text(end="", no_wrap=True)
        if facts.mode:
            style = self._style("allow" if facts.mode == "WRITE" else "pending")
            right.append(f"{facts.mode}  ", style)
        right.append(f"{sign} {facts.link}", self._style(state))
        right.append(f"  {facts.clock} ", self._style("quiet"))
        return right

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"masthead--{name}", partial=True)


class Places(Widget):
    """The screens with their keys; the one that is shown stands out.

    | class | what |
    | :- | :- |
    | `places--key` | the key of a screen |
    | `places--here` | the screen that is shown |
    | `places--count` | how many things wait there |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"places--key", "places--here", "places--count"}

    waiting: reactive[dict[str, int]] = reactive(dict)
    """Screen to the number of things that wait for the person there."""

    class Chosen(Message):
        """A screen was clicked."""

        def __init__(self, screen: str) -> None:
            super().__init__()
            self.screen = screen

    def __init__(self, here: str) -> None:
        super().__init__()
        self.here = here

    @override
    def render(self) -> RenderResult:
        """All names where they fit, else the digits and the name of the one that is shown."""
        line = self._line(short=False)
        return line if line.cell_len <= self.size.width else self._line(short=True)

    def _line(self, *, short: bool) -> Text:
        line = Text(end="", no_wrap=True)
        here = self.get_component_rich_style("places--here", partial=True)
        for number, name in enumerate(SCREENS, start=1):
            is_here = name == self.here
            meta = Style(meta={"place": name})
            label = "" if short and not is_here else f" {name.capitalize()}"
            if is_here:
                line.append(f"{number}{label}", here + meta)
            else:
                key = self.get_component_rich_style("places--key", partial=True)
                line.append(str(number), key + meta)
                line.append(label, meta)
            if self.waiting.get(name):
                count = self.get_component_rich_style("places--count", partial=True)
                line.append("●", count)
            elif number < len(SCREENS):
                line.append(" ")
        return line

    def on_click(self, event: Click) -> None:
        """Goes to the screen under the mouse."""
        place = event.style.meta.get("place")
        if isinstance(place, str):
            self.post_message(self.Chosen(place))

"""The last line: at most eight actions of the screen, safest first; a refused one is dimmed."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from typing_extensions import override

from wicket_tui.actions import Action, shown_key


@dataclass(frozen=True, slots=True)
class Offer:
    """One action as it is offered now. `key`: after the user's own key map."""

    action: Action
    key: str
    is_refused: bool


class Offers(Widget):
    """The footer.

    | class | what |
    | :- | :- |
    | `offers--key` | a key |
    | `offers--refused` | key and label of an action that cannot run now |
    | `offers--danger` | the key of an action that asks first |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"offers--key", "offers--refused", "offers--danger"}

    offers: reactive[tuple[Offer, ...]] = reactive(())

    class Pressed(Message):
        """An action was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    @override
    def render(self) -> RenderResult:
        """What fits: the last offer, help, always does."""
        *rest, last = (self._offer(offer) for offer in self.offers) if self.offers else (Text(),)
        room = self.size.width - last.cell_len - 1
        line = Text(" ", end="", no_wrap=True)
        for offer in rest:
            if line.cell_len + offer.cell_len > room:
                continue
            line.append_text(offer)
        return line.append_text(last)

    def _offer(self, offer: Offer) -> Text:
        meta = Style(meta={"offer": offer.action.id})
        name = "danger" if offer.action.danger else "key"
        key = self.get_component_rich_style(f"offers--{name}", partial=True)
        text = Style()
        if offer.is_refused:
            key = text = self.get_component_rich_style("offers--refused", partial=True)
        return Text.assemble(
            (shown_key(offer.key), key + meta), (f" {offer.action.label}  ", text + meta), end=""
        )

    def on_click(self, event: Click) -> None:
        """Does what is under the mouse."""
        action = event.style.meta.get("offer")
        if isinstance(action, str):
            self.post_message(self.Pressed(action))

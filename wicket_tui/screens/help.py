"""Every key of a screen, searchable, with the command that does the same; `y` copies that."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static
from typing_extensions import override

from wicket_tui.actions import Action, Here, refusal, shown_key, twin_of
from wicket_tui.keymap import EVERYWHERE, of_screen
from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import plain, prose


class HelpDialog(Dialog[str]):
    """The actions; it is dismissed with the id of the one to run."""

    TITLE = "Keys of this screen"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", show=False),
        Binding("slash", "search", show=False),
        Binding("down", "list", show=False),
    ]

    def __init__(self, here: Here) -> None:
        super().__init__()
        self._here = here
        self._actions = (*of_screen(here.screen), *EVERYWHERE)

    @override
    def content(self) -> ComposeResult:
        yield Input(placeholder="search: a word of what you want to do", id="search", compact=True)
        yield Rows((Column("Key", 9), Column("Does", 15), Column("Explained", 0)), id="keys")
        yield Static("", id="explained", markup=False)
        yield Static(
            plain("enter does it · y copies the command · esc closes", self.wicket.tint("muted"))
        )

    def on_mount(self) -> None:
        """Everything is shown first."""
        self._fill("")
        self.query_one(Rows).focus()

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted)
    def action_list(self) -> None:
        """From the search to the list."""
        self.query_one(Rows).focus()

    def action_search(self) -> None:
        """From the list to the search."""
        self.query_one(Input).focus()

    @on(Rows.RowHighlighted)
    def _follow(self) -> None:
        action = self._chosen
        if action is None:
            return
        lines = [f"{action.help} · {action.id}"]
        why = refusal(action, self._here)
        if why:
            lines.append(f"Not now: {why}")
        twin = twin_of(action, self._here.chosen)
        if twin:
            lines.append(f"$ {twin}")
        self.query_one("#explained", Static).update(prose("\n".join(lines)))

    @on(Rows.RowSelected)
    def _run(self) -> None:
        self.answer(self.query_one(Rows).chosen)

    def action_copy(self) -> None:
        """Copies the command of the action under the cursor."""
        action = self._chosen
        twin = twin_of(action, self._here.chosen) if action else None
        if twin is None:
            self.wicket.toast("This key only moves about: no command does the same.")
        else:
            self.wicket.clip(twin)

    @property
    def _chosen(self) -> Action | None:
        key = self.query_one(Rows).chosen
        return next((action for action in self._actions if action.id == key), None)

    def _fill(self, words: str) -> None:
        wanted = words.lower().split()
        rows = []
        for action in self._actions:
            key = shown_key(self.wicket.key_of(action))
            text = f"{key} {action.label} {action.help} {action.twin or ''}".lower()
            if all(word in text for word in wanted):
                cells = (plain(key, "bold"), plain(action.label), plain(action.help))
                rows.append(Row(action.id, cells))
        self.query_one(Rows).fill(rows)

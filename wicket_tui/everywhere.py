"""What the keys that work on every screen do: help, palette, jump, copy, log, theme, quit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from rich.style import Style
from textual import on, work
from textual.app import App
from textual.command import CommandPalette
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from wicket_tui.actions import Action, twin_of
from wicket_tui.faults import fault_of
from wicket_tui.keymap import BY_ID
from wicket_tui.screens.audit import AuditScreen
from wicket_tui.screens.help import HelpDialog
from wicket_tui.screens.listing import ListScreen
from wicket_tui.screens.pick import PickDialog
from wicket_tui.styles.themes import THEMES
from wicket_tui.widgets.jump import JumpScreen, panes
from wicket_tui.widgets.masthead import SCREENS
from wicket_tui.widgets.rows import Column, Row
from wicket_tui.widgets.text import meaning, plain, stated
from wicketd.api.text import safe_message, safe_text

if TYPE_CHECKING:
    from wicket_tui.app import WicketApp


A = TypeVar("A")


class Everywhere(App[None]):
    """The part of the app that answers the rows of the registry without a screen."""

    @property
    def _wicket(self) -> "WicketApp":
        return cast("WicketApp", self)  # its only subclass

    def open(
        self, dialog: ModalScreen[A], answered: Callable[[A | None], None] | None = None
    ) -> None:
        """Puts a dialog over the screen; `answered` gets what it is dismissed with."""
        _ = self.push_screen(dialog, answered)

    def go(self, name: str) -> None:
        """Shows one of the eight screens."""
        _ = self.switch_screen(name)

    def seek(self, name: str, key: str) -> None:
        """Shows one of the lists with the cursor on the row of this key."""
        target = self._wicket.get_screen(name)
        if isinstance(target, ListScreen):
            target.sought = key
            target.is_stale = True
        self.go(name)

    def look_up(self, ref: str | None) -> None:
        """Shows an entry of the audit; None: there was none to show."""
        if ref is not None:
            self.look_into(f"ref:{ref}")

    @work(exclusive=True, group="look_into", exit_on_error=False)
    async def look_into(self, *words: str) -> None:
        """Shows the entries of the audit that these terms of its filter find."""
        await self.switch_screen("audit")
        frame = self._wicket.frame
        if isinstance(frame, AuditScreen):
            frame.ask(*words)

    def toast(
        self, text: str, *, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """Says something in passing; nothing in it is read as markup."""
        self.notify(safe_message(text), severity=severity, markup=False, timeout=6)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Says a fault of a task of the app; screens and dialogs hand on those of their own."""
        fault = fault_of(event)
        if fault is not None:
            self.toast(f"{fault.message}\n{fault.hint}", severity="error")

    def tint(self, name: str) -> Style:
        """The colour of a theme variable for texts in lists."""
        value = self.theme_variables.get(name, "")
        if value.startswith("ansi_"):
            colour = value.removeprefix("ansi_")
            return Style(color=None if colour == "default" else colour, bold=name != "muted")
        return Style(color=value or None)

    def do_help_open(self) -> None:
        """Every key of the screen."""
        frame = self._wicket.frame
        if frame is not None:
            self.open(HelpDialog(frame.here()), self._run_chosen)

    def _run_chosen(self, name: str | None) -> None:
        if name is not None:
            self._wicket.action_run(name)

    def do_palette_open(self) -> None:
        """Finds by typing."""
        _ = self.push_screen(CommandPalette(id="palette"))

    def do_jump_open(self) -> None:
        """A letter on each pane."""
        targets = panes(list(self.screen.query("*").results(Widget)))
        self.open(JumpScreen(targets), self._focus_pane)

    def _focus_pane(self, pane: Widget | None) -> None:
        if pane is not None:
            pane.focus()

    def do_command_copy(self) -> None:
        """Copies the command that shows the same."""
        self.clip(self.command())

    def clip(self, text: str) -> None:
        """To the terminal's clipboard and, where terminals drop that, to a file of one's own."""
        self.copy_to_clipboard(text)
        file = self._wicket.host.keep_clipboard(text)
        also = f"\nAlso in {file}" if file else ""
        self._wicket.toast(f"Copied: {safe_text(text, limit=120)}{also}")

    def command(self) -> str:
        """The command that shows what the screen shows."""
        frame = self._wicket.frame
        text = (frame.shown_twin() if frame else "") or "status"
        row = Action(id="", keys=(), label="", help="", twin=text)
        return twin_of(row, frame.here().chosen if frame else {}) or ""

    def do_log_open(self) -> None:
        """The commands that were sent."""
        sent = list(self._wicket.session.log)[::-1]
        rows = [
            Row(str(index), (plain(one.command), plain(one.outcome), plain(f"{one.ms} ms")))
            for index, one in enumerate(sent)
        ]
        columns = (Column("Sent, newest first", 0), Column("Outcome", 14), Column("Took", 8))
        hint = "enter copies the command · esc goes back"
        picker = PickDialog("Command log", columns, rows, hint=hint)
        self.open(picker, lambda key: None if key is None else self.clip(sent[int(key)].command))

    def do_theme_choose(self) -> None:
        """Tries the themes on the screen itself."""
        before = self.theme
        rows = [Row(name, (plain(name, "bold"),)) for name in THEMES]

        def decide(name: str | None) -> None:
            self._use_theme(name or before)

        picker = PickDialog(
            "Theme", (Column("Theme", 0),), rows, chosen=before, preview=self._use_theme
        )
        self.open(picker, decide)

    def _use_theme(self, name: str) -> None:
        if name in self.available_themes and name != self.theme:
            self.theme = name
            frame = self._wicket.frame
            if frame is not None:
                frame.call_after_refresh(frame.repaint_all)
            self._wicket.age_others()

    def age_others(self) -> None:
        """The screens that are not shown are read and painted anew when they are."""
        for screen in self._wicket.frames():
            screen.is_stale = screen.is_stale or screen is not self._wicket.frame

    @on(DescendantFocus)
    def _hold_cursor(self, event: DescendantFocus) -> None:
        """A cursor that blinks sends bytes all the time, which a slow line cannot spare."""
        if self._wicket.options.low_bandwidth and isinstance(event.widget, Input):
            event.widget.cursor_blink = False

    def do_agent_choose(self) -> None:
        """Chooses the agent that the screens show."""
        app = self._wicket
        rows = [
            Row(
                one.key,
                (plain(one.key, "bold"), plain(stated(one.status), app.tint(meaning(one.status)))),
            )
            for one in app.agents
        ]
        picker = PickDialog(
            "Agent", (Column("Agent", 0), Column("State", 12)), rows, chosen=app.agent
        )
        self.open(picker, lambda key: None if key is None else app.choose_agent(key))

    def do_screen_reload(self) -> None:
        """Reads again, or tries to connect at once."""
        self._wicket.session.hurry()
        self.reload_screen()

    def reload_screen(self) -> None:
        """Reads again what the screen shows."""
        frame = self._wicket.frame
        if frame is not None:
            frame.reload()

    def do_go_back(self) -> None:
        """One step back: the filter, then home."""
        frame = self._wicket.frame
        if frame is not None and frame.step_back():
            return
        if frame is not None and SCREENS[0] != frame.NAME:
            self.go(SCREENS[0])

    def do_app_quit(self) -> None:
        """Leaves."""
        self.exit()

    def press_key(self, key: str) -> None:
        """Does what a key of the screen means; for widgets that take the key themselves."""
        app = self._wicket
        frame = app.frame
        for action in BY_ID.values():
            own = frame is not None and frame.NAME in action.where
            if own and key in app.keys_of(action):
                app.action_run(action.id)
                return

"""The terminal app: screens, themes, keys, the session with the daemon. No screen logic here.

A screen plugs in with one line in `SCREENS`, its rows in `keymap`, and `screens/<name>.py` beside
`screens/<name>.tcss`. Source: terminal app specification, section 2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from textual import on, work
from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen
from typing_extensions import override

from wicket_tui.actions import Action, Here, question, refusal, remapped
from wicket_tui.client import CallFailed, Changed, Link, Moved, Session, Told
from wicket_tui.commands import Palette
from wicket_tui.everywhere import Everywhere
from wicket_tui.host import Host
from wicket_tui.keymap import BY_ID, EVERYWHERE
from wicket_tui.messages import AgentsKnown, Heard
from wicket_tui.options import Options
from wicket_tui.screens.agents import AgentsScreen
from wicket_tui.screens.audit import AuditScreen
from wicket_tui.screens.confirm import ConfirmDialog, Confirmed
from wicket_tui.screens.dashboard import DashboardScreen
from wicket_tui.screens.frame import FrameScreen, bindings_of
from wicket_tui.screens.members import MembersScreen
from wicket_tui.screens.policies import PoliciesScreen
from wicket_tui.screens.services import ServicesScreen
from wicket_tui.screens.sessions import SessionsScreen
from wicket_tui.screens.status import StatusScreen
from wicket_tui.styles.themes import DEFAULT, FALLBACKS, PLAIN, THEMES
from wicket_tui.widgets.masthead import SCREENS
from wicketd.api import endpoints
from wicketd.api.types.agents import Agent, AgentList

REFRESH_S: Final = 0.25
"""Changes are put together this long (4 times a second); in low-bandwidth mode 1 s."""


class WicketApp(Everywhere, App[None]):
    """The app. `host`: the machine it runs on."""

    TITLE = "wicket"
    CSS_PATH = [  # noqa: RUF012  # Textual declares it so
        "styles/app.tcss",
        "styles/dialogs.tcss",
        "styles/editor.tcss",
    ]
    SCREENS: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {
        "dashboard": DashboardScreen,
        "agents": AgentsScreen,
        "services": ServicesScreen,
        "policies": PoliciesScreen,
        "members": MembersScreen,
        "audit": AuditScreen,
        "sessions": SessionsScreen,
        "status": StatusScreen,
    }
    COMMANDS: ClassVar[set[Any]] = {Palette}
    ENABLE_COMMAND_PALETTE = False
    """Opened by our own row of the registry."""
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of(EVERYWHERE)]

    def __init__(self, options: Options, host: Host | None = None) -> None:
        super().__init__()
        self.options = options
        self.host = host or Host()
        self.session = Session(options.socket, self._hear, read_only=options.read_only)
        self.agents: list[Agent] = []
        self.knows_agents = False
        self.agent: str | None = options.agent
        self._changed: set[str] = set()
        self._link = Link.CONNECTING
        self._keys: dict[str, tuple[str, ...]] = {}
        self.retry_at: float = 0.0
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = self._first_theme()
        if options.low_bandwidth:
            self.animation_level = "none"

    @override
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(FALLBACKS)

    @property
    def frame(self) -> FrameScreen[Any] | None:
        """The screen that is shown, under whatever dialog."""
        shown = [one for one in self.screen_stack if isinstance(one, FrameScreen)]
        return shown[-1] if shown else None

    async def on_mount(self) -> None:
        """The first screen is painted before the session begins."""
        self._read_keys()
        await self.push_screen(SCREENS[self.options.screen - 1])
        self.set_interval(1.0, self._tick)
        self.set_interval(1.0 if self.options.low_bandwidth else REFRESH_S, self._apply_changes)
        self.call_after_refresh(self._hold)

    async def on_unmount(self) -> None:
        """The session ends with the app."""
        self.workers.cancel_all()
        await self.session.close()

    @work(exclusive=True, group="session", exit_on_error=False)
    async def _hold(self) -> None:
        await self.session.run()

    def _hear(self, told: Told) -> None:
        self.post_message(Heard(told))

    @on(Heard)
    def _take(self, event: Heard) -> None:
        match event.told:
            case Moved(standing=standing):
                self.retry_at = self.host.now().timestamp() + standing.retry_s
                self._tell_all()
                came, self._link = standing.link is not self._link, standing.link
                if came and standing.link is Link.ONLINE:
                    self._changed.add("*")
                    self._apply_changes()
            case Changed(topics=topics, resync=resync):
                self._changed |= {"*"} if resync else topics

    def _apply_changes(self) -> None:
        """Reads what changed: the screen that is shown at once, the others when they are shown."""
        if not self._changed or self.session.standing.link is not Link.ONLINE:
            return
        changed, self._changed = self._changed, set()
        everything = "*" in changed
        if everything or changed & {"agents", "policies"}:
            self._read_agents()
        if everything or changed & {"status", "members", "services", "connections", "agents"}:
            self._read_health()
        for screen in self.frames():
            if everything or changed & screen.TOPICS:
                screen.reload()

    @work(exclusive=True, group="agents", exit_on_error=False)
    async def _read_agents(self) -> None:
        try:
            found = await self.session.every(endpoints.AGENT_LIST, AgentList())
        except CallFailed:
            return
        self.post_message(AgentsKnown(found))

    @work(exclusive=True, group="health", exit_on_error=False)
    async def _read_health(self) -> None:
        try:
            await self.session.refresh()
        except CallFailed:
            return

    @on(AgentsKnown)
    def _know_agents(self, event: AgentsKnown) -> None:
        self.agents = [agent for agent in event.agents if agent.status != "deleted"]
        self.knows_agents = True
        keys = [agent.key for agent in self.agents]
        if self.agent not in keys:
            wanted = next((a.key for a in self.agents if a.id == self.agent), None)
            self.agent = wanted or (keys[0] if keys else None)
            if self.frame is not None:
                self.frame.reload()
        self._tell_all()

    def choose_agent(self, key: str) -> None:
        """Shows this agent on every screen."""
        self.agent = key
        self.age_others()
        self._read_agents()
        self._tell_all()
        if self.frame is not None:
            self.frame.reload()

    def action_run(self, name: str) -> None:
        """Does an action of the registry: refused with a sentence, asked for, or done."""
        action, frame = BY_ID[name], self.frame
        if frame is None:
            return
        here = frame.here()
        why = refusal(action, here)
        if why is not None:
            self.toast(why, severity="warning")
        elif action.danger:
            self.open(ConfirmDialog(action, here.chosen), partial(self._answered, action, here))
        else:
            self._perform(action)

    def _answered(self, action: Action, asked: Here, given: Confirmed | None) -> None:
        """Does it after a yes, unless the list moved under the dialog: another would suffer."""
        if given is None or self.frame is None:
            return
        if question(action, self.frame.here().chosen) == question(action, asked.chosen):
            self._perform(action, given)
        else:
            self.toast("What you were asked about has changed: nothing was done. Look again.")

    def _perform(self, action: Action, *given: Any) -> None:
        if action.id.startswith("go.") and action.id != "go.back":
            self.go(action.id.removeprefix("go."))
            return
        target = self.frame if action.where else self
        getattr(target, action.method)(*given)

    @override
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the screen do not work through a dialog."""
        if action == "run" and not isinstance(self.screen, FrameScreen):
            return False
        return super().check_action(action, parameters)

    def keys_of(self, action: Action) -> tuple[str, ...]:
        """The keys of an action, after the user's key map."""
        return self._keys.get(action.id, action.keys)

    def key_of(self, action: Action) -> str:
        """The first key of an action, after the user's key map."""
        return self.keys_of(action)[0]

    def _tell_all(self) -> None:
        for screen in self.frames():
            screen.tell()

    def _tick(self) -> None:
        if self.frame is not None and self.frame.is_built:
            self.frame.tell()

    def frames(self) -> list[FrameScreen[Any]]:
        """The screens that were shown, in whatever state."""
        kept = {*self._installed_screens.values(), *self.screen_stack}
        return [one for one in kept if isinstance(one, FrameScreen) and one.is_built]

    def _first_theme(self) -> str:
        if self.options.theme is not None:
            return self.options.theme
        return PLAIN if self.host.has_no_colour else DEFAULT

    def _read_keys(self) -> None:
        """The user's own keys; what is wrong in the file is said and left out."""
        try:
            self._keys, wrong = remapped(self.host.keys(), BY_ID)
        except ValueError as error:
            wrong = [str(error)]
        self.set_keymap({name: ",".join(keys) for name, keys in self._keys.items()})
        if wrong:
            self.toast("keys.toml: " + "; ".join(wrong) + ".", severity="warning")

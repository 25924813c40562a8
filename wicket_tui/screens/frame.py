"""What every screen of the app has: masthead, banner, body, footer, and how data gets into it.

A screen names itself, builds `body()`, reads in `fetch` (a worker that touches no widget) and shows
in `show`. Everything else is done here: workers, the four states, staleness, the footer.
Source: terminal app specification, section 2.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker
from typing_extensions import override

from wicket_tui.actions import Action, Here, refusal
from wicket_tui.client import CallFailed, Link, Problem, Session
from wicket_tui.faults import fault_of
from wicket_tui.keymap import footer_of, of_screen
from wicket_tui.widgets.banner import Banner, trouble_of
from wicket_tui.widgets.footer import Offer, Offers
from wicket_tui.widgets.masthead import Facts, Masthead, Places
from wicket_tui.widgets.panel import Panel
from wicket_tui.widgets.text import moment

if TYPE_CHECKING:
    from wicket_tui.app import WicketApp

D = TypeVar("D")

NO_AGENT: Final = (
    "No agent yet",
    (
        "An agent is what your MCP clients connect as. Press 2, then n to create one.\n"
        "Then 3 enables a service, and 5 invites who may use it."
    ),
)


def bindings_of(actions: Iterable[Action]) -> list[Binding]:
    """The bindings of rows of the registry."""
    return [
        Binding(
            ",".join(action.keys),
            f"app.run('{action.id}')",
            action.label,
            id=action.id,
            tooltip=action.help,
            show=False,
        )
        for action in actions
    ]


class FrameScreen(Screen[None], Generic[D]):
    """One of the eight screens. `NAME`: as in the registry; `TOPICS`: events that change it."""

    NAME: ClassVar[str]
    PLACE: ClassVar[str] = ""
    """The one of the eight that it belongs to, if it is none itself."""
    TOPICS: ClassVar[frozenset[str]] = frozenset()
    NEEDS_AGENT: ClassVar[bool] = True
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it so
        (0, "-tiny"),
        (60, "-narrow"),
        (80, "-normal"),
        (120, "-wide"),
        (160, "-widest"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it so
        (0, "-short"),
        (15, "-tall"),
    ]

    class Loaded(Message):
        """A read ended. `agent`: whose data it is."""

        def __init__(self, agent: str | None, data: Any) -> None:
            super().__init__()
            self.agent = agent
            self.data = data

    class Failed(Message):
        """A read had no success."""

        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    class Done(Message):
        """A write succeeded. `sentence`: what is different now."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    @override
    def __init_subclass__(cls, **arguments: Any) -> None:
        """Takes the screen's keys from the registry."""
        if "NAME" in cls.__dict__:
            cls.BINDINGS = [*bindings_of(of_screen(cls.NAME))]
        super().__init_subclass__(**arguments)

    def __init__(self) -> None:
        super().__init__()
        self.data: D | None = None
        self._agent_shown: str | None = None
        self._read_at: str | None = None
        self.is_stale = True
        self._is_whole = False
        """Every widget was made; the footer is there before what is nested in the body."""

    @property
    def wicket(self) -> "WicketApp":
        """The app, as what it is."""
        return cast("WicketApp", self.app)  # every screen is made by it

    @property
    def session(self) -> Session:
        """The way to the daemon."""
        return self.wicket.session

    @property
    def agent(self) -> str | None:
        """The key of the agent that is shown."""
        return self.wicket.agent

    @property
    def _wanted(self) -> str | None:
        """Whose data is to be shown; None: it is no agent's."""
        return self.agent if self.NEEDS_AGENT else None

    @override
    def compose(self) -> ComposeResult:
        yield Masthead()
        yield Places(self.PLACE or self.NAME)
        yield Banner()
        with Vertical(id="body"):
            yield Panel(*self.body(), id="panel")
        yield Offers()
        yield Static("Make me larger: 60 columns and 15 lines at least.", id="too-small")

    @abstractmethod
    def body(self) -> Iterable[Widget]:
        """The widgets of the screen."""

    @abstractmethod
    async def fetch(self, agent: str) -> D:
        """Reads what is shown; touches no widget. `agent` is empty where none is needed.

        Raises:
            CallFailed: the daemon refused or is away.
        """

    @abstractmethod
    def show(self, data: D) -> None:
        """Puts data into the widgets."""

    def chosen(self) -> dict[str, str]:
        """What is under the cursor, by the names of the registry."""
        return {}

    def shown_twin(self) -> str:
        """The command that shows what the screen shows, with `{names}` of what is chosen."""
        return ""

    def step_back(self) -> bool:
        """One step back inside the screen, such as clearing its filter; whether there was one."""
        return False

    @property
    def is_built(self) -> bool:
        """Whether its widgets are there: not before the first paint, not while the app ends."""
        return self._is_whole and bool(self.query(Offers)) and bool(self.query(Masthead))

    @property
    def panel(self) -> Panel:
        """The pane with the four states."""
        return self.query_one("#panel", Panel)

    def here(self) -> Here:
        """Plain values for the registry."""
        standing = self.session.standing
        values = {"agent": self.agent or "", **self.chosen()}
        return Here(
            screen=self.NAME,
            chosen={name: value for name, value in values.items() if value},
            can_write=self.session.can_write,
            is_online=standing.link is Link.ONLINE,
            is_degraded=standing.status is not None and standing.status.state != "ok",
            only_reads=self.session.read_only,
        )

    def reload(self) -> None:
        """Reads again, now if the screen is shown, else when it is shown next."""
        self.is_stale = True
        if not self.is_current or not self.is_built:
            return
        if self.NEEDS_AGENT and self.agent is None:
            if self.wicket.knows_agents:
                self.panel.empty(*NO_AGENT)
            else:
                self.panel.begin()
            return
        if self.session.standing.link is not Link.ONLINE:
            self.panel.begin()
            return
        self.is_stale = False
        if self._agent_shown != self._wanted:
            self.data = None
            self.panel.state = "loading"
        self.panel.begin()
        self._read(self._wanted)

    @work(exclusive=True, group="read", exit_on_error=False)
    async def _read(self, agent: str | None) -> None:
        try:
            self.post_message(self.Loaded(agent, await self.fetch(agent or "")))
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))

    @on(Loaded)
    def _take(self, event: Loaded) -> None:
        event.stop()
        if self.NEEDS_AGENT and event.agent != self.agent:
            return
        self.data = event.data
        self._agent_shown = event.agent
        self._read_at = self.wicket.host.now().isoformat()
        self.panel.loaded()
        self.show(event.data)
        self.offer()

    @on(Failed)
    def _explain(self, event: Failed) -> None:
        event.stop()
        self.is_stale = True
        age = moment(self._read_at, self.wicket.host.now()) if self._read_at else None
        self.panel.failed(event.problem, age)

    def say_failed(self, problem: Problem) -> None:
        """A write had no success: a toast with the sentence and the next step."""
        hint = f"\n{problem.hint}" if problem.hint else ""
        self.wicket.toast(f"{problem.message}{hint}", severity="error")

    @work(group="write", exit_on_error=False)
    async def write(self, *steps: Any) -> None:
        """Awaits each step, an async function that gives a sentence or None, then reads again."""
        try:
            for step in steps:
                sentence = await step()
                if sentence:
                    self.post_message(self.Done(sentence))
        except CallFailed as failure:
            self.say_failed(failure.problem)

    @on(Done)
    def _confirm_done(self, event: Done) -> None:
        event.stop()
        self.wicket.toast(event.sentence)
        self.reload()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A task that failed is said: a read in the panel, anything else in passing."""
        fault = fault_of(event)
        if fault is not None and event.worker.group == "read":
            self.post_message(self.Failed(fault))
        elif fault is not None:
            self.say_failed(fault)

    def offer(self) -> None:
        """Renews the footer: what may run now, what is refused."""
        here = self.here()
        self.query_one(Offers).offers = tuple(
            Offer(action, self.wicket.key_of(action), refusal(action, here) is not None)
            for action in footer_of(self.NAME)
        )

    def tell(self) -> None:
        """Masthead, banner and footer say what is known now."""
        if not self.is_built:
            return
        app, standing = self.wicket, self.session.standing
        agent = next((one for one in app.agents if one.key == app.agent), None)
        mode = "" if standing.who is None else "WRITE" if self.session.can_write else "READ-ONLY"
        now = app.host.now(agent.tz if agent else "UTC")
        self.query_one(Masthead).facts = Facts(
            host=app.host.name,
            agent=app.agent,
            revision=agent.policy_revision if agent else None,
            mode=mode,
            link=standing.link.value,
            clock=now.strftime("%H:%M"),
        )
        counts = standing.status.counts if standing.status else {}
        self.query_one(Places).waiting = {
            "members": counts.get("members_pending", 0),
            "services": counts.get("services_flagged", 0),
        }
        left_s = max(0, round(app.retry_at - now.timestamp()))
        self.query_one(Banner).say(trouble_of(standing, left_s=left_s))
        self.offer()

    def repaint_all(self) -> None:
        """Shows the same data in the colours of the theme of now."""
        if self.data is not None:
            self.show(self.data)
        self.offer()

    def on_mount(self) -> None:
        """Masthead, banner and footer tell what is known already."""
        self._is_whole = True
        self.tell()

    def on_screen_resume(self) -> None:
        """Reads what changed while another screen was shown."""
        self.tell()
        if self.is_stale or self._agent_shown != self._wanted:
            self.reload()

    @on(Places.Chosen)
    def _go(self, event: Places.Chosen) -> None:
        self.wicket.action_run(f"go.{event.screen}")

    @on(Offers.Pressed)
    def _press(self, event: Offers.Pressed) -> None:
        self.wicket.action_run(event.action)

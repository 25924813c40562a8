"""A panel over the screen that reads for itself: the four states, its own rows of the registry.

What `screens.frame` is for the eight screens, for what is opened beside one of them. Every sheet is
opened by a plain call; it is dismissed with what its opener may want to show next.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Generic, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.actions import Action, Here, refusal, shown_key, twin_of
from wicket_tui.client import CallFailed, Problem, Session
from wicket_tui.keymap import BY_ID, of_screen
from wicket_tui.screens.confirm import ConfirmDialog, Confirmed
from wicket_tui.screens.dialog import Dialog
from wicket_tui.widgets.panel import Panel
from wicket_tui.widgets.text import moment, plain

D = TypeVar("D")

_COMMON: Final = (("ctrl+r", "reload"), ("y", "copy command"), ("esc", "back"))


class Sheet(Dialog[str], Generic[D]):
    """`NAME`: the place of its rows in the registry; `READS`: data is asked for when it opens."""

    NAME: ClassVar[str]
    READS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "reload", show=False),
        Binding("y", "copy_command", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it so
        (0, "-narrow"),
        (120, "-wide"),
    ]

    class Loaded(Message):
        """A read ended."""

        def __init__(self, data: Any) -> None:
            super().__init__()
            self.data = data

    class Failed(Message):
        """A read had no success."""

        def __init__(self, problem: Problem) -> None:
            super().__init__()
            self.problem = problem

    class Refused(Message):
        """A write had no success."""

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
        """Takes the sheet's keys from the registry."""
        if "NAME" in cls.__dict__:
            cls.BINDINGS = [
                Binding(",".join(one.keys), f"do('{one.id}')", one.label, id=one.id, show=False)
                for one in of_screen(cls.NAME)
            ]
        super().__init_subclass__(**arguments)

    def __init__(self, agent: str) -> None:
        super().__init__()
        self.agent = agent
        self.data: D | None = None
        self._read_at: str | None = None

    @property
    def session(self) -> Session:
        """The way to the daemon."""
        return self.wicket.session

    @property
    def panel(self) -> Panel:
        """The pane with the four states."""
        return self.query_one(Panel)

    @override
    def content(self) -> ComposeResult:
        yield from self.head()
        yield Panel(*self.body())
        yield Static(plain(self._hint()), classes="hint")

    def head(self) -> Iterable[Widget]:
        """What stands above the data in every state."""
        return ()

    @abstractmethod
    def body(self) -> Iterable[Widget]:
        """The widgets of the data."""

    @abstractmethod
    async def fetch(self) -> D:
        """Reads what is shown; touches no widget.

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
        """The command that shows the same, with `{names}` of what is chosen."""
        return ""

    def _hint(self) -> str:
        own = [
            (shown_key(self.wicket.key_of(one)), one.label.lower()) for one in of_screen(self.NAME)
        ]
        return " · ".join(f"{key} {label}" for key, label in (*own, *_COMMON))

    def on_mount(self) -> None:
        """Reads at once."""
        if self.READS:
            self.action_reload()

    def action_reload(self) -> None:
        """Reads again; what is there stays meanwhile."""
        self.panel.begin()
        self._load()

    @work(exclusive=True, group="read", exit_on_error=False)
    async def _load(self) -> None:
        try:
            self.post_message(self.Loaded(await self.fetch()))
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))

    @on(Loaded)
    def _take(self, event: Loaded) -> None:
        self.data = event.data
        self._read_at = self.wicket.host.now().isoformat()
        self.panel.loaded()
        self.show(event.data)

    @on(Failed)
    def _explain(self, event: Failed) -> None:
        age = moment(self._read_at, self.wicket.host.now()) if self._read_at else None
        self.panel.failed(event.problem, age)

    def action_copy_command(self) -> None:
        """Copies the command that shows the same."""
        row = Action(id="", keys=(), label="", help="", twin=self.shown_twin())
        self.wicket.clip(twin_of(row, self._values()) or "")

    def action_do(self, name: str) -> None:
        """Does a row of the registry: refused with a sentence, asked for, or done."""
        action, values = BY_ID[name], self._values()
        why = refusal(action, self._here(values))
        if why is not None:
            self.wicket.toast(why, severity="warning")
        elif action.danger:
            self.wicket.open(
                ConfirmDialog(action, values),
                lambda given: None if given is None else self.confirmed(action, values, given),
            )
        else:
            getattr(self, action.method)()

    def confirmed(self, action: Action, values: Mapping[str, str], given: Confirmed) -> None:
        """Does what was asked about; `values`: as they were when it was asked."""
        getattr(self, action.method)(values, given)

    def _values(self) -> dict[str, str]:
        every = {"agent": self.agent, **self.chosen()}
        return {name: value for name, value in every.items() if value}

    def _here(self, values: Mapping[str, str]) -> Here:
        frame = self.wicket.frame
        here = frame.here() if frame is not None else Here(self.NAME)
        return replace(here, screen=self.NAME, chosen=values)

    @work(group="write", exit_on_error=False)
    async def write(self, step: Any) -> None:
        """Awaits a step, an async function that gives a sentence, then reads again."""
        try:
            self.post_message(self.Done(await step()))
        except CallFailed as failure:
            self.post_message(self.Refused(failure.problem))

    @on(Done)
    def _confirm_done(self, event: Done) -> None:
        self.wicket.toast(event.sentence)
        self.action_reload()

    @on(Refused)
    def _say_refused(self, event: Refused) -> None:
        hint = f"\n{event.problem.hint}" if event.problem.hint else ""
        self.wicket.toast(f"{event.problem.message}{hint}", severity="error")

"""A window of the audit decided once more, beside a draft or a policy: flips first, in words."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import msgspec
from textual import on, work
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static
from typing_extensions import override

from wicket_tui.client import CallFailed, Problem
from wicket_tui.screens.sheet import Sheet
from wicket_tui.widgets.fields import Fields, asked
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import plain, prose
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import replays
from wicketd.api.types.simulations import DraftText

KEPT: Final = 500
"""Rows of one kind that are shown."""
_COLUMNS: Final = (
    Column("Flip", 14),
    Column("Tool", 0),
    Column("Member", 20),
    Column("Today", 7, from_width=90),
    Column("When", 20, from_width=110),
    Column("Ref", 8),
)
_FLIPS: Final = {"allow_deny": ("✓→✗ denied", "deny"), "deny_allow": ("✗→✓ allowed", "allow")}
Kind = Literal["changed", "differing", "unmatched"]
_KINDS: Final[tuple[Kind, ...]] = ("changed", "differing", "unmatched")
_UNMATCHED: Final = {
    "args_missing": "their arguments are not kept any more",
    "tool_gone": "their tool has no definition any more",
    "not_representable": "their arguments do not fit the tool of today",
    "no_context": "no address or session was recorded, and the policies read it",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried: the text of a draft, in place of `policy` or beside the set; or a policy.

    Neither: the set in force. `version`: an old one of the policy.
    """

    draft: str | None = None
    policy: str | None = None
    version: int | None = None

    @property
    def name(self) -> str:
        """In words, safe to show."""
        if self.draft is not None:
            return f"the draft of {safe_text(self.policy)}" if self.policy else "a new draft"
        return safe_text(self.policy) if self.policy else "the set in force"


_NOT_BEGUN: Final = Problem("not_begun", "No replay was begun yet.", "Press enter in a field.")
Progress = tuple[replays.Replay, tuple[replays.ReplayRow, ...]]


class ReplaySheet(Sheet[Progress]):
    """Asks for a window, streams the counts, then lists what changes.

    It is dismissed with the reference of an entry that was chosen.
    """

    NAME: ClassVar[str] = "replay"
    READS: ClassVar[bool] = False

    class Moved(Message):
        """The replay went on."""

        def __init__(self, found: replays.Replay) -> None:
            super().__init__()
            self.found = found

    def __init__(self, agent: str, subject: Subject) -> None:
        super().__init__(agent)
        self._subject = subject
        self._kind: Kind = "changed"
        self._replay: replays.Replay | None = None

    @override
    def title_text(self) -> str:
        return f"Replay with {self._subject.name}"

    @override
    def head(self) -> Iterable[Widget]:
        yield Fields((("since", "Since", "7d", "7d, or a time"), ("until", "Until", "", "now")))
        yield Fields(
            (
                ("member", "Member", "", "everybody"),
                ("tool", "Tool", "", "part of its name"),
                ("service", "Service", "", "every"),
            )
        )
        yield Static("enter begins; nothing is changed by it", id="counts", markup=False)

    @override
    def body(self) -> Iterable[Widget]:
        yield Rows(_COLUMNS, id="flips")
        yield Static("", id="reasons", markup=False)

    @override
    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#ask-since", Input).focus()

    @on(Input.Submitted)
    def _submit(self) -> None:
        self.action_do("replay.start")

    def do_replay_start(self) -> None:
        """Begins; a replay that still runs is ended first."""
        self.panel.begin()
        self._follow(self._request(), self._replay)

    def _request(self) -> replays.ReplayCreate:
        subject = self._subject
        draft = None
        if subject.draft is not None:
            draft = DraftText(text=subject.draft, policy=subject.policy)
        return replays.ReplayCreate(
            agent=self.agent,
            since=asked(self, "since") or "7d",
            until=asked(self, "until") or None,
            draft=draft,
            policy=None if draft else subject.policy,
            version=None if draft else subject.version,
            member=asked(self, "member") or None,
            tool=asked(self, "tool") or None,
            service=asked(self, "service") or None,
        )

    @work(exclusive=True, group="read", exit_on_error=False)
    async def _follow(self, request: replays.ReplayCreate, before: replays.Replay | None) -> None:
        """Makes a replay and tells how far it is, until it is over."""
        try:
            if before is not None and before.state == "running":
                ref = replays.ReplayRef(replay=before.id)
                await self.session.call(endpoints.REPLAY_CANCEL, ref)
            found = await self.session.call(endpoints.REPLAY_CREATE, request)
            self.post_message(self.Moved(found))
            while found.state == "running":
                asked_for = replays.ReplayShow(replay=found.id, wait=1)
                found = await self.session.call(endpoints.REPLAY_SHOW, asked_for)
                self.post_message(self.Moved(found))
            self.post_message(self.Loaded((found, await self._rows(found))))
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))

    @override
    async def fetch(self) -> Progress:
        found = self._replay
        if found is None:
            raise CallFailed(_NOT_BEGUN)
        shown = replays.ReplayShow(replay=found.id)
        found = await self.session.call(endpoints.REPLAY_SHOW, shown)
        return found, await self._rows(found)

    async def _rows(self, found: replays.Replay) -> tuple[replays.ReplayRow, ...]:
        request = replays.ReplayRows(replay=found.id, only=self._kind, limit=KEPT)
        return (await self.session.call(endpoints.REPLAY_ROWS, request)).items

    @on(Moved)
    def _tell(self, event: Moved) -> None:
        self._replay = event.found
        self.query_one("#counts", Static).update(prose("\n".join(_counts(event.found))))

    @override
    def show(self, data: Progress) -> None:
        found, rows = data
        self._replay = found
        self.query_one("#counts", Static).update(prose("\n".join(_counts(found))))
        table = self.query_one(Rows)
        table.fill([self._row(one) for one in sorted(rows, key=lambda one: one.flip is None)])
        table.focus()
        self._explain_row()
        if not rows:
            self.panel.empty(*_nothing(self._kind, found))

    def _row(self, one: replays.ReplayRow) -> Row:
        words, tint = _FLIPS.get(one.flip or "", (one.unmatched or one.after or "-", "muted"))
        cells = (
            plain(words, self.wicket.tint(tint)),
            plain(f"{one.service}.{one.tool}", "bold"),
            plain(one.member),
            plain(one.baseline_decision),
            plain(one.timestamp[:19].replace("T", " ")),
            plain(one.ref),
        )
        return Row(str(one.seq), cells)

    @on(Rows.RowHighlighted)
    def _explain_row(self) -> None:
        one = self._chosen
        text = prose("" if one is None else "\n".join(_reasons(one)))
        self.query_one("#reasons", Static).update(text)

    @property
    def _chosen(self) -> replays.ReplayRow | None:
        key = self.query_one(Rows).chosen
        rows = self.data[1] if self.data else ()
        return next((one for one in rows if str(one.seq) == key), None)

    @override
    def chosen(self) -> dict[str, str]:
        one, running = self._chosen, self._replay
        return {
            "policy": self._subject.policy or "",
            "since": asked(self, "since"),
            "ref": (one.ref or "") if one else "",
            "running": "yes" if running is not None and running.state == "running" else "",
            "begun": "yes" if running is not None else "",
        }

    @override
    def shown_twin(self) -> str:
        record = " --policy {policy}" if self._subject.policy else ""
        draft = " --draft -" if self._subject.draft is not None else ""
        return f"policy replay {{agent}} --since {{since}}{record}{draft}"

    @on(Rows.RowSelected)
    def _open(self) -> None:
        self.action_do("replay.entry")

    def do_replay_entry(self) -> None:
        """Leaves with the entry under the cursor."""
        one = self._chosen
        if one is not None:
            self.answer(one.ref)

    def do_replay_next(self) -> None:
        """Lists the next kind of rows."""
        self._kind = _KINDS[(_KINDS.index(self._kind) + 1) % len(_KINDS)]
        self.action_reload()

    def do_replay_cancel(self) -> None:
        """Ends it; what was counted so far stays to see."""
        running = self._replay
        if running is None:
            return
        self.workers.cancel_group(self, "read")
        self._end(running)
        self._replay = msgspec.structs.replace(running, state="cancelled")
        self._tell(self.Moved(self._replay))
        self.panel.empty("Cancelled", "What was counted so far stands above. enter begins anew.")

    @override
    def action_leave(self) -> None:
        """Nobody waits for a replay whose panel is closed: it would hold one of two places."""
        running = self._replay
        if running is not None and running.state == "running":
            self._end(running)
        super().action_leave()

    def _end(self, running: replays.Replay) -> None:
        session, ref = self.session, replays.ReplayRef(replay=running.id)

        async def end() -> None:
            with suppress(CallFailed):
                await session.call(endpoints.REPLAY_CANCEL, ref)

        # Of the app, so that it outlives the panel.
        self.wicket.run_worker(end(), group="replays", exit_on_error=False)


def _counts(found: replays.Replay) -> Iterator[str]:
    """How far it is, and what came of it, in words."""
    reached = f", up to {found.reached[:16].replace('T', ' ')}" if found.reached else ""
    state = {"running": "Running", "done": "Done", "cancelled": "Cancelled"}.get(found.state)
    error = f": {safe_text(found.error, limit=300)}" if found.error else ""
    yield f"{state or 'Failed'}{error} · {found.rows} decisions read{reached}"
    yield (
        f"Changed {found.changed}: {found.allow_deny} allow → deny, "
        f"{found.deny_allow} deny → allow; {found.differing} differ today already"
    )
    if found.unmatched:
        reasons = (
            f"{count} since {_UNMATCHED.get(name, safe_text(name))}"
            for name, count in found.unmatched.items()
        )
        yield f"Not decided again: {'; '.join(reasons)}"
    for one in found.lists[:3]:
        gains, loses = ", ".join(one.gains) or "nothing", ", ".join(one.loses) or "nothing"
        yield safe_text(f"{one.member}'s list gains {gains}, loses {loses}", limit=200)
    if len(found.lists) > 3:
        yield f"and the lists of {len(found.lists) - 3} more members"


def _reasons(one: replays.ReplayRow) -> Iterator[str]:
    yield f"before {one.before} by {', '.join(one.determining_before) or 'nothing'}"
    if one.after is not None:
        yield f"after  {one.after} by {', '.join(one.determining_after) or 'nothing'}"
    if one.unmatched is not None:
        yield f"not decided again, since {_UNMATCHED.get(one.unmatched, one.unmatched)}"
    if one.uses_session:
        yield "decided by counters of the session, which other denials would have moved"


def _nothing(kind: str, found: replays.Replay) -> tuple[str, str]:
    if not found.rows:
        return ("No decision lies in this window", "Ask for a longer one, or for less.")
    what = {
        "changed": "No call would be decided otherwise",
        "differing": "Today's set decides every call as it was decided",
        "unmatched": "Every call was decided again",
    }
    return (what[kind], "u shows the other rows.")

"""Screen 6: every decision and change, newest first, however long the log is.

Entries come in pages by key, the page index beside them; what is new is asked for when the daemon
says that the log has grown. Source: terminal app specification, section 6; product specification,
section 10.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.text import Text
from textual import on
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static
from typing_extensions import override

from wicket_tui import audit_rows
from wicket_tui.client import Link
from wicket_tui.headless.stdin import InputFailed
from wicket_tui.pagebook import SIZE, PageBook
from wicket_tui.screens.audit_reads import NEWS, AuditReads, Opened, request_of
from wicket_tui.widgets.facts import FactSheet
from wicket_tui.widgets.filter_bar import FilterBar, terms, whole
from wicket_tui.widgets.paged_list import PagedList
from wicket_tui.widgets.text import prose
from wicketd.api.types import audit

QUIET_S: Final = 0.2
"""After the last key, before a filter is sent."""
DETAIL_S: Final = 0.05
SLOW_DETAIL_S: Final = 0.6
"""How long the cursor rests before its entry is explained; on a slow line steps cost less so."""


class AuditScreen(AuditReads):
    """The browser: filter, list, and why the entry under the cursor was decided so."""

    NAME = "audit"
    TOPICS = frozenset({"audit"})
    NEEDS_AGENT = False

    def __init__(self) -> None:
        super().__init__()
        self._words: tuple[str, ...] = ()
        self._agent_filtered: str | None = None
        self.shown_words: tuple[str, ...] | None = None
        """The terms whose entries are in the list."""
        self._told = ("", "")
        self._quiet: Timer | None = None
        self._rest: Timer | None = None

    @override
    def body(self) -> Iterable[Widget]:
        rows = PagedList[audit.AuditEntry](self._line)
        rows.jump = "List"  # type: ignore[attr-defined]  # read by the jump mode
        heads = Static("", id="heads", markup=False)
        wrong = Static("", id="wrong", markup=False)
        wrong.display = False
        bar = FilterBar(self.values_of)
        yield Container(Container(bar, wrong, heads, rows, id="list"), FactSheet(), id="split")

    @property
    def rows(self) -> PagedList[audit.AuditEntry]:
        """The list."""
        return self.query_one(PagedList)

    @property
    def bar(self) -> FilterBar:
        """The filter."""
        return self.query_one(FilterBar)

    @property
    @override
    def entry(self) -> audit.AuditEntry | None:
        lists = self.query(PagedList)
        return lists.first().chosen if lists else None

    @property
    @override
    def words(self) -> tuple[str, ...]:
        return self._words

    @property
    @override
    def texts(self) -> audit_rows.Texts:
        return self.known.texts

    @override
    def reload(self) -> None:
        if self.is_built and self.is_current:
            self._follow_agent()
        is_online = self.session.standing.link is Link.ONLINE
        data = self.data
        if (
            data is None
            or not (self.is_current and self.is_built and is_online)
            or data.words != self._words
        ):
            super().reload()
        else:
            self.is_stale = False
            after = self.rows.book.first_open(audit_rows.is_open)
            self.read_news(data.words, after)

    def ask(self, *words: str) -> None:
        """Shows the entries of these terms; for other screens."""
        self.bar.value = " ".join((*self.own_words(), *words))

    @override
    def show(self, data: Opened) -> None:
        if data.words != self._words:
            return
        if self.rows.book.total and self.shown_words == data.words:
            self.rows.refreshed()
            return
        self.shown_words = data.words
        self.rows.open(PageBook.opened(data.newest))
        if data.newest:
            self.read_index(data.words)
        else:
            self.read_hint(data.words)
        if self.focused is None:
            self.rows.focus()

    @on(AuditReads.Indexed)
    def _index(self, event: AuditReads.Indexed) -> None:
        if event.words == self._words:
            book = self.rows.book
            newest = book.upto
            book.indexed(event.index.total, event.index.upto, event.index.starts)
            self.rows.came(0)
            if newest > book.upto:
                self.reload()

    @on(PagedList.Wanted)
    def _want(self, event: PagedList.Wanted) -> None:
        book = self.rows.book
        self.read_pages(self._words, [(page, book.after(page)) for page in event.pages[:4]])

    @on(AuditReads.Paged)
    def _page(self, event: AuditReads.Paged) -> None:
        if event.words == self._words:
            self.rows.book.fill(event.page, event.entries)
            self.rows.refreshed()

    @on(AuditReads.Grown)
    def _grow(self, event: AuditReads.Grown) -> None:
        if event.words != self._words:
            return
        self.panel.loaded()
        count = self.rows.book.extend(event.entries)
        self.rows.came(count)
        if len(event.entries) >= NEWS:
            self.reload()

    @on(PagedList.Moved)
    def _look(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        is_slow = self.wicket.options.low_bandwidth
        self._rest = self.set_timer(SLOW_DETAIL_S if is_slow else DETAIL_S, self._explain_entry)
        self._entitle()
        self.offer()

    def _entitle(self) -> None:
        rows = self.rows
        about = "" if rows.book.is_exact or rows.book.total < SIZE else "about "
        new = f"{rows.unseen} new · " if rows.unseen else ""
        state = "follows" if rows.follows else f"{new}f follows"
        told = (
            f"Audit {about}{rows.book.total:,} · {state}",
            audit_rows.heads(rows.scrollable_content_region.width),
        )
        if told == self._told:
            return
        self._told = told
        self.query_one("#list").border_title = Content(told[0])
        self.query_one("#heads", Static).update(Text(told[1], no_wrap=True))

    def _explain_entry(self) -> None:
        entry = self.entry
        sheet = self.query_one(FactSheet)
        if entry is None:
            sheet.tell("Nothing matches" if not self.rows.book.total else "On its way", ())
            return
        sheet.tell(*audit_rows.detail(entry, self.known.texts, self.wicket.tint))
        missing = [
            (str(one["key"]), int(one["version"]))
            for one in audit_rows.statements(entry)
            if (one["key"], one["version"]) not in self.known.texts
        ]
        if missing and entry.agent_id:
            self.read_texts(entry.agent_id, missing)

    @on(AuditReads.Explained)
    def _say(self, event: AuditReads.Explained) -> None:
        if event.hint:
            pairs = [("", prose(event.hint))]
            self.query_one(FactSheet).tell("Nothing matches", pairs)
        elif self.entry is not None:
            told = audit_rows.detail(self.entry, self.known.texts, self.wicket.tint)
            self.query_one(FactSheet).tell(*told)

    def do_list_filter(self) -> None:
        """Moves to the filter."""
        self.bar.focus()
        self.bar.cursor_position = len(self.bar.value)

    @on(Input.Changed, "#filter")
    def _narrow(self) -> None:
        words = tuple(whole(_with_reference(terms(self.bar.value))))
        problem = _problem(words)
        notice = self.query_one("#wrong", Static)
        notice.display = bool(problem)
        notice.update(prose(problem))
        if self._quiet is not None:
            self._quiet.stop()
        if not problem and words != self._words:
            self.rows.add_class("-old")
            self._quiet = self.set_timer(QUIET_S, lambda: self._apply(words))

    def _apply(self, words: tuple[str, ...]) -> None:
        self._words = words
        if self.data is None or self.data.words != words:
            self.shown_words = None
            super().reload()

    @on(Input.Submitted, "#filter")
    def _keep_filter(self) -> None:
        self.bar.keep()
        self.rows.focus()

    @override
    def step_back(self) -> bool:
        """Back to the list, then to every entry of the agent; whether it was a step."""
        plain = " ".join(self.own_words())
        if self.focused is self.bar or self.bar.value != plain:
            if self.focused is not self.bar:
                self.bar.value = plain
            self.rows.focus()
            return True
        return False

    def _follow_agent(self) -> None:
        """The filter names the agent that the app shows, unless it names another one."""
        agent = self.agent
        if agent == self._agent_filtered:
            return
        before = f"agent:{self._agent_filtered}" if self._agent_filtered else None
        kept = [word for word in terms(self.bar.value) if word != before]
        self._agent_filtered = agent
        if not any(word.startswith("agent:") for word in kept):
            kept = [*self.own_words(), *kept]
        with self.prevent(Input.Changed):
            self.bar.value = " ".join(kept)
        self._words = tuple(kept)

    @override
    def own_words(self) -> tuple[str, ...]:
        return (f"agent:{self._agent_filtered}",) if self._agent_filtered else ()

    def _line(self, entry: audit.AuditEntry, width: int) -> Text:
        agent = next((one for one in self.wicket.agents if one.key == self.agent), None)
        now = self.wicket.host.now(agent.tz if agent else "UTC")
        return audit_rows.line(entry, width, now, self.wicket.tint)

    @override
    def repaint_all(self) -> None:
        self.rows.refreshed()
        self._explain_entry()
        self.offer()


def _problem(words: Sequence[str]) -> str:
    """What is wrong with the terms, empty if nothing."""
    try:
        request_of(words, audit.AuditList)
    except InputFailed as error:
        return str(error)
    return ""


def _with_reference(words: Sequence[str]) -> list[str]:
    """A pasted call reference stands for the entry of that reference."""
    return [
        f"ref:{word}" if len(word) == 8 and word.isalnum() and not word.islower() else word
        for word in words
    ]

"""What the audit screen asks the daemon: pages, index, news, texts. No widget is touched here.

Counterpart of `screens.audit`, which shows it; every answer says which terms it belongs to.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from textual import work
from textual.message import Message
from typing_extensions import override

from wicket_tui.client import CallFailed
from wicket_tui.headless.filters import parsed
from wicket_tui.headless.stdin import InputFailed
from wicket_tui.pagebook import SIZE
from wicket_tui.screens.audit_acts import AuditActs
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import audit
from wicketd.api.types.policies import VersionRef

F = TypeVar("F", bound=audit.AuditFilters)

NEWS: Final = 500
"""New entries that are asked for at once."""
TEXTS: Final = 200
"""Policy texts that are kept."""
_FACETS: Final = frozenset({"service", "tool", "member", "policy", "key", "kind", "reason"})


@dataclass(frozen=True, slots=True)
class Opened:
    """The newest page of a query. `words`: its terms."""

    words: tuple[str, ...]
    newest: tuple[audit.AuditEntry, ...]


@dataclass(slots=True)
class Known:
    """What was read beside the pages."""

    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    facets: dict[str, Sequence[str]] = field(default_factory=dict)


class AuditReads(AuditActs):
    """The reads of the audit screen; what came is posted."""

    class Indexed(Message):
        """The page index of a query came."""

        def __init__(self, words: tuple[str, ...], index: audit.PageIndex) -> None:
            super().__init__()
            self.words = words
            self.index = index

    class Paged(Message):
        """A page came, oldest first."""

        def __init__(
            self, words: tuple[str, ...], page: int, entries: Sequence[audit.AuditEntry]
        ) -> None:
            super().__init__()
            self.words = words
            self.page = page
            self.entries = entries

    class Grown(Message):
        """Entries that are new or have ended."""

        def __init__(self, words: tuple[str, ...], entries: Sequence[audit.AuditEntry]) -> None:
            super().__init__()
            self.words = words
            self.entries = entries

    class Explained(Message):
        """Texts of policy versions came, or why nothing matches."""

        def __init__(self, hint: str = "") -> None:
            super().__init__()
            self.hint = hint

    def __init__(self) -> None:
        super().__init__()
        self.known = Known()

    @abstractmethod
    def own_words(self) -> tuple[str, ...]:
        """The terms that stand without anybody typing them."""

    @override
    async def fetch(self, agent: str) -> Opened:
        words = self.words
        page = await self.session.call(
            endpoints.AUDIT_LIST, request_of(words, audit.AuditList, limit=SIZE)
        )
        return Opened(words, page.items)

    @work(exclusive=True, group="index", exit_on_error=False)
    async def read_index(self, words: tuple[str, ...]) -> None:
        """The first page of the log, where `G` leads, then the index of all."""
        try:
            await self.read_page(words, 0, 0)
            request = request_of(words, audit.AuditPages, size=SIZE)
            index = await self.session.call(endpoints.AUDIT_PAGES, request)
        except CallFailed:
            return
        self.post_message(self.Indexed(words, index))

    @work(exclusive=True, group="pages", exit_on_error=False)
    async def read_pages(self, words: tuple[str, ...], pages: list[tuple[int, int]]) -> None:
        """Pages in sight, as pairs of number and the seq behind which they begin."""
        try:
            for page, after in pages:
                await self.read_page(words, page, after)
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))

    async def read_page(self, words: tuple[str, ...], page: int, after: int) -> None:
        """One page, behind seq `after`."""
        request = request_of(words, audit.AuditList, after=after, limit=SIZE)
        found = await self.session.call(endpoints.AUDIT_LIST, request)
        self.post_message(self.Paged(words, page, found.items[::-1]))

    @work(exclusive=True, group="news", exit_on_error=False)
    async def read_news(self, words: tuple[str, ...], after: int) -> None:
        """What is newer than seq `after`."""
        try:
            found = await self.session.call(
                endpoints.AUDIT_LIST, request_of(words, audit.AuditList, after=after, limit=NEWS)
            )
        except CallFailed as failure:
            self.post_message(self.Failed(failure.problem))
            return
        self.post_message(self.Grown(words, found.items))

    @work(exclusive=True, group="texts", exit_on_error=False)
    async def read_texts(self, agent: str, missing: list[tuple[str, int]]) -> None:
        """Policy texts by key and version."""
        for key, version in missing:
            request = VersionRef(agent=agent, policy=key, version=version)
            try:
                found = await self.session.call(policy_endpoints.POLICY_VERSION, request)
            except CallFailed:
                continue
            if len(self.known.texts) >= TEXTS:
                self.known.texts.clear()
            self.known.texts[key, version] = found.text
        self.post_message(self.Explained())

    @work(exclusive=True, group="hint", exit_on_error=False)
    async def read_hint(self, words: tuple[str, ...]) -> None:
        """Which term to drop so that something is shown."""
        hint = "The log has no entry yet: the first call or change is on record at once."
        if len(words) > len(self.own_words()):
            hint = "No single term can be dropped so that something matches: esc clears them."
        try:
            for word in words[::-1]:
                others = tuple(one for one in words if one != word)
                request = request_of(others, audit.AuditList, limit=1)
                page = await self.session.call(endpoints.AUDIT_LIST, request)
                if page.items:
                    hint = f"Without {word} there are entries: press / and drop it."
                    break
        except (CallFailed, InputFailed):
            return
        self.post_message(self.Explained(hint))

    async def values_of(self, name: str) -> Sequence[str]:
        """Values of a filter that occur, for completion."""
        if name == "agent":
            return [agent.key for agent in self.wicket.agents]
        if name not in _FACETS:
            return ()
        if name not in self.known.facets:
            request = audit.FacetsAsk(agent=self.agent, kind=name, limit=500)  # type: ignore[arg-type]  # one of the set above
            try:
                found = await self.session.call(endpoints.AUDIT_FACETS, request)
            except CallFailed:
                return ()
            self.known.facets[name] = [safe_text(one.value) for one in found.items]
        return self.known.facets[name]


def request_of(words: Sequence[str], kind: type[F], **more: Any) -> F:
    """A request of these terms.

    Raises:
        InputFailed: a term is no filter.
    """
    return parsed(kind, words, **more)

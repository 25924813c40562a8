"""The versions of a policy: cause, author, note, what two of them differ in, and the way back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on, work
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.client import CallFailed
from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.sheet import Sheet
from wicket_tui.widgets.difference import difference
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import meaning, moment, plain, prose, stated
from wicketd.api import policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types.policies import PolicyRef, PolicyRollback, PolicyVersion, VersionList
from wicketd.api.types.policy_sets import DiffAsk, PolicyDiff

_COLUMNS: Final = (
    Column("Version", 9),
    Column("Mode", 11),
    Column("Saved", 12),
    Column("By", 16, from_width=70),
    Column("Cause and note", 0),
)


@dataclass(frozen=True, slots=True)
class History:
    """Versions, newest first. `revision`: the agent's, None where the policy is deleted."""

    versions: tuple[PolicyVersion, ...]
    revision: int | None


class VersionsSheet(Sheet[History]):
    """History, diff and rollback of one policy."""

    NAME: ClassVar[str] = "versions"

    class Compared(Message):
        """Two versions were compared; None: the version has none before it."""

        def __init__(self, version: PolicyVersion, found: PolicyDiff | None) -> None:
            super().__init__()
            self.version = version
            self.found = found

    def __init__(self, agent: str, policy: str) -> None:
        super().__init__(agent)
        self._policy = policy
        self._marked: int | None = None

    @override
    def title_text(self) -> str:
        return f"Versions of {safe_text(self._policy)}"

    @override
    def body(self) -> Iterable[Widget]:
        yield Container(
            Rows(_COLUMNS, id="versions"),
            VerticalScroll(Static("", id="difference", markup=False), id="beside"),
            classes="sides",
        )

    @override
    async def fetch(self) -> History:
        asked = VersionList(agent=self.agent, policy=self._policy)
        found = await self.session.every(policy_endpoints.POLICY_VERSIONS, asked)
        ref = PolicyRef(agent=self.agent, policy=self._policy)
        try:
            shown = await self.session.call(policy_endpoints.POLICY_SHOW, ref)
        except CallFailed as failure:
            if failure.problem.code != "not_found":
                raise
            return History(tuple(found), None)
        return History(tuple(found), shown.policy_revision)

    @override
    def show(self, data: History) -> None:
        table = self.query_one(Rows)
        table.fill([self._row(one) for one in data.versions])
        if not self.query_one("#beside").has_focus:
            table.focus()
        self._compare_chosen()

    def _row(self, one: PolicyVersion) -> Row:
        mark = "◆ " if one.version == self._marked else ""
        now = self._is_current(one.version)
        mode = ("enforced" if one.mode == "enforce" else one.mode) if one.enabled else "disabled"
        note = f"{one.cause}{f': {one.note}' if one.note else ''}"
        cells = (
            plain(f"{mark}v{one.version}{' now' if now else ''}", "bold"),
            plain(stated(mode), self.wicket.tint(meaning(mode))),
            plain(moment(one.created_at, self.wicket.host.now())),
            plain(one.created_by),
            plain(note),
        )
        return Row(str(one.version), cells)

    def _is_current(self, version: int) -> bool:
        data = self.data
        return data is not None and bool(data.versions) and data.versions[0].version == version

    @property
    def _version(self) -> PolicyVersion | None:
        key = self.query_one(Rows).chosen
        found = self.data.versions if self.data else ()
        return next((one for one in found if str(one.version) == key), None)

    @override
    def chosen(self) -> dict[str, str]:
        one = self._version
        version = one.version if one else 0
        return {
            "policy": self._policy,
            "version": str(version) if one else "",
            "old": "" if one is None or self._is_current(version) else "yes",
            "base": str(self._marked or max(version - 1, 1)),
        }

    @override
    def shown_twin(self) -> str:
        return "policy versions {agent} {policy}"

    @on(Rows.RowHighlighted)
    def _compare_chosen(self) -> None:
        version = self._version
        if version is None:
            return
        base = self._marked or version.version - 1
        if base < 1 or base == version.version:
            self._show_text(version)
        else:
            self._compare(version, base)

    @work(exclusive=True, group="difference", exit_on_error=False)
    async def _compare(self, version: PolicyVersion, base: int) -> None:
        first, last = sorted((base, version.version))
        asked = DiffAsk(agent=self.agent, policy=self._policy, from_version=first, to_version=last)
        try:
            found = await self.session.call(policy_endpoints.POLICY_DIFF, asked)
        except CallFailed as failure:
            self.post_message(self.Refused(failure.problem))
            return
        self.post_message(self.Compared(version, found))

    @on(Compared)
    def _show_difference(self, event: Compared) -> None:
        found = event.found
        if found is None or self._version != event.version:
            return
        title = f"v{found.before.version} → v{found.after.version}"
        self.query_one("#beside").border_title = Content(title)
        text = prose("".join(f"{one.field}: {one.before} → {one.after}\n" for one in found.fields))
        text.append_text(difference(found.text, self.wicket.tint))
        if not text.plain:
            text.append("The same text and settings.")
        self.query_one("#difference", Static).update(text)

    def _show_text(self, version: PolicyVersion) -> None:
        self.query_one("#beside").border_title = Content(f"v{version.version}")
        self.query_one("#difference", Static).update(prose(version.text))

    def do_version_mark(self) -> None:
        """Compares the others with this version, or again each with the one before it."""
        version = self._version
        if version is None or self.data is None:
            return
        self._marked = None if self._marked == version.version else version.version
        self.show(self.data)

    def do_policy_rollback(self, values: Mapping[str, str], given: Confirmed) -> None:
        """Saves the old text as a new version."""
        revision = self.data.revision if self.data else None
        request = PolicyRollback(
            agent=self.agent,
            policy=self._policy,
            version=int(values["version"]),
            note=given.reason or None,
        )

        async def roll_back() -> str:
            saved = await self.session.call(
                policy_endpoints.POLICY_ROLLBACK, request, match=revision
            )
            version = saved.version.version
            return f"Version {request.version} is in force again, as version {version}."

        self.write(roll_back)

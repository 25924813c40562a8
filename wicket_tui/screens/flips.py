"""What a policy in shadow mode would have changed: the calls, and what it would have said."""

from collections.abc import Iterable
from typing import ClassVar, Final

from textual import on
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from wicket_tui.screens.sheet import Sheet
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import moment, plain
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.text import safe_text
from wicketd.api.types.audit import AuditEntry, AuditList
from wicketd.api.types.policies import Policy, PolicyRef

_COLUMNS: Final = (
    Column("When", 12),
    Column("Flip", 16),
    Column("Tool", 0),
    Column("Member", 24),
    Column("Ref", 8, from_width=90),
)
_FLIPS: Final = {"ALLOW": ("allow → deny", "deny"), "DENY": ("deny → allow", "allow")}
"""By the decision that was made: what the policy would have made of it, and its tint."""

Flips = tuple[Policy, tuple[AuditEntry, ...]]


class FlipsSheet(Sheet[Flips]):
    """The flips of one policy, newest first. It is dismissed with the reference of an entry."""

    NAME: ClassVar[str] = "flips"

    def __init__(self, agent: str, policy: str) -> None:
        super().__init__(agent)
        self._policy = policy

    @override
    def title_text(self) -> str:
        return f"Shadow flips of {safe_text(self._policy)}"

    @override
    def body(self) -> Iterable[Widget]:
        yield Static("", id="counts", markup=False)
        yield Rows(_COLUMNS, id="flips")

    @override
    async def fetch(self) -> Flips:
        ref = PolicyRef(agent=self.agent, policy=self._policy)
        policy = await self.session.call(policy_endpoints.POLICY_SHOW, ref)
        watched = policy.current.watched
        if watched is None:
            return policy, ()
        asked = AuditList(
            agent=self.agent, policy=self._policy, shadow_flip=True, since=watched.since
        )
        found = await self.session.call(endpoints.AUDIT_LIST, asked)
        return policy, tuple(found.items)

    @override
    def show(self, data: Flips) -> None:
        policy, entries = data
        watched, now = policy.current.watched, self.wicket.host.now()
        if watched is None:
            self.panel.empty(
                "This policy is enforced", "Only a policy in shadow mode is watched without effect."
            )
            return
        total = watched.allow_deny + watched.deny_allow
        if not total:
            self.panel.empty(
                "No call would have been decided otherwise",
                f"Watched since {moment(watched.since, now)}. ctrl+r reads again.",
            )
            return
        counts = (
            f"Watched since {moment(watched.since, now)}: {watched.allow_deny} allow → deny, "
            f"{watched.deny_allow} deny → allow."
        )
        self.query_one("#counts", Static).update(plain(counts))
        table = self.query_one(Rows)
        table.fill([self._row(one) for one in entries])
        table.focus()

    def _row(self, one: AuditEntry) -> Row:
        words, tint = _FLIPS.get(one.decision or "", ("-", "muted"))
        cells = (
            plain(moment(one.timestamp, self.wicket.host.now())),
            plain(words, self.wicket.tint(tint)),
            plain(f"{one.service}.{one.tool}", "bold"),
            plain(one.member_name),
            plain(one.ref),
        )
        return Row(one.ref or one.id, cells)

    @override
    def chosen(self) -> dict[str, str]:
        return {"policy": self._policy, "ref": self.query_one(Rows).chosen or ""}

    @override
    def shown_twin(self) -> str:
        return "policy show {agent} {policy}"

    @on(Rows.RowSelected)
    def _open(self) -> None:
        self.answer(self.query_one(Rows).chosen)

"""Audit rows on their way into a replay and back: opened, mapped, compared, counted.

Counterpart of `services.replay`, which runs the jobs. Invariant: what was recorded is taken as it
was recorded; only the target is mapped anew, by today's rule. Source: policy spec, 7.3.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import msgspec

from wicketd.connectors.mapping import CompiledRule, Unresolved
from wicketd.domain.audit import AuditRow
from wicketd.domain.catalogue import ServiceView, Target, ToolStatus
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, Role
from wicketd.domain.policies import Reason
from wicketd.policy.entities import kind_of
from wicketd.policy.replay import (
    NO_CONTEXT,
    ListChange,
    Principal,
    RecordedCall,
    Redecided,
    Replayed,
)
from wicketd.policy.schema import render
from wicketd.policy.setups import Setup
from wicketd.services.recorded import RecordedArguments

KEPT_ROWS: Final = 10_000
"""Rows of one replay that can be read; counts go on."""
TOP: Final = 50

ALLOW_DENY: Final = "allow_deny"
DENY_ALLOW: Final = "deny_allow"


Page = Sequence[tuple[AuditRow, bytes | None]]
"""Rows with the sealed arguments of their calls."""


class ReplayChild(Protocol):
    """A policy child that runs one replay."""

    async def replay(self, setup: Setup) -> None:
        """Compiles the sets."""

    async def rows(self, rows: Sequence[RecordedCall]) -> list[Replayed]:
        """Decides a page."""

    async def lists(
        self, members: Sequence[Member], tools: Sequence[tuple[str, str]]
    ) -> list[ListChange]:
        """Members whose tool list differs between the sets."""

    async def stop(self) -> None:
        """Ends the process."""


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    """What a replay reads of a row's body."""

    member_name: str = ""
    role: str = Role.MEMBER.value
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    args_state: str = ""
    resource: str | None = None
    context: dict[str, Any] | None = None
    determining: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """A row as it was decided, with what a replay asks about it; `call` None: it is not asked."""

    row: AuditRow
    member: str
    resource: str | None
    determining: tuple[str, ...]
    call: RecordedCall | None

    @property
    def allowed(self) -> bool:
        """The decision that was recorded."""
        return self.row.decision == "ALLOW"


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One row that a reader of the replay wants to see."""

    seq: int
    ts: int
    ref: str | None
    member: str
    service: str
    tool: str
    resource: str | None
    before: bool
    determining_before: tuple[str, ...]
    unmatched: str | None
    baseline: Redecided | None
    after: Redecided | None
    flip: str | None
    uses_session: bool


class Opener:
    """Makes recorded calls of rows. `targets`: today's rules by (service, tool)."""

    def __init__(
        self,
        recorded: RecordedArguments,
        targets: Mapping[tuple[str, str], tuple[str, CompiledRule]],
    ) -> None:
        self._recorded = recorded
        self._targets = targets

    def opened(self, row: AuditRow, envelope: bytes | None) -> Before | None:
        """A row for the policy child; None: no policy's answer stands in it.

        It was refused before any was asked, or the answer came too late to be heard.
        """
        if row.reason_code == Reason.ENGINE_LATE:
            return None
        body = msgspec.json.decode(row.body, type=_Body)
        by = tuple(f"{one['key']}@{one['version']}#{one['statement']}" for one in body.determining)
        call = None
        if body.context is not None:
            call = self._call(row, body, body.context, envelope)
        elif row.reason_code != Reason.NO_CONTEXT:
            return None
        return Before(row, body.member_name, body.resource, by, call)

    def _call(
        self, row: AuditRow, body: _Body, context: JsonObject, envelope: bytes | None
    ) -> RecordedCall:
        arguments = self._recorded.open(row, envelope)
        target = self._target(row, arguments)
        return RecordedCall(
            seq=row.seq,
            principal=Principal(
                row.member_id or "", body.member_name, Role(body.role), body.groups, body.tags
            ),
            service=row.service or "",
            name=row.tool or "",
            arguments=arguments,
            context={name: value for name, value in context.items() if name != "unmodelled"},
            redacted=body.args_state == "redacted",
            target=None if isinstance(target, Unresolved) else target,
            is_unresolved=isinstance(target, Unresolved),
            kind=kind_of(body.resource),
        )

    def _target(self, row: AuditRow, arguments: JsonObject | None) -> Target | Unresolved | None:
        found = self._targets.get((row.service or "", row.tool or ""))
        if found is None or arguments is None:
            return None
        namespace, rule = found
        return rule.resolve(namespace, arguments)


def unasked(before: Before) -> Replayed:
    """What stands for a row that was denied because its context was not known."""
    return Replayed(before.row.seq, NO_CONTEXT)


def with_gone(view: ServiceView) -> ServiceView:
    """The view with every gone tool whose definition is kept, so that its calls can be decided."""
    gone = sorted(
        tool.name
        for tool in view.tools
        if tool.status is ToolStatus.GONE and tool.definition is not None
    )
    return replace(view, gone_but_named=tuple(gone))


def targets(views: Sequence[ServiceView]) -> dict[tuple[str, str], tuple[str, CompiledRule]]:
    """The rule of each mapped tool with its namespace, by service and tool."""
    known = {view.key: view.namespace for view in views}
    return {
        at: (known[shape.service], CompiledRule.of(shape.target))
        for at, shape in render(views).shapes.items()
        if shape.target is not None
    }


def listable(views: Iterable[ServiceView]) -> list[tuple[str, str]]:
    """The tools that a list could show now."""
    return [
        (view.key, tool.name)
        for view in views
        if view.is_enabled
        for tool in view.tools
        if tool.status is ToolStatus.ACTIVE
    ]


@dataclass(slots=True)
class Tally:
    """The counts of a replay, and the rows worth reading: changed, differing, unmatched."""

    rows: int = 0
    refused: int = 0
    """Refused before any policy was asked, or by a late answer; counted apart."""
    matched: int = 0
    before: Counter[bool] = field(default_factory=Counter)
    baseline: Counter[bool] = field(default_factory=Counter)
    after: Counter[bool] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    """Rows that today's set without the draft already decides otherwise."""
    unmatched: Counter[str] = field(default_factory=Counter)
    by_tool: Counter[str] = field(default_factory=Counter)
    by_member: Counter[str] = field(default_factory=Counter)
    uses_session: int = 0
    faults: int = 0
    """Verified rows that their own set decides otherwise, or by other statements."""
    kept: list[ReplayRow] = field(default_factory=list)
    is_cut: bool = False
    lists: tuple[ListChange, ...] = ()
    reached_ms: int | None = None

    def add(self, before: Before, found: Replayed) -> None:
        """Counts one row."""
        self.rows += 1
        self.reached_ms = before.row.ts
        flip = None
        if found.baseline is None or found.after is None:
            self.unmatched[found.unmatched or NO_CONTEXT] += 1
        else:
            flip = self._compare(before, found.baseline, found.after)
            self.uses_session += found.uses_session
        is_differing = found.baseline is not None and found.baseline.allow != before.allowed
        self.differing += is_differing
        if flip is not None or found.unmatched is not None or is_differing:
            self._keep(before, found, flip)

    def verify(self, before: Before, found: Replayed) -> None:
        """Counts one row that was decided under its own revision."""
        again = found.baseline
        if again is None:
            self.add(before, found)
            return
        self.rows += 1
        self.reached_ms = before.row.ts
        self.matched += 1
        self.before[before.allowed] += 1
        self.baseline[again.allow] += 1
        self.after[again.allow] += 1
        by = {f"{one.key}@{one.version}#{one.statement}" for one in again.determining}
        if again.allow != before.allowed or by != set(before.determining):
            self.faults += 1
            self._keep(before, found, None)

    def skip(self, row: AuditRow) -> None:
        """Counts a row that no policy decided."""
        self.rows += 1
        self.refused += 1
        self.reached_ms = row.ts

    def _compare(self, before: Before, baseline: Redecided, after: Redecided) -> str | None:
        self.matched += 1
        self.before[before.allowed] += 1
        self.baseline[baseline.allow] += 1
        self.after[after.allow] += 1
        if after.allow == before.allowed:
            return None
        flip = ALLOW_DENY if before.allowed else DENY_ALLOW
        self.changed[flip] += 1
        self.by_tool[f"{before.row.service}__{before.row.tool}"] += 1
        self.by_member[before.member] += 1
        return flip

    def _keep(self, before: Before, found: Replayed, flip: str | None) -> None:
        if len(self.kept) >= KEPT_ROWS:
            self.is_cut = True
            return
        row = before.row
        self.kept.append(
            ReplayRow(
                seq=row.seq,
                ts=row.ts,
                ref=row.ref,
                member=before.member,
                service=row.service or "",
                tool=row.tool or "",
                resource=before.resource,
                before=before.allowed,
                determining_before=before.determining,
                unmatched=found.unmatched,
                baseline=found.baseline,
                after=found.after,
                flip=flip,
                uses_session=found.uses_session,
            )
        )

"""A window of the audit decided once more, on the wire."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from wicketd.api.types.listing import Paged
from wicketd.api.types.simulations import DraftText

WAIT_MAX_S = 8


class ReplayCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows, and what takes whose place.

    `from`, `to`: ISO 8601, or how long ago (`7d`); the end is not of the window. `draft`: a text;
    or `policy` with `version` (None: the current one), as if it were enforced; neither: the set in
    force. `verify`: each row under its own revision and schema instead, to find faults.
    `service`, `tool`, `member`, `session`: as filters of the audit.
    """

    agent: str
    since: str = field(name="from")
    until: str | None = field(default=None, name="to")
    draft: DraftText | None = None
    policy: str | None = None
    version: int | None = None
    verify: bool = False
    service: str | None = None
    tool: str | None = None
    member: str | None = None
    session: str | None = None


class ReplayRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`replay`: its id."""

    replay: str


class ReplayShow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`wait`: seconds to wait for the end before answering."""

    replay: str
    wait: Annotated[int, Meta(ge=0, le=WAIT_MAX_S)] = 0


class ReplayRows(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows worth reading, in their order. `only`: one kind of them."""

    replay: str
    only: Literal["changed", "differing", "unmatched"] | None = None


class Verdicts(Struct, frozen=True, kw_only=True):
    """Matched rows by decision."""

    allow: int
    deny: int


class Named(Struct, frozen=True, kw_only=True):
    """How many changed rows have this name."""

    name: str
    count: int


class ListChange(Struct, frozen=True, kw_only=True):
    """What a member's tool list gains and loses, as `service__tool`."""

    member: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]


class Replay(Struct, frozen=True, kw_only=True):
    """A replay and its counts, which are whole once `state` is done.

    `state`: running, done, cancelled or failed (`error` says why). `rows`: read so far, up to
    `reached`; `refused` of them never came to a policy. `matched` rows were decided once more:
    `before` as recorded, `baseline` under today's enforced set without the record, `after` with it.
    `changed`: before and after differ; `differing`: before and baseline do. `uses_session`: rows
    decided by statements that read counters, which the record's own denials would have moved.
    `faults`: verified rows that their own set decides otherwise. `unmatched`: by reason.
    `lists`: changes of tool lists, known at the end. `kept`: rows that can be read; `is_cut`: there
    are more.
    """

    id: str
    agent: str
    state: str
    error: str | None
    policy: str | None
    started_at: str
    ended_at: str | None
    reached: str | None
    rows: int
    refused: int
    matched: int
    before: Verdicts
    baseline: Verdicts
    after: Verdicts
    changed: int
    allow_deny: int
    deny_allow: int
    differing: int
    uses_session: int
    faults: int
    unmatched: dict[str, int]
    by_tool: tuple[Named, ...]
    by_member: tuple[Named, ...]
    lists: tuple[ListChange, ...]
    kept: int
    is_cut: bool


class ReplayRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One row: as recorded, under today's set without the record, and with it.

    `determining_*`: `policy@version#statement`; version 0 is the draft. `flip`: allow_deny,
    deny_allow or None.
    """

    seq: int
    timestamp: str
    ref: str | None
    member: str
    service: str
    tool: str
    resource: str | None
    before: str
    baseline_decision: str | None
    after: str | None
    reason: str | None
    flip: str | None
    determining_before: tuple[str, ...]
    determining_after: tuple[str, ...]
    unmatched: str | None
    uses_session: bool

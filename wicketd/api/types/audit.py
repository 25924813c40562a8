"""The audit on the wire. `AuditEntry` carries the hosted product's field names beside our own."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from wicketd.api.types.listing import Limit, Page

Decision = Literal["ALLOW", "DENY"]


class AuditFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries; all given filters must hold.

    `from`, `to`: ISO 8601, inclusive. `tool`: part of the name, case ignored. `policy`: its key.
    """

    agent: str | None = None
    since: str | None = field(default=None, name="from")
    until: str | None = field(default=None, name="to")
    service: str | None = None
    tool: str | None = None
    member: str | None = None
    policy: str | None = None
    session: str | None = None
    key: str | None = None
    ref: str | None = None
    kind: str | None = None
    outcome: str | None = None
    reason: str | None = None
    revision: int | None = None
    decision: Decision | None = None
    shadow_flip: bool | None = None


class AuditList(AuditFilters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of entries, newest first. `before`, `after`: sequence numbers, exclusive."""

    before: int | None = None
    after: int | None = None
    limit: Limit = 100
    cursor: str | None = None


class AuditPages(AuditFilters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where pages of `size` entries begin."""

    size: Annotated[int, Meta(ge=1, le=500)] = 200


class PageIndex(Struct, frozen=True, kw_only=True):
    """Pages of a filtered log, counted from the oldest entry.

    `starts`: the seq that each page begins with; `total`: entries in rows up to seq `upto`.
    """

    size: int
    total: int
    upto: int
    starts: tuple[int, ...]


class AuditExport(AuditFilters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`jsonl`: raw chained rows, verifiable alone. `csv`: the hosted fields first."""

    format: Literal["jsonl", "csv"] = "jsonl"


class AuditRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ref`: the id of an entry, or the 8 characters behind `[ref …]`."""

    ref: Annotated[str, Meta(min_length=1, max_length=64)]
    agent: str | None = None


class AuditReveal(AuditRef, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reason`: why, for the audit."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Revealed(Struct, frozen=True, kw_only=True):
    """The recorded arguments of a call, as the client sent them."""

    id: str
    ref: str | None
    arguments: dict[str, Any]


class AuditProof(Struct, frozen=True, kw_only=True):
    """The proof of a decision. `text`: a JSON file for `wicketd audit verify --proof`.

    `missing`: sentences for what could not be put into it.
    """

    id: str
    text: str
    missing: tuple[str, ...] = ()


class AuditEntry(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One decision with its outcome, or one administrative change.

    Empty fields are left out. `fields` holds what only this kind of row has.
    """

    seq: int
    id: str
    timestamp: str
    kind: str
    call_id: str | None = None
    ref: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    member_id: str | None = None
    member_name: str | None = None
    member_key_id: str | None = None
    session_id: str | None = None
    service: str | None = None
    tool: str | None = None
    action: str | None = None
    resource: str | None = None
    principal: str | None = None
    caller_ip: str | None = None
    tool_args: Any = None
    decision: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    matched_policy_ids: tuple[str, ...] = ()
    matched_policy_names: tuple[str, ...] = ()
    duration_ms: float | None = None
    outcome: str | None = None
    fields: dict[str, Any] = {}
    prev: str
    hash: str


class AuditRow(Struct, frozen=True, kw_only=True):
    """One chained row as stored. `body` is canonical JSON text; `prev` and `hash` are hex."""

    seq: int
    id: str
    kind: str
    body: str
    prev: str
    hash: str
    epoch: int


class AuditDetail(Struct, frozen=True, kw_only=True):
    """One entry and the rows it was read from: intent or denial, then the outcome."""

    entry: AuditEntry
    rows: tuple[AuditRow, ...]


AuditPage = Page[AuditEntry]


class FacetsAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values for completion. `kind`: which; `q`: part of the value."""

    agent: str | None = None
    kind: Literal["service", "tool", "member", "policy", "key", "kind", "reason"] | None = None
    q: str | None = None
    limit: Limit = 100


class Facet(Struct, frozen=True, kw_only=True):
    """One value that occurs in the audit."""

    kind: str
    value: str


class Facets(Struct, frozen=True, kw_only=True):
    """By kind, of each the most recent first."""

    items: tuple[Facet, ...]


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A signed statement about the first `size` rows.

    `note`: the signed note, to be kept off this host.
    """

    epoch: int
    size: int
    root: str
    note: str
    at: str


class Checkpoints(Struct, frozen=True, kw_only=True):
    """Newest first."""

    items: tuple[Checkpoint, ...]

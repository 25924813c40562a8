"""Audit rows: what may be recorded, and the shape in which use cases hand it to the journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wicketd.domain.actor import Author
from wicketd.domain.json import Json, JsonObject

KINDS: Final = frozenset(
    {
        "call.intent",
        "call.outcome",
        "call.denied",
        "auth.refused",
        "rate.refused",
        "oauth.refused",
        "agent.created",
        "agent.updated",
        "agent.disabled",
        "agent.enabled",
        "agent.deleted",
        "catalogue.reloaded",
        "service.enabled",
        "service.disabled",
        "service.removed",
        "service.discovered",
        "service.credentials_set",
        "service.credentials_cleared",
        "tool.tier_set",
        "tool.acked",
        "tool.added",
        "tool.changed",
        "tool.removed",
        "invite.created",
        "invite.accepted",
        "invite.revoked",
        "invite.expired",
        "invite.mismatch",
        "account.link_created",
        "account.link_used",
        "account.link_voided",
        "account.blocked",
        "account.unblocked",
        "account.mfa_reset",
        "account.signed_out",
        "account.signed_in",
        "account.signin_refused",
        "account.mfa_enrolled",
        "member.added",
        "member.pending",
        "member.approved",
        "member.rejected",
        "member.removed",
        "member.updated",
        "key.issued",
        "key.rotated",
        "key.reset_lost",
        "key.revoked",
        "connection.pending",
        "connection.sealed",
        "connection.refreshed",
        "connection.rewrapped",
        "connection.expired",
        "connection.broken",
        "connection.restored",
        "connection.revoked",
        "connection.in_doubt",
        "policy.created",
        "policy.saved",
        "policy.enabled",
        "policy.disabled",
        "policy.mode",
        "policy.rolled_back",
        "policy.deleted",
        "policy.imported",
        "policy.replayed",
        "session.started",
        "session.ended",
        "audit.exported",
        "audit.revealed",
        "audit.checkpointed",
        "audit.anchor",
        "audit.restored",
        "mail.failed",
        "notify.failed",
        "keyring.rewrapped",
        "clock.backwards",
        "system.started",
        "system.stopped",
        "system.degraded",
        "system.recovered",
    }
)
"""Closed: the journal refuses any other kind."""


@dataclass(frozen=True, slots=True)
class PolicyHit:
    """One row of `audit_policies`: a determining statement of the decision."""

    policy_id: str
    version: int
    statement: int
    effect: str
    mode: str
    key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact to append. `fields` go into the canonical body beside the projections.

    JSON without floats. `arguments`: the sealed `audit_args` of security spec 10 as
    (kid, envelope, expires_at in ms).
    """

    kind: str
    fields: Mapping[str, Json] = field(default_factory=dict)
    call_id: str | None = None
    ref: str | None = None
    agent_id: str | None = None
    member_id: str | None = None
    key_id: str | None = None
    session_id: str | None = None
    service: str | None = None
    tool: str | None = None
    decision: str | None = None
    reason_code: str | None = None
    policies: tuple[PolicyHit, ...] = ()
    arguments: tuple[str, bytes, int] | None = None
    duration_us: int | None = None
    """Of an outcome or denial: feeds the hourly sums."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One chained row as stored.

    `body`: canonical JSON text; `hash` = SHA-256(0x00 ‖ prev ‖ body).
    """

    seq: int
    id: str
    ts: int
    kind: str
    call_id: str | None
    ref: str | None
    agent_id: str | None
    member_id: str | None
    key_id: str | None
    session_id: str | None
    service: str | None
    tool: str | None
    decision: str | None
    reason_code: str | None
    body: str
    prev: bytes
    hash: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement about the first `size` rows. `note`: C2SP signed note text."""

    epoch: int
    size: int
    root: bytes
    note: str
    at: int


def admin_entry(
    kind: str,
    author: Author,
    target: str,
    *,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    **columns: str | None,
) -> Entry:
    """The row of an administrative change: who, on what, from what to what.

    Never holds a secret.
    """
    fields: dict[str, Json] = {**author.signature(), "target": target}
    if before is not None:
        fields["before"] = before
    if after is not None:
        fields["after"] = after
    return Entry(kind=kind, fields=fields, **columns)  # type: ignore[arg-type]  # text columns only

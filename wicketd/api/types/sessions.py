"""Tool sessions on the wire, with the field names of the hosted product."""

from msgspec import Struct

from wicketd.api.types.listing import Paged


class Session(Struct, frozen=True, kw_only=True, rename="camel"):
    """One tool session. `tools_used`: `service:tool` to calls; counts by policy key."""

    id: str
    agent_id: str
    member_id: str
    member: str | None
    agent_type: str | None
    external_session_id: str | None
    is_active: bool
    created_at: str
    last_activity_at: str
    tools_used: dict[str, int]
    policies_allow_counts: dict[str, int]
    policies_deny_counts: dict[str, int]
    calls: int
    denials: int
    terminated_at: str | None
    terminated_reason: str | None


class SessionList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions of an agent. `member`: id or principal."""

    agent: str
    active: bool | None = None
    member: str | None = None


class SessionRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`session`: its id, `ts_…`."""

    agent: str
    session: str

"""Agents on the wire. Times are ISO 8601 in UTC with milliseconds."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from wicketd.api.types.listing import Paged

AgentStatus = Literal["active", "disabled", "deleted"]
Trust = Literal["trusted", "untrusted"]
SessionScope = Literal["conversation", "key"]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Reason = Annotated[str, Meta(max_length=500)]


class Agent(Struct, frozen=True, kw_only=True):
    """One agent. `rev` is the ETag of its own fields, `policy_revision` that of its policies."""

    id: str
    key: str
    name: str
    status: str
    disabled_reason: str | None
    trust: str
    tz: str
    session_scope: str
    policy_revision: int
    tags: tuple[str, ...]
    created_by: str
    created_at: str
    deleted_at: str | None
    rev: int


class AgentList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which agents.

    `q` is part of key or name; `sort` a field, with `-` before it for descending.
    """

    q: str | None = None
    status: AgentStatus | None = None
    trust: Trust | None = None
    tag: str | None = None
    sort: Literal["key", "-key", "created_at", "-created_at"] = "key"


class AgentRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agent`: key or id."""

    agent: str


class AgentCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new agent. `trust` is fixed now; `tz` an IANA zone; `session_scope` defaults by trust."""

    key: str
    name: Name
    trust: Trust = "trusted"
    tz: str = "UTC"
    tags: tuple[str, ...] = ()
    session_scope: SessionScope | None = None


class AgentUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; absent fields stay."""

    agent: str
    name: Name | UnsetType = UNSET
    tz: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    session_scope: SessionScope | UnsetType = UNSET


class AgentStatusSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kill switch. It always works: no `If-Match`."""

    agent: str
    status: Literal["active", "disabled"]
    reason: Reason | None = None


class AgentDelete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Deletes a disabled agent. `confirm` repeats its key."""

    agent: str
    confirm: str


class Panic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Disables one agent, or every active one."""

    agent: str | None = None
    reason: Reason | None = None


class PanicDone(Struct, frozen=True, kw_only=True):
    """The agents that were disabled by this request."""

    agents: tuple[Agent, ...]

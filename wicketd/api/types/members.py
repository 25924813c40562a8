"""Members and their keys on the wire. No answer holds a key but `KeyIssued`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from wicketd.api.types.agents import Reason
from wicketd.api.types.connections import Connection
from wicketd.api.types.listing import Paged

Role = Literal["owner", "member"]
MemberState = Literal["invited", "pending", "approved", "rejected", "removed"]
Label = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,64}\Z")]


class MemberKey(Struct, frozen=True, kw_only=True):
    """What is known of a member key. `key_id` is public: it holds no secret bits."""

    key_id: str
    agent_id: str
    member_id: str
    state: str
    created_at: str
    last_used_day: str | None
    ended_at: str | None
    ended_reason: str | None
    ended_by: str | None


class Member(Struct, frozen=True, kw_only=True):
    """One membership. `principal` is the id that policies use: the e-mail or the local name."""

    id: str
    agent_id: str
    email: str | None
    local_name: str | None
    principal: str
    role: str
    state: str
    state_at: str
    state_by: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    created_at: str
    rev: int
    key: MemberKey | None = None
    """The active key, if there is one."""
    connections: tuple[Connection, ...] = ()
    totp: bool | None = None
    """Whether its account has a second factor; None for a local member."""
    next_step: str = ""
    """What this member waits for: accept, approve, key, or nothing."""


class MemberList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which members. `q` is part of the principal."""

    agent: str
    state: MemberState | None = None
    q: str | None = None


class MemberRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`member`: id, e-mail or local name."""

    agent: str
    member: str


class MemberAdd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A local member: no mailbox, approved at once, key and tokens by admin commands only."""

    agent: str
    name: str
    role: Role = "member"
    groups: tuple[Label, ...] = ()
    tags: tuple[Label, ...] = ()


class MemberUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; absent fields stay."""

    agent: str
    member: str
    role: Role | UnsetType = UNSET
    groups: tuple[Label, ...] | UnsetType = UNSET
    tags: tuple[Label, ...] | UnsetType = UNSET


class MemberApprove(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Admits a pending member.

    `seed_baselines`: on untrusted agents, gives it its own baseline policies.
    """

    agent: str
    member: str
    seed_baselines: bool = False


class MemberReject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refuses a pending member for good."""

    agent: str
    member: str
    reason: Reason | None = None


class KeyList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an agent, ended ones too."""

    agent: str


class KeyIssued(Struct, frozen=True, kw_only=True):
    """A local member's new key. This is the only time that `text`, the key itself, is shown."""

    key: MemberKey
    text: str


class KeyRevoke(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends the member's active key. It always works: no `If-Match`."""

    agent: str
    member: str
    reason: Reason


class KeyRevokeById(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends a key of which only the id is known, such as a leaked one."""

    key_id: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z]{8}\Z")]
    reason: Reason = "reported as leaked"

"""Members of an agent and their keys. Life cycles: product spec, section 3."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AccountId, AgentId, KeyId, MemberId, Revision
from wicketd.domain.lifecycle import Edge


class MemberState(StrEnum):
    """How far a membership has come."""

    INVITED = "invited"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    REMOVED = "removed"


class Role(StrEnum):
    """The Cedar attribute `principal.role`; it grants no administrative right."""

    OWNER = "owner"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Member:
    """One membership.

    Exactly one of `account_id` and `local_name` is set; `email` belongs to the account.
    """

    id: MemberId
    agent_id: AgentId
    account_id: AccountId | None
    email: str | None
    local_name: str | None
    role: Role
    state: MemberState
    state_at: int
    state_by: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    created_at: int
    rev: Revision

    @property
    def is_local(self) -> bool:
        """A member without a mailbox, made by an admin."""
        return self.account_id is None

    @property
    def principal(self) -> str:
        """The id of the Cedar entity: the normalised e-mail, or the local name."""
        return self.email or self.local_name or ""


EDGES: Final = (
    Edge(None, MemberState.APPROVED, "add", "member.added"),
    Edge(None, MemberState.INVITED, "invite", "invite.created"),
    Edge(MemberState.INVITED, MemberState.PENDING, "accept", "member.pending"),
    Edge(MemberState.PENDING, MemberState.APPROVED, "approve", "member.approved"),
    Edge(MemberState.PENDING, MemberState.REJECTED, "reject", "member.rejected"),
    Edge(MemberState.INVITED, MemberState.REMOVED, "remove", "member.removed"),
    Edge(MemberState.PENDING, MemberState.REMOVED, "remove", "member.removed"),
    Edge(MemberState.APPROVED, MemberState.REMOVED, "remove", "member.removed"),
)


class KeyState(StrEnum):
    """Only an active key opens `/mcp`."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class MemberKey:
    """What is stored of a member key.

    Never the key, only a keyed verifier and its public seal half.
    """

    id: str
    key_id: KeyId
    agent_id: AgentId
    member_id: MemberId
    srv_kid: str
    verifier: bytes
    seal_public: bytes
    seal_mac: bytes
    created_at: int
    last_used_day: int | None
    ended_at: int | None
    ended_kind: KeyState | None
    ended_reason: str | None
    ended_by: str | None

    @property
    def state(self) -> KeyState:
        """Active until it ended, then the kind of its end."""
        return self.ended_kind or KeyState.ACTIVE


KEY_EDGES: Final = (
    Edge(None, KeyState.ACTIVE, "issue", "key.issued"),
    Edge(KeyState.ACTIVE, KeyState.REVOKED, "revoke", "key.revoked"),
    Edge(KeyState.ACTIVE, KeyState.SUPERSEDED, "rotate", "key.rotated"),
    Edge(KeyState.ACTIVE, KeyState.SUPERSEDED, "reset_lost", "key.reset_lost"),
)

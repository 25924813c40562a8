"""Accounts: the mailboxes that may sign in to the portal, their sessions, invitations and links.

Rules only; no secret is in any of these values. Life cycles: product spec, section 3.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import (
    AccountId,
    AgentId,
    InviteId,
    MemberId,
    Revision,
    SigninLinkId,
    WebSessionId,
)
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import Edge
from wicketd.domain.members import Role


class AccountStatus(StrEnum):
    """A blocked account signs in nowhere, and its members' keys are refused."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Account:
    """One mailbox. `email`: NFC, trimmed, lower case, IDNA domain; times in ms since 1970 UTC."""

    id: AccountId
    email: str
    verified_at: int | None
    status: AccountStatus
    totp_confirmed_at: int | None
    mfa_locked_until: int | None
    created_at: int
    last_signin_at: int | None
    rev: Revision

    @property
    def has_totp(self) -> bool:
        """Whether a second factor is enrolled: then every sign-in asks for it."""
        return self.totp_confirmed_at is not None


@dataclass(frozen=True, slots=True)
class WebSession:
    """A portal session: idle 12 hours, absolute 7 days. `mfa_at`: its last second factor."""

    id: WebSessionId
    account_id: AccountId
    created_at: int
    last_seen_at: int
    expires_at: int
    mfa_at: int | None
    ip: str
    user_agent: str
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a portal request is: an account through one of its sessions; an author of changes."""

    account: Account
    session: WebSession

    def signature(self) -> JsonObject:
        """The part of an audit row that names the author."""
        return {"accountId": self.account.id}

    def label(self) -> str:
        """How columns such as `state_by` name this author."""
        return f"account:{self.account.id}"


class InviteState(StrEnum):
    """Only an open invitation can be accepted."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation of one address to one agent, 7 days."""

    id: InviteId
    agent_id: AgentId
    member_id: MemberId
    email: str
    role: Role
    kid: str
    created_by: str
    created_at: int
    expires_at: int
    accepted_at: int | None
    revoked_at: int | None
    sent_at: int | None

    def state(self, now_ms: int) -> InviteState:
        """What it is at `now_ms`; an end that happened counts before the date.

        A closed row that ran out carries `revoked_at = expires_at`.
        """
        if self.accepted_at is not None:
            return InviteState.ACCEPTED
        if self.revoked_at is not None and self.revoked_at < self.expires_at:
            return InviteState.REVOKED
        return InviteState.OPEN if now_ms < self.expires_at else InviteState.EXPIRED


INVITE_EDGES: Final = (
    Edge(None, InviteState.OPEN, "invite", "invite.created"),
    Edge(InviteState.OPEN, InviteState.ACCEPTED, "accept", "invite.accepted"),
    Edge(InviteState.OPEN, InviteState.REVOKED, "revoke", "invite.revoked"),
    Edge(InviteState.OPEN, InviteState.EXPIRED, "expire", "invite.expired"),
)


class LinkState(StrEnum):
    """Only an open link signs in, once."""

    OPEN = "open"
    USED = "used"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class SigninLink:
    """An administrator's single-use sign-in link (`mail = "off"`), 24 hours."""

    id: SigninLinkId
    account_id: AccountId
    invite_id: InviteId | None
    created_by: str
    created_at: int
    expires_at: int
    used_at: int | None
    void_at: int | None

    def state(self, now_ms: int) -> LinkState:
        """What it is at `now_ms`; over its time it is void."""
        if self.used_at is not None:
            return LinkState.USED
        is_void = self.void_at is not None or now_ms >= self.expires_at
        return LinkState.VOID if is_void else LinkState.OPEN


LINK_EDGES: Final = (
    Edge(None, LinkState.OPEN, "create", "account.link_created"),
    Edge(LinkState.OPEN, LinkState.USED, "use", "account.link_used"),
    Edge(LinkState.OPEN, LinkState.VOID, "void", "account.link_voided"),
)

"""Accounts and their portal sessions on the wire. No answer holds a secret but `AccountLink`."""

from typing import Literal

from msgspec import Struct

from wicketd.api.types.agents import Reason
from wicketd.api.types.listing import Paged

AccountStatus = Literal["active", "blocked"]


class Account(Struct, frozen=True, kw_only=True):
    """One mailbox. `totp`: whether a second factor is enrolled."""

    id: str
    email: str
    verified_at: str | None
    status: str
    totp: bool
    totp_confirmed_at: str | None
    mfa_locked_until: str | None
    created_at: str
    last_signin_at: str | None
    rev: int


class WebSession(Struct, frozen=True, kw_only=True):
    """A portal session that lives. `mfa_at`: when a second factor was last proven in it."""

    id: str
    created_at: str
    last_seen_at: str
    expires_at: str
    mfa_at: str | None
    ip: str
    user_agent: str


class Membership(Struct, frozen=True, kw_only=True):
    """What the account is on one agent."""

    agent_id: str
    member_id: str
    role: str
    state: str


class AccountDetail(Struct, frozen=True, kw_only=True):
    """An account with its living sessions and the memberships that have not ended."""

    account: Account
    sessions: tuple[WebSession, ...]
    memberships: tuple[Membership, ...]


class AccountList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which accounts. `q` is part of the address."""

    q: str | None = None
    status: AccountStatus | None = None


class AccountRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account`: id or address."""

    account: str


class AccountStatusSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Blocks or unblocks. It always works: no `If-Match`."""

    account: str
    status: AccountStatus


class Offboard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Blocks the account and ends its memberships on all agents. It always works: no `If-Match`."""

    account: str
    reason: Reason | None = None


class Offboarded(Struct, frozen=True, kw_only=True):
    """The memberships that this request ended: none when it had been done before."""

    account: Account
    ended: tuple[Membership, ...]


class SessionRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One portal session of an account."""

    account: str
    session: str


class SignedOut(Struct, frozen=True, kw_only=True):
    """How many sessions ended."""

    sessions: int


class AccountLink(Struct, frozen=True, kw_only=True):
    """A single-use sign-in link. This is the only time that `url` is shown."""

    url: str
    expires_at: str

"""Accounts, portal sessions and invitations to contract structs. Sibling of `mapping`."""

from wicketd.admin.mapping import iso, iso_or_none
from wicketd.api.types import accounts as wire
from wicketd.api.types import invites as wire_invites
from wicketd.domain.accounts import Account, Invite, SigninLink, WebSession
from wicketd.domain.members import Member, Role
from wicketd.services.accounts import AccountView
from wicketd.services.invites import Invited, InviteFields
from wicketd.services.offboarding import Offboarded
from wicketd.vault.secret import Secret


def account(value: Account) -> wire.Account:
    """An account."""
    return wire.Account(
        id=value.id,
        email=value.email,
        verified_at=iso_or_none(value.verified_at),
        status=value.status.value,
        totp=value.has_totp,
        totp_confirmed_at=iso_or_none(value.totp_confirmed_at),
        mfa_locked_until=iso_or_none(value.mfa_locked_until),
        created_at=iso(value.created_at),
        last_signin_at=iso_or_none(value.last_signin_at),
        rev=value.rev,
    )


def account_detail(value: AccountView) -> wire.AccountDetail:
    """An account with sessions and memberships."""
    return wire.AccountDetail(
        account=account(value.account),
        sessions=tuple(map(web_session, value.sessions)),
        memberships=tuple(map(membership, value.members)),
    )


def web_session(value: WebSession) -> wire.WebSession:
    """A portal session; its token is nowhere."""
    return wire.WebSession(
        id=value.id,
        created_at=iso(value.created_at),
        last_seen_at=iso(value.last_seen_at),
        expires_at=iso(value.expires_at),
        mfa_at=iso_or_none(value.mfa_at),
        ip=value.ip,
        user_agent=value.user_agent,
    )


def membership(value: Member) -> wire.Membership:
    """A membership in short."""
    return wire.Membership(
        agent_id=value.agent_id,
        member_id=value.id,
        role=value.role.value,
        state=value.state.value,
    )


def offboarded(value: Offboarded) -> wire.Offboarded:
    """A blocked account and what ended with it."""
    return wire.Offboarded(
        account=account(value.account), ended=tuple(map(membership, value.members))
    )


def account_link(link: SigninLink, url: Secret) -> wire.AccountLink:
    """A new sign-in link: the one answer that holds it."""
    return wire.AccountLink(url=url.reveal().decode(), expires_at=iso(link.expires_at))


def invite(value: Invite, now_ms: int) -> wire_invites.Invite:
    """An invitation in its state at `now_ms`."""
    return wire_invites.Invite(
        id=value.id,
        agent_id=value.agent_id,
        member_id=value.member_id,
        email=value.email,
        role=value.role.value,
        state=value.state(now_ms).value,
        created_by=value.created_by,
        created_at=iso(value.created_at),
        expires_at=iso(value.expires_at),
        accepted_at=iso_or_none(value.accepted_at),
        sent_at=iso_or_none(value.sent_at),
    )


def invite_fields(asked: wire_invites.InviteCreate) -> InviteFields:
    """Whom to invite."""
    return InviteFields(
        email=asked.email,
        role=Role(asked.role),
        groups=asked.groups,
        tags=asked.tags,
        send=asked.send,
    )


def invited(value: Invited, now_ms: int) -> wire_invites.InviteCreated:
    """A new invitation: the one answer that holds its link."""
    return wire_invites.InviteCreated(
        invite=invite(value.invite, now_ms),
        url=value.url.reveal().decode(),
        url_expires_at=iso(value.url_expires_at),
    )

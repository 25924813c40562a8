"""`wicket account`: the mailboxes that may sign in to the portal."""

from typing import Annotated

import typer

from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import facts, note, table
from wicket_tui.headless.stdin import confirmed
from wicketd.api import endpoints
from wicketd.api.types import accounts

app = noun("Accounts of the portal: block, sign out, reset the second factor, give a link.")

AccountArg = Annotated[str, typer.Argument(metavar="E", help="Account: address or id.")]


@command(app, "list")
async def list_(shell: Shell) -> None:
    """The accounts, by address."""
    items = await shell.all(endpoints.ACCOUNT_LIST, accounts.AccountList())
    heads = ("address", "status", "second factor", "locked until", "last sign-in", "created")
    rows = [
        (a.email, a.status, a.totp, a.mfa_locked_until, a.last_signin_at, a.created_at)
        for a in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "show")
async def show(shell: Shell, account: AccountArg) -> None:
    """One account, with its web sessions and memberships."""
    found = await shell.call(endpoints.ACCOUNT_SHOW, accounts.AccountRef(account=account))
    shell.show(found, _summary(found))


@command(app, "block")
async def block(shell: Shell, account: AccountArg) -> Exit | None:
    """Block an account: sessions end, its members' keys are refused from now on."""
    if not confirmed(f"Block {account} and end what it runs?", yes=shell.yes):
        return Exit.FAILED
    request = accounts.AccountStatusSet(account=account, status="blocked")
    changed = await shell.call(endpoints.ACCOUNT_STATUS, request)
    shell.done(changed, f"{changed.email} is blocked.")
    return None


@command(app, "unblock")
async def unblock(shell: Shell, account: AccountArg) -> None:
    """Take a block back."""
    request = accounts.AccountStatusSet(account=account, status="active")
    changed = await shell.call(endpoints.ACCOUNT_STATUS, request)
    shell.done(changed, f"{changed.email} may sign in again.")


@command(app, "sign-out")
async def sign_out(
    shell: Shell,
    account: AccountArg,
    session: Annotated[
        str | None, typer.Argument(metavar="[SID]", help="One session's id; without: all.")
    ] = None,
) -> None:
    """End one web session of an account, or all."""
    if session is None:
        every = accounts.AccountRef(account=account)
        ended = await shell.call(endpoints.ACCOUNT_SIGN_OUT, every)
    else:
        one = accounts.SessionRef(account=account, session=session)
        ended = await shell.call(endpoints.ACCOUNT_SIGN_OUT_ONE, one)
    shell.done(ended, f"{ended.sessions} web sessions of {account} ended.")


@command(app, "reset-mfa")
async def reset_mfa(shell: Shell, account: AccountArg) -> Exit | None:
    """Forget a lost second factor; the account enrols a new one."""
    question = f"Reset the second factor of {account}? Make sure that it is this person who asks."
    if not confirmed(question, yes=shell.yes):
        return Exit.FAILED
    changed = await shell.call(endpoints.ACCOUNT_MFA_RESET, accounts.AccountRef(account=account))
    shell.done(changed, f"{changed.email} has no second factor and is signed out everywhere.")
    return None


@command(app, "link")
async def link(shell: Shell, account: AccountArg) -> None:
    """Make a single-use sign-in link and print it, this once. Where no mail is sent."""
    made = await shell.call(endpoints.ACCOUNT_LINK, accounts.AccountRef(account=account))
    shell.show(made, made.url)
    note(
        f"This is the only time this link is shown; it signs in once, until {made.expires_at}. "
        f"Whoever opens it is {account}: pass it on in person. The second factor is set up anew."
    )


def _summary(found: accounts.AccountDetail) -> str:
    account = found.account
    head = facts(
        (
            ("address", account.email),
            ("id", account.id),
            ("status", account.status),
            ("verified", account.verified_at),
            ("second factor", account.totp_confirmed_at),
            ("locked until", account.mfa_locked_until),
            ("last sign-in", account.last_signin_at),
            ("created", account.created_at),
            ("rev", account.rev),
        )
    )
    parts = [head]
    if found.memberships:
        rows = [(m.agent_id, m.member_id, m.role, m.state) for m in found.memberships]
        parts.append(table(("agent id", "member id", "role", "state"), rows))
    if found.sessions:
        seen = [(s.id, s.created_at, s.last_seen_at, s.ip, s.user_agent) for s in found.sessions]
        parts.append(table(("session", "began", "last seen", "ip", "device"), seen))
    return "\n\n".join(parts)

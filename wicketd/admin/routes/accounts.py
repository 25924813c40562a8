"""Accounts: list, show, block, sign out, reset the second factor, give a link, offboard."""

from typing import Final

from wicketd.admin import account_mapping as mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import accounts as wire
from wicketd.api.types.listing import Page


async def list_(uses: UseCases, ask: Ask[wire.AccountList]) -> Page[wire.Account]:
    """Accounts that pass the filter, by address."""
    asked = ask.request
    found = [
        account
        for account in await uses.accounts.list()
        if (asked.q is None or asked.q.lower() in account.email)
        and asked.status in (None, account.status.value)
    ]
    return page(found, asked, key=lambda account: account.id, view=mapping.account)


async def show(uses: UseCases, ask: Ask[wire.AccountRef]) -> wire.AccountDetail:
    """One account, with sessions and memberships."""
    return mapping.account_detail(await uses.accounts.show(ask.request.account))


async def set_status(uses: UseCases, ask: Ask[wire.AccountStatusSet]) -> wire.Account:
    """An account is blocked or unblocked."""
    asked = ask.request
    change = uses.accounts.block if asked.status == "blocked" else uses.accounts.unblock
    return mapping.account(await change(ask.actor, asked.account))


async def reset_mfa(uses: UseCases, ask: Ask[wire.AccountRef]) -> wire.Account:
    """Authenticator and backup codes are forgotten, sessions end."""
    return mapping.account(await uses.accounts.reset_mfa(ask.actor, ask.request.account))


async def sign_out(uses: UseCases, ask: Ask[wire.AccountRef]) -> wire.SignedOut:
    """Every session of an account ends."""
    ended = await uses.accounts.sign_out(ask.actor, ask.request.account)
    return wire.SignedOut(sessions=ended)


async def sign_out_one(uses: UseCases, ask: Ask[wire.SessionRef]) -> wire.SignedOut:
    """One session of an account ends."""
    asked = ask.request
    ended = await uses.accounts.sign_out(ask.actor, asked.account, asked.session)
    return wire.SignedOut(sessions=ended)


async def link(uses: UseCases, ask: Ask[wire.AccountRef]) -> wire.AccountLink:
    """A new single-use sign-in link."""
    made, url = await uses.accounts.link(ask.actor, ask.request.account)
    return mapping.account_link(made, url)


async def offboard(uses: UseCases, ask: Ask[wire.Offboard]) -> wire.Offboarded:
    """An account is blocked and its memberships end on all agents."""
    asked = ask.request
    done = await uses.offboarding.offboard(ask.actor, asked.account, asked.reason)
    return mapping.offboarded(done)


HANDLERS: Final[Handlers] = {
    "account.list": list_,
    "account.show": show,
    "account.status": set_status,
    "account.mfa_reset": reset_mfa,
    "account.sign_out": sign_out,
    "account.sign_out_one": sign_out_one,
    "account.link": link,
    "account.offboard": offboard,
}

"""Invitations: list, create, resend, revoke."""

from typing import Final

from wicketd.admin import account_mapping as mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import invites as wire
from wicketd.api.types.listing import Nothing, Page


async def list_(uses: UseCases, ask: Ask[wire.InviteList]) -> Page[wire.Invite]:
    """Every invitation to the agent, oldest first."""
    found, now = await uses.invites.list(ask.request.agent), uses.clock.now_ms()
    return page(
        found, ask.request, key=lambda one: one.id, view=lambda one: mapping.invite(one, now)
    )


async def create(uses: UseCases, ask: Ask[wire.InviteCreate]) -> wire.InviteCreated:
    """A new invitation and its link."""
    asked = ask.request
    made = await uses.invites.create(ask.actor, asked.agent, **mapping.invite_fields(asked))
    return mapping.invited(made, uses.clock.now_ms())


async def resend(uses: UseCases, ask: Ask[wire.InviteResend]) -> wire.InviteCreated:
    """A new link; the old one is dead."""
    asked = ask.request
    made = await uses.invites.resend(ask.actor, asked.agent, asked.invite, send=asked.send)
    return mapping.invited(made, uses.clock.now_ms())


async def revoke(uses: UseCases, ask: Ask[wire.InviteRef]) -> Nothing:
    """An open invitation is taken back."""
    await uses.invites.revoke(ask.actor, ask.request.agent, ask.request.invite)
    return Nothing()


HANDLERS: Final[Handlers] = {
    "invite.list": list_,
    "invite.create": create,
    "invite.resend": resend,
    "invite.revoke": revoke,
}

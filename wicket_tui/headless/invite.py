"""`wicket invite`: who is asked to join an agent."""

from typing import Annotated

import typer

from wicket_tui.headless.arguments import AgentArg, GroupOpt, RoleOpt, TagOpt
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, table
from wicket_tui.headless.stdin import confirmed
from wicketd.api import endpoints
from wicketd.api.types import invites

app = noun("Invitations to an agent: create, list, resend, revoke.")

InviteArg = Annotated[str, typer.Argument(metavar="I", help="Invitation: its id.")]
SendOpt = Annotated[bool, typer.Option("--send", help="Mail the link, where mail is on.")]


@command(app, "list")
async def list_(shell: Shell, agent: AgentArg) -> None:
    """The invitations to an agent, ended ones too. Their links are nowhere."""
    items = await shell.all(endpoints.INVITE_LIST, invites.InviteList(agent=agent))
    heads = ("id", "address", "role", "state", "expires", "sent", "by")
    rows = [(i.id, i.email, i.role, i.state, i.expires_at, i.sent_at, i.created_by) for i in items]
    shell.show(items, table(heads, rows))


@command(app, "create")
async def create(  # noqa: PLR0913  # one parameter an option
    shell: Shell,
    agent: AgentArg,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address to invite.")],
    *,
    role: RoleOpt = None,
    group: GroupOpt = None,
    tag: TagOpt = None,
    send: SendOpt = False,
) -> None:
    """Invite an address and print its link, this once."""
    request = invites.InviteCreate(
        agent=agent,
        email=email,
        role=role or "member",
        groups=tuple(group or ()),
        tags=tuple(tag or ()),
        send=send,
    )
    _show(shell, await shell.call(endpoints.INVITE_CREATE, request), sent=send)


@command(app, "resend")
async def resend(
    shell: Shell, agent: AgentArg, invite: InviteArg, *, send: SendOpt = False
) -> None:
    """Make a new link for who is still invited; the old one is dead."""
    request = invites.InviteResend(agent=agent, invite=invite, send=send)
    _show(shell, await shell.call(endpoints.INVITE_RESEND, request), sent=send)


@command(app, "revoke")
async def revoke(shell: Shell, agent: AgentArg, invite: InviteArg) -> Exit | None:
    """Take an open invitation back; its link is dead at once."""
    if not confirmed(f"Revoke the invitation {invite}?", yes=shell.yes):
        return Exit.FAILED
    request = invites.InviteRef(agent=agent, invite=invite)
    gone = await shell.call(endpoints.INVITE_REVOKE, request)
    shell.done(gone, "The invitation is revoked.")
    return None


def _show(shell: Shell, made: invites.InviteCreated, *, sent: bool) -> None:
    shell.show(made, made.url)
    way = "It is on its way by mail." if sent else f"Pass it on to {made.invite.email} alone."
    note(f"This is the only time this link is shown; it works until {made.url_expires_at}. {way}")

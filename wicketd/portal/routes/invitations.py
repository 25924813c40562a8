"""Invitations: what a link is for, and accepting it."""

from urllib.parse import urlencode

from wicketd.portal.pages import Answer, Ask, Page, Redirect
from wicketd.portal.usecases import UseCases


async def show(uses: UseCases, ask: Ask) -> Answer:
    """Shows agent and invited address; whoever is signed in as that address may accept."""
    invitation = await uses.joining.show(ask.params["token"])
    visitor = ask.visitor
    is_other = visitor is not None and visitor.account.email != invitation.email
    if visitor is not None and is_other:
        await uses.joining.note_other(visitor, ask.params["token"])
    values = {
        "invitation": invitation,
        "form": ask.path,
        "is_other": is_other,
        "signin": "/signin?" + urlencode({"next": ask.path, "email": invitation.email}),
    }
    return Page("join.html", values, 403 if is_other else 200)


async def accept(uses: UseCases, ask: Ask) -> Answer:
    """Makes the visitor a member that waits for approval."""
    member = await uses.joining.accept(ask.who(), ask.params["token"])
    return Redirect(f"/agents/{member.agent_id}?done=joined")


async def accept_listed(uses: UseCases, ask: Ask) -> Answer:
    """The same from the list of agents, where open invitations stand."""
    member = await uses.joining.accept(ask.who(), ask.field("invitation"))
    return Redirect(f"/agents/{member.agent_id}?done=joined")

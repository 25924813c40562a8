"""The member key: made, rotated, replaced when lost, revoked. Its text is in one answer only.

Invariant: each form names the key it replaces, so a form that is sent twice makes no second key.
"""

from typing import Final

from wicketd.api.snippets import KEY_VARIABLE
from wicketd.domain.errors import Conflict, Invalid, NotApproved
from wicketd.portal.pages import Answer, Ask, Page, Redirect
from wicketd.portal.usecases import UseCases
from wicketd.services.keys import IssuedKey
from wicketd.services.own import OwnAgent

SHOWN: Final = (
    "This form was sent before and its key was shown then; a key is shown once. If you did not "
    "save it, go back to the page of your key and say that you lost it."
)


async def show(uses: UseCases, ask: Ask) -> Answer:
    """The forms that fit: the first key, or rotate and lost."""
    own = await _own(uses, ask)
    uses.recent.check(ask.who())
    return _page(own, ask)


async def make(uses: UseCases, ask: Ask) -> Answer:
    """Makes the key and shows it; a mistake with the old key is told beside its field."""
    visitor = ask.who()
    own = await _own(uses, ask)
    uses.recent.check(visitor)
    current = "" if own.key is None else own.key.key_id
    if ask.field("current") != current:
        raise Conflict(SHOWN)
    try:
        issued = await _issue(uses, ask)
    except Invalid as error:
        return _page(own, ask, problem=error.message)
    values = {
        "own": own,
        "key": issued.text.reveal().decode("ascii"),
        "variable": KEY_VARIABLE,
        "mcp_url": uses.mcp_url,
        "here": "agents",
    }
    return Page("key_shown.html", values)


async def ask_revoke(uses: UseCases, ask: Ask) -> Answer:
    """Says what revoking does."""
    own = await uses.own.agent(ask.who(), ask.params["agent"])
    if own.key is None:
        raise Conflict("You have no key for this agent. There is nothing to revoke.")
    return Page("key_revoke.html", {"own": own, "form": ask.path, "here": "agents"})


async def revoke(uses: UseCases, ask: Ask) -> Answer:
    """Ends the key at once."""
    agent = ask.params["agent"]
    await uses.keys.revoke_own(ask.who(), agent)
    return Redirect(f"/agents/{agent}?done=revoked")


async def _issue(uses: UseCases, ask: Ask) -> IssuedKey:
    visitor, agent = ask.who(), ask.params["agent"]
    match ask.field("way"):
        case "first":
            return await uses.keys.issue_own(visitor, agent)
        case "rotate":
            return await uses.keys.rotate_own(visitor, agent, ask.field("old").encode())
        case "lost":
            return await uses.keys.replace_lost(visitor, agent)
        case _:
            raise Conflict("This form says not what to do. Open the page of your key again.")


async def _own(uses: UseCases, ask: Ask) -> OwnAgent:
    own = await uses.own.agent(ask.who(), ask.params["agent"])
    if not own.is_approved:
        raise NotApproved("An administrator has to approve you first. Then make your key here.")
    return own


def _page(own: OwnAgent, ask: Ask, problem: str | None = None) -> Page:
    values = {"own": own, "problem": problem, "form": ask.path, "here": "agents"}
    return Page("key.html", values, 422 if problem else 200)

"""The member's agents: cards, one agent with its checklist, leaving."""

from typing import Final

from wicketd.api.snippets import PLACES, snippets
from wicketd.portal.pages import Answer, Ask, Page, Redirect
from wicketd.portal.usecases import UseCases

_CLIENTS: Final = ("claude-code", "cursor", "vscode", "codex", "claude-desktop")
DONE: Final = {
    "joined": "You accepted the invitation. An administrator approves you next.",
    "connected": "The account is connected.",
    "saved": "The token is saved.",
    "discarded": "Nothing was kept of that account.",
    "disconnected": "The service is disconnected; nothing is kept of its credential.",
    "revoked": "Your key is revoked. Clients that use it are refused from now on.",
    "left": "You left the agent. Your key and credentials for it are gone.",
}
"""What just happened, by the word that a redirect brings along; any other word says nothing."""


async def cards(uses: UseCases, ask: Ask) -> Answer:
    """One card an agent, with its state and next step; open invitations above."""
    visitor = ask.who()
    invitations = [
        (one.agent_name, one.token.reveal().decode("ascii"))
        for one in await uses.joining.open_for(visitor)
    ]
    values = {
        "agents": await uses.own.agents(visitor),
        "invitations": invitations,
        "done": DONE.get(ask.query.get("done", "")),
        "here": "agents",
    }
    return Page("agents.html", values)


async def show(uses: UseCases, ask: Ask) -> Answer:
    """Checklist, services, key and client set-up of one agent."""
    own = await uses.own.agent(ask.who(), ask.params["agent"])
    texts = snippets(uses.mcp_url)
    values = {
        "own": own,
        "done": DONE.get(ask.query.get("done", "")),
        "snippets": [(PLACES[client], texts[client]) for client in _CLIENTS],
        "mcp_url": uses.mcp_url,
        "here": "agents",
    }
    return Page("agent.html", values)


async def ask_leave(uses: UseCases, ask: Ask) -> Answer:
    """Says what leaving does."""
    own = await uses.own.agent(ask.who(), ask.params["agent"])
    return Page("leave.html", {"own": own, "form": ask.path, "here": "agents"})


async def leave(uses: UseCases, ask: Ask) -> Answer:
    """Ends the membership."""
    await uses.members.leave(ask.who(), ask.params["agent"])
    return Redirect("/agents?done=left")

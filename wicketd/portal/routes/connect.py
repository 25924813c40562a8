"""Connecting a service: consent, the provider's answer, a static token, disconnecting."""

from urllib.parse import urlsplit

from wicketd.domain.errors import Forbidden, Invalid, NotFound, TooLarge
from wicketd.portal.forms import MAX_QUERY
from wicketd.portal.pages import Answer, Ask, Asset, Page, Redirect
from wicketd.portal.usecases import UseCases


async def consent(uses: UseCases, ask: Ask) -> Answer:
    """Says what will be asked for, where, and what the agent may then do."""
    own, service = await uses.own.service(ask.who(), *_names(ask))
    asked = await uses.flows.prepare(ask.who(), *_names(ask))
    values = {"own": own, "service": service, "consent": asked, "form": ask.path, "here": "agents"}
    return Page("connect.html", values)


async def start(uses: UseCases, ask: Ask) -> Answer:
    """Begins an attempt and leads to the provider.

    A page with a link and a meta refresh, no redirect: `form-action 'self'` would stop a provider
    that sends the browser on (security spec, 6.3).
    """
    own, service = await uses.own.service(ask.who(), *_names(ask))
    url = await uses.flows.start(ask.who(), *_names(ask))
    host = urlsplit(url).hostname or ""
    values = {"own": own, "service": service, "url": url, "host": host, "here": "agents"}
    return Page("leaving.html", values)


async def callback(uses: UseCases, ask: Ask) -> Answer:
    """Redeems what the provider sent back and asks whether to keep it."""
    service, visitor, factors = ask.params["service"], ask.visitor, uses.factors
    if len(ask.raw_query) > MAX_QUERY:
        raise Forbidden("The provider's answer is too long, so nothing was connected. Try again.")
    if visitor is None or factors.must_prove(visitor) or factors.must_enrol(visitor):
        await uses.flows.turn_away(service, ask.raw_query)
        message = "This browser did not start that connection, so nothing was connected. "
        raise Forbidden(message + "Sign in here, then connect the service from your agent's page.")
    found = await uses.flows.callback(visitor, service, ask.raw_query)
    return Page("confirm.html", {"found": found, "form": ask.path, "here": "agents"})


async def decide(uses: UseCases, ask: Ask) -> Answer:
    """Keeps the account, or lets go of it."""
    visitor, flow = ask.who(), ask.field("flow")
    if ask.field("answer") == "keep":
        kept = await uses.flows.confirm(visitor, flow)
        return Redirect(f"/agents/{kept.agent_id}?done=connected")
    await uses.flows.discard(visitor, flow)
    return Redirect("/agents?done=discarded")


async def client_document(uses: UseCases, _ask: Ask) -> Answer:
    """How providers know us, where a metadata document is our name (security spec, 6.2)."""
    document = uses.flows.client_document()
    if document is None:
        raise NotFound("no such document")
    return Asset(document, "application/json", is_lasting=False)


async def show_token(uses: UseCases, ask: Ask) -> Answer:
    """Asks for a token that the member made at the provider."""
    return await _token_page(uses, ask)


async def save_token(uses: UseCases, ask: Ask) -> Answer:
    """Stores the token sealed; it is never shown again, not even after a mistake."""
    agent, key = _names(ask)
    try:
        await uses.connections.set_own_static(ask.who(), agent, key, ask.field("token").encode())
    except (Invalid, TooLarge) as error:
        return await _token_page(uses, ask, problem=error.message)
    return Redirect(f"/agents/{agent}?done=saved")


async def ask_disconnect(uses: UseCases, ask: Ask) -> Answer:
    """Says what disconnecting does."""
    own, service = await uses.own.service(ask.who(), *_names(ask))
    values = {"own": own, "service": service, "form": ask.path, "here": "agents"}
    return Page("disconnect.html", values)


async def disconnect(uses: UseCases, ask: Ask) -> Answer:
    """Destroys what is kept for the service."""
    agent, key = _names(ask)
    await uses.connections.disconnect_own(ask.who(), agent, key)
    return Redirect(f"/agents/{agent}?done=disconnected")


async def _token_page(uses: UseCases, ask: Ask, problem: str | None = None) -> Page:
    own, service = await uses.own.service(ask.who(), *_names(ask))
    if service.kind != "static":
        raise NotFound("This service takes no token.")
    values = {
        "own": own,
        "service": service,
        "problem": problem,
        "form": ask.path,
        "here": "agents",
    }
    return Page("token.html", values, 422 if problem else 200)


def _names(ask: Ask) -> tuple[str, str]:
    return ask.params["agent"], ask.params["service"]

"""`wicket connection`: members' credentials for services. Tokens go in on stdin, never out."""

from typing import Annotated

import typer
from msgspec import structs

from wicket_tui.headless.arguments import AgentArg, MemberArg, ServiceArg
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, table
from wicket_tui.headless.stdin import InputFailed, confirmed, secret
from wicketd.api import endpoints
from wicketd.api.text import safe_text
from wicketd.api.types import connections

app = noun("Connections of members to services.")


@command(app, "list")
async def list_(shell: Shell, agent: AgentArg) -> None:
    """The connections of an agent, without credentials."""
    items = await shell.all(endpoints.CONNECTION_LIST, connections.ConnectionList(agent=agent))
    heads = ("member", "service", "state", "origin", "last used", "pending until", "error")
    rows = [
        (c.member, c.service, c.state, c.origin, c.last_used_at, c.pending_expires_at, c.error)
        for c in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "set")
async def set_(
    shell: Shell,
    agent: AgentArg,
    member: MemberArg,
    service: ServiceArg,
    *,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token: stdin is the only way.")
    ] = False,
) -> None:
    """Store a local member's static token, sealed."""
    if not token_stdin:
        message = "The token comes on stdin only: repeat with --token-stdin."
        raise InputFailed(message)
    request = connections.ConnectionSet(
        agent=agent, member=member, service=service, token=secret("Token: ")
    )
    kept = await shell.call(endpoints.CONNECTION_SET, request)
    shell.done(kept, _next(agent, member, service, kept))


@command(app, "discard")
async def discard(
    shell: Shell, agent: AgentArg, member: MemberArg, service: ServiceArg
) -> Exit | None:
    """Destroy a member's connection to a service."""
    if not confirmed(f"Discard the connection of {member} to {service}?", yes=shell.yes):
        return Exit.FAILED
    request = connections.ConnectionRef(agent=agent, member=member, service=service)
    gone = await shell.call(endpoints.CONNECTION_DISCARD, request)
    shell.done(gone, f"The connection of {member} to {service} is destroyed.")
    return None


@command(app, "connect")
async def connect(shell: Shell, agent: AgentArg, member: MemberArg, service: ServiceArg) -> None:
    """Connect a local member to a service with a sign-in, without a browser on this host."""
    request = connections.ConnectionSignIn(agent=agent, member=member, service=service)
    begun = await shell.call(endpoints.CONNECTION_OAUTH, request)
    note(
        "Open this address in any browser within ten minutes and sign in:\n\n"
        f"{safe_text(begun.url or '', limit=8_192)}\n\n"
        "The provider then sends the browser to an address that may not open: that is all right. "
        "Copy the whole address from the browser's address bar."
    )
    finished = await shell.call(
        endpoints.CONNECTION_OAUTH,
        structs.replace(request, redirect=secret("Address, or the code in it: ")),
    )
    shell.done(finished, _signed_in(agent, member, service, finished))


def _signed_in(agent: str, member: str, service: str, done: connections.SignIn) -> str:
    account = done.account or "an account"
    scopes = ", ".join(done.scopes) or "none"
    said = f"{member} is connected to {account} of {service}, scopes: {scopes}."
    if done.state != "pending":
        return said
    until = done.pending_expires_at or "its deadline"
    return f"{said} Usable once there is a key, until {until}: wicket key issue {agent} {member}"


def _next(agent: str, member: str, service: str, kept: connections.Connection) -> str:
    if kept.state == "pending":
        until = kept.pending_expires_at or "its deadline"
        return (
            f"The token for {service} waits until {until} and is not usable yet. "
            f"Next: wicket key issue {agent} {member}"
        )
    return f"The token for {service} is sealed to the key of {member}."

"""Connections: list as metadata, set a static token, discard."""

from typing import Final

from wicketd.admin import mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import connections as wire
from wicketd.api.types.listing import Nothing, Page


async def list_(uses: UseCases, ask: Ask[wire.ConnectionList]) -> Page[wire.Connection]:
    """Every connection of the agent."""
    found = await uses.connections.list(ask.request.agent)
    members = {m.id: m.principal for m in await uses.members.list(ask.request.agent)}
    return page(
        found,
        ask.request,
        key=lambda held: held.connection.id,
        view=lambda held: mapping.connection(
            held.connection, service=held.service, member=members.get(held.connection.member_id)
        ),
    )


async def set_(uses: UseCases, ask: Ask[wire.ConnectionSet]) -> wire.Connection:
    """A local member's static token, sealed."""
    asked = ask.request
    kept = await uses.connections.set_static(
        ask.actor, asked.agent, asked.member, asked.service, asked.token.encode()
    )
    return mapping.connection(kept, service=asked.service, member=asked.member)


async def discard(uses: UseCases, ask: Ask[wire.ConnectionRef]) -> Nothing:
    """A connection is destroyed."""
    asked = ask.request
    await uses.connections.discard(ask.actor, asked.agent, asked.member, asked.service)
    return Nothing()


async def sign_in(uses: UseCases, ask: Ask[wire.ConnectionSignIn]) -> wire.SignIn:
    """A local member's sign-in is begun, or finished with what the browser was sent to."""
    asked = ask.request
    where = (asked.agent, asked.member, asked.service)
    if asked.redirect is None:
        return wire.SignIn(url=await uses.flows.start_for(ask.actor, *where))
    done = await uses.flows.finish_for(ask.actor, *where, asked.redirect)
    return wire.SignIn(
        account=done.account_label,
        scopes=done.scopes,
        state=done.state.value,
        pending_expires_at=mapping.iso_or_none(done.pending_expires_at),
    )


HANDLERS: Final[Handlers] = {
    "connection.list": list_,
    "connection.set": set_,
    "connection.discard": discard,
    "connection.oauth": sign_in,
}

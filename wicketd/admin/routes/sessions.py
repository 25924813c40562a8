"""Tool sessions: list, show, reset."""

from typing import Final

from wicketd.admin import mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import sessions as wire
from wicketd.api.types.listing import Page


async def list_(uses: UseCases, ask: Ask[wire.SessionList]) -> Page[wire.Session]:
    """Sessions that pass the filter, newest activity first."""
    asked = ask.request
    agent = await uses.agents.get(asked.agent)
    names = {m.id: m.principal for m in await uses.members.list(asked.agent)}
    found = [
        mapping.session(one, names.get(one.member_id))
        for one in await uses.sessions.list(agent, active=asked.active)
        if asked.member in (None, one.member_id, names.get(one.member_id))
    ]
    return page(found, asked, key=lambda one: one.id, view=lambda one: one)


async def show(uses: UseCases, ask: Ask[wire.SessionRef]) -> wire.Session:
    """One session with its counters."""
    agent = await uses.agents.get(ask.request.agent)
    found = await uses.sessions.get(agent, ask.request.session)
    member = await uses.members.get(agent.id, found.member_id)
    return mapping.session(found, member.principal)


async def reset(uses: UseCases, ask: Ask[wire.SessionRef]) -> wire.Session:
    """A session ends now."""
    agent = await uses.agents.get(ask.request.agent)
    ended = await uses.sessions.reset(ask.actor, agent, ask.request.session)
    return mapping.session(ended, None)


HANDLERS: Final[Handlers] = {
    "session.list": list_,
    "session.show": show,
    "session.reset": reset,
}

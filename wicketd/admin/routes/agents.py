"""Agents: list, show, create, change, kill switch, delete, panic."""

from typing import Final

from wicketd.admin import mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import agents as wire
from wicketd.api.types.listing import Nothing, Page
from wicketd.domain.agents import Agent, AgentStatus


async def list_(uses: UseCases, ask: Ask[wire.AgentList]) -> Page[wire.Agent]:
    """Agents that pass the filter; deleted ones only when asked for."""
    asked = ask.request
    found = [agent for agent in await uses.agents.list() if _passes(agent, asked)]
    field = asked.sort.removeprefix("-")
    found.sort(key=lambda agent: (getattr(agent, field), agent.id))
    if asked.sort.startswith("-"):
        found.reverse()
    return page(found, asked, key=lambda agent: agent.id, view=mapping.agent)


async def show(uses: UseCases, ask: Ask[wire.AgentRef]) -> wire.Agent:
    """One agent."""
    return mapping.agent(await uses.agents.get(ask.request.agent))


async def create(uses: UseCases, ask: Ask[wire.AgentCreate]) -> wire.Agent:
    """A new agent."""
    made = await uses.agents.create(ask.actor, **mapping.agent_fields(ask.request))
    return mapping.agent(made)


async def update(uses: UseCases, ask: Ask[wire.AgentUpdate]) -> wire.Agent:
    """Changed fields of an agent."""
    changes = mapping.agent_changes(ask.request)
    changed = await uses.agents.update(
        ask.actor, ask.request.agent, expected=ask.expected, **changes
    )
    return mapping.agent(changed)


async def status(uses: UseCases, ask: Ask[wire.AgentStatusSet]) -> wire.Agent:
    """The kill switch, and its way back."""
    asked = ask.request
    wanted = AgentStatus(asked.status)
    return mapping.agent(await uses.agents.set_status(ask.actor, asked.agent, wanted, asked.reason))


async def delete(uses: UseCases, ask: Ask[wire.AgentDelete]) -> Nothing:
    """Deletes a disabled agent."""
    await uses.agents.delete(ask.actor, ask.request.agent, ask.request.confirm, ask.expected)
    return Nothing()


async def panic(uses: UseCases, ask: Ask[wire.Panic]) -> wire.PanicDone:
    """Disables one agent, or every active one."""
    ended = await uses.agents.panic(ask.actor, ask.request.agent, ask.request.reason)
    return wire.PanicDone(agents=tuple(map(mapping.agent, ended)))


def _passes(agent: Agent, asked: wire.AgentList) -> bool:
    deleted = agent.status is AgentStatus.DELETED
    return (
        (agent.status.value == asked.status if asked.status else not deleted)
        and (asked.trust is None or agent.trust.value == asked.trust)
        and (asked.tag is None or asked.tag in agent.tags)
        and (asked.q is None or asked.q.lower() in f"{agent.key}\n{agent.name}".lower())
    )


HANDLERS: Final[Handlers] = {
    "agent.list": list_,
    "agent.show": show,
    "agent.create": create,
    "agent.update": update,
    "agent.status": status,
    "agent.delete": delete,
    "panic": panic,
}

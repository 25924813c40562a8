"""A service whose server is scripted to list tools: enabled, observed, read back."""

from tests.support.state import ADMIN, State
from wicketd.domain.catalogue import Tier, TierSource
from wicketd.domain.json import JsonObject


async def enabled(state: State, *tools: JsonObject) -> None:
    """Agent `demo` with the service `open`, which has these tools."""
    await state.agent()
    state.upstreams.lists["open"] = list(tools)
    await state.services.enable(ADMIN, "demo", "open")


async def tiers(state: State) -> dict[str, tuple[Tier, TierSource]]:
    """The stored tier of each tool of `open`."""
    return {
        one.name: (one.tier, one.tier_source) for one in await state.services.tools("demo", "open")
    }


async def observe(state: State, *tools: JsonObject) -> None:
    """A member's request brings this list of `open`."""
    agent = await state.agents.get("demo")
    await state.services.observe(agent.id, "open", list(tools))

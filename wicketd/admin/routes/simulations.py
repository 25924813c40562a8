"""Simulations: a call decided in thought, and why."""

from typing import Final

from wicketd.admin import simulation_mapping as mapping
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import simulations as wire


async def simulate(uses: UseCases, ask: Ask[wire.Simulate]) -> wire.Simulated:
    """A call that nobody makes, under the stored set and another."""
    asked = ask.request
    call, other = mapping.hypothesis(asked), mapping.other_set(asked)
    return mapping.simulated(await uses.simulations.simulate(asked.agent, call, other))


HANDLERS: Final[Handlers] = {
    "policy.simulate": simulate,
}

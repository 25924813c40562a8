"""Which live tools the statements of a text can matter for (policy spec, 7.4).

Counterpart: `policy.touches`, which the policy child runs. Nothing is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wicketd.domain.catalogue import ServiceView, Tier, ToolStatus
from wicketd.policy import lexer
from wicketd.policy.entities import ActionAt
from wicketd.policy.schema import ToolShape, render
from wicketd.policy.touches import Touch
from wicketd.services import find
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets


@dataclass(frozen=True, slots=True)
class TouchedTool:
    """A live tool with the numbers of the statements that touch it, from 1."""

    service: str
    tool: str
    tier: Tier
    statements: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Touched:
    """The statements without errors, and the tools that one of them touches, by name.

    Tools None: there was no time to find out.
    """

    statements: Sequence[Touch] = ()
    tools: Sequence[TouchedTool] | None = ()


class PolicyTouches:
    """The use case of touches, for texts that are or are not saved."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def of(self, agent: str, text: str) -> Touched:
        """What the statements of `text` touch under today's schema of the agent.

        A text that the guard refuses touches nothing: it never reaches the engine.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        if lexer.guard(text):
            return Touched()
        views = await self._sets.views_now(owner.id)
        schema = render(list(views.values()))
        shapes = [schema.shapes[at] for at in sorted(schema.shapes) if _is_live(views, at)]
        places = [ActionAt.of(one) for one in shapes]
        found = await self._sets.checker.touches(schema.text, text, places)
        if found is None:
            return Touched(tools=None)
        tools = [_tool(shape, found) for shape in shapes]
        return Touched(found, [one for one in tools if one.statements])


def _tool(shape: ToolShape, found: Sequence[Touch]) -> TouchedTool:
    numbers = tuple(one.number for one in found if shape.action in one.actions)
    return TouchedTool(shape.service, shape.name, shape.tier, numbers)


def _is_live(views: Mapping[str, ServiceView], at: tuple[str, str]) -> bool:
    """Whether calls of a tool of the schema can come at all: of a service in use, still listed."""
    view = views.get(at[0])
    return (
        view is not None
        and view.is_enabled
        and any(one.name == at[1] and one.status is ToolStatus.ACTIVE for one in view.tools)
    )

"""Recipes over an agent's own services, members and zone: form in, checked Cedar text out.

Counterpart: `policy.recipes` writes the text. Nothing is stored; the text is edited freely.
Source: policy spec, section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wicketd.domain import email
from wicketd.domain.agents import Agent
from wicketd.domain.policies import Problem
from wicketd.policy import presets, recipes
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Recipe, Surroundings
from wicketd.policy.schema import render
from wicketd.services import find, scopes
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import PolicySets, SetNow
from wicketd.storage import members


@dataclass(frozen=True, slots=True)
class RecipeText:
    """A formatted text, what its author should know, and what a save would find."""

    name: str
    text: str
    warnings: tuple[str, ...]
    problems: Sequence[Problem]


class Recipes:
    """The use case of recipes."""

    def __init__(self, desk: Desk, sets: PolicySets) -> None:
        self._desk = desk
        self._sets = sets

    async def write(
        self,
        agent: str,
        form: Recipe,
        preset: Preset | None = None,
        scope_member: str | None = None,
    ) -> RecipeText:
        """The text of a form. `preset`: the one it was made of, which may need more of it.

        Raises:
            NotFound: there is no such agent or member.
            Invalid: the form cannot mean anything, or names what the agent does not have.
        """
        owner = await find.read_agent(self._desk.db, agent)
        scope = await scopes.member(self._desk.db, owner, scope_member)
        recipe = replace(form, members=_spelled(form.members))
        if preset is not None:
            presets.require(preset, recipe)
        views = await self._sets.views_now(owner.id)
        around = Surroundings(render(list(views.values())), views, owner.tz)
        written = recipes.compile(recipe, around)
        text = await self._sets.format(written.text)
        problems = await self._sets.problems(SetNow(owner, (), views), text, scope)
        unknown = await self._unknown(owner, recipe)
        return RecipeText(recipe.name, text, (*written.warnings, *unknown), problems)

    async def _unknown(self, owner: Agent, recipe: Recipe) -> list[str]:
        """A sentence for each name that no member or group has; they may come later."""
        found = await self._desk.db.all(members.of_agent(owner.id))
        principals = {one.principal for one in found}
        groups = {group for one in found for group in one.groups}
        unknown = [
            f"{owner.key} has no member {name}. The statement matches once there is one."
            for name in recipe.members or ()
            if name not in principals
        ]
        return unknown + [
            f"No member of {owner.key} is in the group {name}. Put members into it."
            for name in recipe.groups or ()
            if name not in groups
        ]


def _spelled(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Members as policies name them: addresses have one spelling."""
    if names is None:
        return None
    return tuple(email.normalise(name) if "@" in name else name for name in names)

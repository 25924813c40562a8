"""Policies as a craft: texts made of forms."""

from typing import Final

from wicketd.admin import recipe_mapping
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import recipes as wire


async def recipe(uses: UseCases, ask: Ask[wire.RecipeWrite]) -> wire.RecipeText:
    """The text of a form; nothing is stored."""
    form, preset = recipe_mapping.form(ask.request), recipe_mapping.preset(ask.request)
    work = uses.policies.craft.recipes
    found = await work.write(ask.request.agent, form, preset, ask.request.scope)
    return recipe_mapping.written(found)


HANDLERS: Final[Handlers] = {
    "policy.recipe": recipe,
}

"""Policies as a craft: texts made of forms, versions compared, whole sets out and in."""

from typing import Final

from wicketd.admin import coverage_mapping, policy_set_mapping, recipe_mapping
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import policy_sets
from wicketd.api.types import recipes as wire
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.coverage import Coverage
from wicketd.services import policy_diffs


async def recipe(uses: UseCases, ask: Ask[wire.RecipeWrite]) -> wire.RecipeText:
    """The text of a form; nothing is stored."""
    form, preset = recipe_mapping.form(ask.request), recipe_mapping.preset(ask.request)
    work = uses.policies.craft.recipes
    found = await work.write(ask.request.agent, form, preset, ask.request.scope)
    return recipe_mapping.written(found)


async def diff(uses: UseCases, ask: Ask[policy_sets.DiffAsk]) -> policy_sets.PolicyDiff:
    """What two versions differ in."""
    asked, version = ask.request, uses.policies.version
    before = await version(asked.agent, asked.policy, asked.from_version)
    after = await version(asked.agent, asked.policy, asked.to_version)
    return policy_set_mapping.diff(policy_diffs.between(before, after))


async def export(uses: UseCases, ask: Ask[AgentRef]) -> policy_sets.PolicyExport:
    """The live policies."""
    owner, items = await uses.policies.craft.transfers.export(ask.request.agent)
    return policy_set_mapping.exported(owner, items)


async def import_(uses: UseCases, ask: Ask[policy_sets.PolicyImport]) -> policy_sets.PolicyImported:
    """The set becomes another one, or the plan of it."""
    asked, replace = ask.request, uses.policies.craft.transfers.replace
    items, how = policy_set_mapping.items(asked), asked.dry_run
    where = (ask.actor, asked.agent, items, asked.note)
    found = await replace(*where, dry_run=how, expected=ask.expected)
    return policy_set_mapping.imported(found)


async def coverage(uses: UseCases, ask: Ask[AgentRef]) -> Coverage:
    """What the set covers."""
    found = await uses.policies.craft.coverage.show(ask.request.agent)
    return coverage_mapping.coverage(found)


HANDLERS: Final[Handlers] = {
    "policy.recipe": recipe,
    "policy.diff": diff,
    "policy.export": export,
    "policy.import": import_,
    "policy.coverage": coverage,
}

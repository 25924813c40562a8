"""Recipes between the contract and the domain; counterpart of `admin.mapping`."""

from dataclasses import replace
from typing import Any

from wicketd.admin import mapping
from wicketd.api.types import recipes as wire
from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.policies import Effect
from wicketd.policy import presets
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Match, Recipe, TargetName
from wicketd.services.recipes import RecipeText


def preset(asked: wire.RecipeWrite) -> Preset | None:
    """The preset that a form starts from."""
    return None if asked.preset is None else Preset(asked.preset)


def form(asked: wire.RecipeWrite) -> Recipe:
    """The form: the preset's fields, and over them what was said.

    Raises:
        Invalid: there is no preset and name or effect is missing.
    """
    said = {name: value for name, value in _said(asked).items() if value is not None}
    chosen = preset(asked)
    if chosen is not None:
        made = presets.form(chosen, asked.service, has_tools=asked.tools is not None)
        return replace(made, **said)
    if asked.name is None or asked.effect is None:
        raise Invalid("A recipe of one's own needs a name and an effect. Give both, or a preset.")
    return Recipe(**said)


def _said(asked: wire.RecipeWrite) -> dict[str, Any]:
    """The fields of the domain's form, None where nothing was said."""
    members, groups = _principals(asked.principal)
    targets = asked.targets
    return {
        "name": asked.name,
        "effect": None if asked.effect is None else Effect(asked.effect),
        "service": asked.service,
        "tools": asked.tools,
        "tiers": None if asked.tiers is None else tuple(map(Tier, asked.tiers)),
        "members": members,
        "groups": groups,
        "days": asked.days_of_week,
        "hours_from": asked.hours_from,
        "hours_to": asked.hours_to,
        "active_from": asked.active_from,
        "active_to": asked.active_to,
        "targets": None
        if targets is None
        else tuple(TargetName(one.type, one.id) for one in targets),
        "ips": asked.ips,
        "max_denials": asked.max_denials,
        "max_calls": asked.max_calls,
        "deny_message": asked.deny_message,
        "match": None if asked.match is None else Match(asked.match),
    }


def _principals(
    asked: wire.RecipePrincipal | None,
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Members and groups; naming nobody of specific members is an empty list."""
    if asked is None:
        return None, None
    if asked.type == "specific_members":
        nobody = asked.members is None and asked.groups is None
        return () if nobody else asked.members, asked.groups
    if asked.members or asked.groups:
        raise Invalid('All members are meant, yet some are named. Use "specific_members".')
    return None, None


def written(value: RecipeText) -> wire.RecipeText:
    """The text of a form."""
    return wire.RecipeText(
        name=value.name,
        text=value.text,
        warnings=value.warnings,
        problems=tuple(map(mapping.problem, value.problems)),
    )

"""The eight recipes by name: forms that are filled in but for what an author says.

Counterpart of `policy.recipes`. Source: policy spec, section 6; product spec, section 9.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.policies import Effect
from wicketd.policy.recipe_form import Match, Recipe


class Preset(StrEnum):
    """What authors want most often."""

    READ_ONLY = "read-only"
    BLOCK_DESTRUCTIVE = "block-destructive"
    BUSINESS_HOURS = "business-hours"
    ONLY_TARGETS = "only-targets"
    CIRCUIT_BREAKER = "circuit-breaker"
    PER_MEMBER = "per-member"
    DATE_WINDOW = "date-window"
    NETWORK = "network"


def form(preset: Preset, service: str | None = None, *, has_tools: bool = False) -> Recipe:
    """The form of a preset. `has_tools`: its author names tools, so that it names no tiers."""
    made = replace(_FORMS[preset](service or "every service"), service=service)
    return replace(made, tiers=None) if has_tools else made


def require(preset: Preset, recipe: Recipe) -> None:
    """Lets a preset pass whose author said what it cannot know.

    Raises:
        Invalid: a field is missing without which the text would say far more than its name.
    """
    missing = {
        Preset.READ_ONLY: recipe.service is None,
        Preset.BLOCK_DESTRUCTIVE: recipe.service is None,
        Preset.BUSINESS_HOURS: recipe.service is None,
        Preset.ONLY_TARGETS: not recipe.targets or not (recipe.tools or recipe.tiers),
        Preset.CIRCUIT_BREAKER: False,
        Preset.PER_MEMBER: not (recipe.members or recipe.groups),
        Preset.DATE_WINDOW: recipe.active_from is None and recipe.active_to is None,
        Preset.NETWORK: not recipe.ips,
    }
    if missing[preset]:
        raise Invalid(f"The recipe {preset.value} needs {_NEEDS[preset]}.")


def _read_only(service: str) -> Recipe:
    return Recipe(
        name=f"{service} read only",
        effect=Effect.FORBID,
        tiers=(Tier.WRITE, Tier.DESTRUCTIVE),
        deny_message=f"Only reading is allowed here: {service}.",
    )


def _block_destructive(service: str) -> Recipe:
    return Recipe(
        name=f"Block {service} destructive tools",
        effect=Effect.FORBID,
        tiers=(Tier.DESTRUCTIVE,),
        deny_message=f"Destructive tools are blocked here: {service}.",
    )


def _business_hours(service: str) -> Recipe:
    return Recipe(
        name=f"Business hours {service} writes",
        effect=Effect.PERMIT,
        tiers=(Tier.WRITE,),
        days=(1, 2, 3, 4, 5),
        hours_from=9,
        hours_to=17,
    )


def _only_targets(service: str) -> Recipe:
    name = f"Only these targets of {service}"
    return Recipe(name=name, effect=Effect.FORBID, match=Match.OUTSIDE)


def _circuit_breaker(_: str) -> Recipe:
    return Recipe(
        name="Session circuit breaker",
        effect=Effect.FORBID,
        max_denials=3,
        deny_message="Too many denied calls in this session.",
    )


def _per_member(service: str) -> Recipe:
    name = f"{service} writes for members"
    return Recipe(name=name, effect=Effect.PERMIT, tiers=(Tier.WRITE,))


def _date_window(service: str) -> Recipe:
    name = f"{service} date window"
    return Recipe(name=name, effect=Effect.PERMIT, tiers=(Tier.READ,))


def _network(_: str) -> Recipe:
    return Recipe(
        name="Office network only",
        effect=Effect.FORBID,
        match=Match.OUTSIDE,
        deny_message="Allowed from the office network only.",
    )


_NEEDS: Final[Mapping[Preset, str]] = MappingProxyType(
    {
        Preset.READ_ONLY: "a service",
        Preset.BLOCK_DESTRUCTIVE: "a service",
        Preset.BUSINESS_HOURS: "a service",
        Preset.ONLY_TARGETS: "targets, and the tools or tiers that they restrict",
        Preset.PER_MEMBER: "members or groups; name them",
        Preset.DATE_WINDOW: "a first day, a last day or both",
        Preset.NETWORK: "networks such as 10.0.0.0/8",
    }
)
_FORMS: Final[Mapping[Preset, Callable[[str], Recipe]]] = MappingProxyType(
    {
        Preset.READ_ONLY: _read_only,
        Preset.BLOCK_DESTRUCTIVE: _block_destructive,
        Preset.BUSINESS_HOURS: _business_hours,
        Preset.ONLY_TARGETS: _only_targets,
        Preset.CIRCUIT_BREAKER: _circuit_breaker,
        Preset.PER_MEMBER: _per_member,
        Preset.DATE_WINDOW: _date_window,
        Preset.NETWORK: _network,
    }
)

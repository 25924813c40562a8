"""Presets are filled in but for what only their author knows."""

from dataclasses import replace
from datetime import date

import pytest

from tests.support.recipes import AROUND
from wicketd.domain.errors import Invalid
from wicketd.policy import checker, engine, presets, recipes, vectors
from wicketd.policy.checks import Scope
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Recipe, TargetName

KNOWN_BY_THE_AUTHOR = {
    Preset.ONLY_TARGETS: {"targets": (TargetName("Owner", "acme"),), "tools": ("push_files",)},
    Preset.PER_MEMBER: {"members": ("tester",)},
    Preset.DATE_WINDOW: {"active_to": date(2026, 12, 31)},
    Preset.NETWORK: {"ips": ("10.0.0.0/8",)},
}


def made(preset: Preset) -> Recipe:
    """The preset for GitHub, with what its author knows."""
    return replace(presets.form(preset, "github"), **KNOWN_BY_THE_AUTHOR.get(preset, {}))  # type: ignore[arg-type]  # fields of a form


@pytest.mark.parametrize("preset", Preset)
def test_each_preset_gives_a_text_that_may_be_saved(preset: Preset) -> None:
    presets.require(preset, made(preset))
    text = recipes.compile(made(preset), AROUND).text
    scope = Scope.of(vectors.AGENT.key, AROUND.schema, may_permit=True)
    assert checker.check(engine.parse_schema(AROUND.schema.text), text, scope) == []


@pytest.mark.parametrize("preset", sorted({*Preset} - {Preset.CIRCUIT_BREAKER}))
def test_a_preset_without_what_it_needs_is_refused(preset: Preset) -> None:
    with pytest.raises(Invalid, match=f"The recipe {preset.value} needs"):
        presets.require(preset, presets.form(preset))


def test_named_tools_take_the_place_of_a_presets_tiers() -> None:
    assert presets.form(Preset.READ_ONLY, "github").tiers is not None
    assert presets.form(Preset.READ_ONLY, "github", has_tools=True).tiers is None

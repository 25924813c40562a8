"""Recipes over an agent's own services, members and zone."""

from dataclasses import replace

import pytest

from tests.support.state import ADMIN, State
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import Invalid, NotFound
from wicketd.domain.policies import Effect
from wicketd.policy import presets
from wicketd.policy.presets import Preset
from wicketd.policy.recipe_form import Recipe

BLOCK = Recipe(name="Block", effect=Effect.FORBID, service="notes", tools=("delete_note",))


async def test_a_form_becomes_a_formatted_text_that_saves(state: State) -> None:
    await state.connected()
    before = await state.recorded()
    found = await state.policies.craft.recipes.write("demo", BLOCK)
    assert found.text == (
        '@id("block")\n'
        "forbid (\n"
        "  principal,\n"
        '  action in [NotesMCP::Action::"delete_note"],\n'
        "  resource\n"
        ");\n"
    )
    assert (found.warnings, list(found.problems)) == ((), [])
    assert await state.recorded() == before
    await state.policies.create(ADMIN, "demo", name=found.name, text=found.text)


async def test_members_have_their_one_spelling_and_unknown_ones_are_said(state: State) -> None:
    await state.connected()
    form = replace(BLOCK, members=("bob", " Ann@Example.ORG "), groups=("ops",))
    found = await state.policies.craft.recipes.write("demo", form)
    assert 'Wicket::Member::"ann@example.org"' in found.text
    assert [warning.partition(".")[0] for warning in found.warnings] == [
        "demo has no member ann@example",
        "No member of demo is in the group ops",
    ]


async def test_a_text_is_checked_as_the_record_it_is_to_be(state: State) -> None:
    await state.agent(trust=Trust.UNTRUSTED)
    await state.service()
    await state.member()
    permit = Recipe(name="Read", effect=Effect.PERMIT, service="notes", tiers=(Tier.READ,))
    write = state.policies.craft.recipes.write
    assert [one.code for one in (await write("demo", permit)).problems] == ["permit_scope"]
    assert (await write("demo", permit, scope_member="bob")).problems == []


async def test_what_a_preset_needs_and_what_does_not_exist_is_refused(state: State) -> None:
    await state.connected()
    write = state.policies.craft.recipes.write
    with pytest.raises(Invalid, match="needs members or groups"):
        await write("demo", presets.form(Preset.PER_MEMBER, "notes"), Preset.PER_MEMBER)
    with pytest.raises(Invalid, match="no service 'open'"):
        await write("demo", replace(BLOCK, service="open"))
    with pytest.raises(Invalid, match="is no e-mail address"):
        await write("demo", replace(BLOCK, members=("ann@",)))
    with pytest.raises(Invalid, match="is trusted"):
        await write("demo", BLOCK, scope_member="bob")
    with pytest.raises(NotFound):
        await write("nowhere", BLOCK)

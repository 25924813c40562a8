"""Drift: what changed at a server is stored, flagged, held where asked, and acknowledged."""

import pytest

from tests.support.listed import enabled, observe, tiers
from tests.support.state import ADMIN, State, open_state, tool
from wicketd.domain.catalogue import Tier, TierSource, ToolStatus
from wicketd.domain.errors import (
    NotFound,
    RevisionMoved,
    RevisionRequired,
    SignInRejected,
)
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Reason
from wicketd.services.policy_sets import SetRules

READ: JsonObject = {"readOnlyHint": True}
SAFE: JsonObject = {"destructiveHint": False}


async def test_a_new_tool_lands_in_its_tier_and_flags_the_service(state: State) -> None:
    await enabled(state, tool("look"))
    before = await state.recorded()
    await observe(state, tool("look"), tool("fresh"), tool("seen", READ))
    assert await tiers(state) == {
        "fresh": (Tier.DESTRUCTIVE, TierSource.DEFAULT),
        "look": (Tier.READ, TierSource.CATALOGUE),
        "seen": (Tier.READ, TierSource.ANNOTATIONS),
        "wipe": (Tier.DESTRUCTIVE, TierSource.CATALOGUE),
    }
    service, changes = await state.services.drift("demo", "open")
    assert service.drift == "flagged"
    assert [(one.tool, one.kind) for one in changes] == [("fresh", "added"), ("seen", "added")]
    assert await state.kinds(before) == ["service.discovered", "tool.added", "tool.added"]


async def test_an_unchanged_list_writes_nothing(state: State) -> None:
    await enabled(state, tool("look"))
    before = await state.recorded()
    await observe(state, tool("look"))
    assert await state.recorded() == before


async def test_a_changed_tool_is_flagged_with_both_definitions_and_the_broken_policies(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    text = (
        'forbid (principal, action == OpenMCP::Action::"look", resource) '
        'when { context.input has text && context.input.text == "x" };'
    )
    await state.policies.create(ADMIN, "demo", name="No x", text=text)
    numbered: JsonObject = {
        "name": "look",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "integer"}}},
    }
    before = await state.recorded()
    await observe(state, numbered)
    _, (change,) = await state.services.drift("demo", "open")
    assert (change.kind, change.old_definition, change.new_definition) == (
        "changed",
        tool("look"),
        numbered,
    )
    assert change.broken_policies == ("no-x",)
    assert await state.kinds(before) == ["service.discovered", "tool.changed"]
    row = (await state.rows())[-1]
    assert "no-x" in row.body
    assert "integer" in row.body


async def test_a_tool_that_goes_stays_for_policies_and_is_not_callable(state: State) -> None:
    await enabled(state, tool("look"), tool("other"))
    text = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
    await state.policies.create(ADMIN, "demo", name="No looking", text=text)
    before = await state.recorded()
    await observe(state, tool("other"))
    found = {one.name: one.status for one in await state.services.tools("demo", "open")}
    assert found["look"] is ToolStatus.GONE
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert ("open", "look") not in snapshot.tools
    assert ("open", "look") in snapshot.engine.schema.shapes
    assert "tool.removed" in await state.kinds(before)
    await observe(state, tool("look"), tool("other"))
    assert (await state.kinds())[-1] == "tool.added"


async def test_a_tier_that_falls_by_annotations_alone_holds_until_it_is_set(state: State) -> None:
    await enabled(state, tool("act", {"destructiveHint": True, "readOnlyHint": False}))
    await observe(state, tool("act", READ))
    assert (await tiers(state))["act"][0] is Tier.DESTRUCTIVE
    found = await state.services.get("demo", "open")
    after = await state.services.set_tier(
        ADMIN, "demo", "open", "act", Tier.READ, expected=found.service.rev
    )
    assert (after.tier, after.tier_source) == (Tier.READ, TierSource.OVERRIDE)


async def test_a_tier_that_rises_holds_at_once(state: State) -> None:
    await enabled(state, tool("act", SAFE | {"readOnlyHint": False}))
    assert (await tiers(state))["act"] == (Tier.WRITE, TierSource.ANNOTATIONS)
    await observe(state, tool("act", {"destructiveHint": True, "readOnlyHint": False}))
    assert (await tiers(state))["act"] == (Tier.DESTRUCTIVE, TierSource.ANNOTATIONS)


async def test_the_acknowledged_definition_counts_when_two_members_see_different_ones(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    await observe(state, tool("look", title="B"))
    await observe(state, tool("look"))
    (look,) = [one for one in await state.services.tools("demo", "open") if one.name == "look"]
    assert look.hash == look.acked_hash
    before = await state.recorded()
    await observe(state, tool("look", title="B"))
    assert await state.recorded() == before
    (look,) = [one for one in await state.services.tools("demo", "open") if one.name == "look"]
    assert look.hash == look.acked_hash


async def test_an_acknowledgement_closes_the_change_and_cleans_the_service(state: State) -> None:
    await enabled(state, tool("look"))
    await observe(state, tool("look", title="B"), tool("fresh"))
    found = {one.name: one for one in await state.services.tools("demo", "open")}
    with pytest.raises(RevisionMoved, match="changed again"):
        await state.services.ack(ADMIN, "demo", "open", "look", "0" * 64)
    acked = await state.services.ack(ADMIN, "demo", "open", "look", str(found["look"].hash))
    assert acked.acked_hash == acked.hash
    service, changes = await state.services.drift("demo", "open")
    assert (service.drift, [one.tool for one in changes]) == ("flagged", ["fresh"])
    await state.services.ack(ADMIN, "demo", "open", "fresh", str(found["fresh"].hash))
    service, changes = await state.services.drift("demo", "open")
    assert (service.drift, changes) == ("clean", [])
    assert (await state.kinds())[-1] == "tool.acked"


@pytest.mark.requirement("FC19")
async def test_where_changed_tools_are_held_they_are_blocked_until_acknowledged(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("held")
    async with open_state(directory, settings=SetRules(hold_changed=True)) as state:
        await enabled(state, tool("look"))
        agent = await state.agents.get("demo")
        await observe(state, tool("look", title="B"), tool("fresh"))
        snapshot = state.snapshots.of(agent.id)
        assert snapshot is not None
        assert dict(snapshot.engine.blocked) == {("OpenMCP::Action", "look"): Reason.TOOL_HELD}
        found = {one.name: one for one in await state.services.tools("demo", "open")}
        await state.services.ack(ADMIN, "demo", "open", "look", str(found["look"].hash))
        snapshot = state.snapshots.of(agent.id)
        assert snapshot is not None
        assert snapshot.engine.blocked == {}


async def test_a_tier_is_overridden_on_the_current_revision_and_taken_back(state: State) -> None:
    await enabled(state, tool("look"))
    rev = (await state.services.get("demo", "open")).service.rev
    with pytest.raises(RevisionRequired):
        await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=None)
    with pytest.raises(RevisionMoved):
        await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=rev + 1)
    await state.services.set_tier(ADMIN, "demo", "open", "look", Tier.WRITE, expected=rev)
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    shape = snapshot.engine.schema.shapes.get(("open", "look"))
    assert shape is not None
    assert shape.tier is Tier.WRITE
    back = await state.services.set_tier(ADMIN, "demo", "open", "look", None, expected=rev + 1)
    assert (back.tier, back.tier_source) == (Tier.READ, TierSource.CATALOGUE)
    with pytest.raises(NotFound, match="no tool"):
        await state.services.set_tier(ADMIN, "demo", "open", "nothing", None, expected=rev + 2)


async def test_a_later_tool_does_not_slip_under_the_baseline_by_a_cleared_override(
    state: State,
) -> None:
    await enabled(state, tool("look"))
    state.clock.pass_s(600)
    await observe(state, tool("look"), tool("fresh"))
    rev = (await state.services.get("demo", "open")).service.rev
    await state.services.set_tier(ADMIN, "demo", "open", "fresh", Tier.WRITE, expected=rev)
    back = await state.services.set_tier(ADMIN, "demo", "open", "fresh", None, expected=rev + 1)
    assert (back.tier, back.tier_source) == (Tier.DESTRUCTIVE, TierSource.DEFAULT)


async def test_an_observation_of_a_declared_service_is_its_first_discovery(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = SignInRejected("no")
    await state.services.enable(ADMIN, "demo", "open")
    await observe(state, tool("look"))
    assert (await tiers(state))["look"] == (Tier.READ, TierSource.CATALOGUE)
    service, changes = await state.services.drift("demo", "open")
    assert (service.catalogue, service.drift, changes) == ("discovered", "clean", [])

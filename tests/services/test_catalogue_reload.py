"""Reading the connector files anew: all of them or none, and what follows for services."""

import pytest

from tests.support.listed import enabled, tiers
from tests.support.state import ADMIN, NOTES, OPEN, State, moved, tool
from wicketd.domain.catalogue import Tier, TierSource
from wicketd.domain.errors import (
    ConfigInvalid,
    Conflict,
)


async def test_a_reload_with_an_error_leaves_the_old_catalogue(state: State) -> None:
    await state.agent()
    old = state.services.catalogue()
    state.connectors["open"] = OPEN + "\nunknown_field = 1\n"
    before = await state.recorded()
    with pytest.raises(ConfigInvalid):
        await state.services.reload(ADMIN)
    assert list(state.services.catalogue()) == list(old)
    assert await state.recorded() == before


async def test_a_reload_brings_stored_tiers_in_line(state: State) -> None:
    await enabled(state, tool("look"))
    state.connectors["open"] = OPEN.replace('["wipe"]', '["wipe", "look"]')
    found = await state.services.reload(ADMIN)
    assert (found.changed, found.moved) == (("open",), ())
    assert (await tiers(state))["look"] == (Tier.DESTRUCTIVE, TierSource.CATALOGUE)
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    assert snapshot.tools["open", "look"].tier is Tier.DESTRUCTIVE


async def test_a_namespace_that_a_live_policy_names_is_not_renamed(state: State) -> None:
    await enabled(state, tool("look"))
    text = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
    saved = await state.policies.create(ADMIN, "demo", name="No looking", text=text)
    state.connectors["open"] = OPEN.replace('name = "Open"', 'name = "Open"\nnamespace = "Wide"')
    with pytest.raises(Conflict, match="no longer has OpenMCP"):
        await state.services.reload(ADMIN)
    await state.policies.delete(ADMIN, "demo", "no-looking", expected=saved.revision)
    await state.services.reload(ADMIN)


async def test_a_reload_of_moved_connectors_says_so(state: State) -> None:
    await state.agent()
    state.connectors["notes"] = moved(NOTES)
    found = await state.services.reload(ADMIN)
    assert (found.changed, found.moved) == (("notes",), ("notes",))
    assert (await state.kinds())[-1] == "catalogue.reloaded"

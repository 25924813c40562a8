"""An acknowledgement writes the versions that go on with the tool as it is."""

import pytest

from tests.support.drifting import ON_TEXT, blocked, definition, forbidding, hash_of
from tests.support.listed import observe
from tests.support.state import ADMIN, State
from wicketd.domain.errors import Conflict
from wicketd.domain.policies import Cause
from wicketd.policy import projections


async def test_an_acknowledgement_ends_staleness_with_a_version_of_cause_catalogue(
    state: State,
) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, definition("look", file="string"), definition("other", text="string"))
    assert await blocked(state) == {"look"}
    before = (await state.agents.get("demo")).policy_revision
    await state.services.ack(ADMIN, "demo", "open", "look", await hash_of(state, "look"))
    assert await blocked(state) == set()
    saved = await state.policies.get("demo", "on-text")
    assert (saved.version.version, saved.version.cause) == (2, Cause.CATALOGUE)
    assert saved.revision == before + 1
    (kept,) = projections.unpacked(saved.version.projection) or []
    assert kept["OpenMCP::Action", "look"]["paths"] == {}
    assert (await state.kinds())[-2:] == ["policy.saved", "tool.acked"]


async def test_what_is_stale_about_another_tool_stays_stale(state: State) -> None:
    both = ON_TEXT.replace('action == OpenMCP::Action::"look"', "action")
    await forbidding(state, both)
    await observe(state, definition("look", file="string"), definition("other", file="string"))
    assert await blocked(state) == {"look", "other"}
    await state.services.ack(ADMIN, "demo", "open", "look", await hash_of(state, "look"))
    assert await blocked(state) == {"other"}


async def test_a_broken_policy_is_edited_before_its_tool_is_acknowledged(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, definition("look", text="integer"), definition("other", text="string"))
    assert await blocked(state) == {"look"}
    with pytest.raises(Conflict, match="on-text does not fit"):
        await state.services.ack(ADMIN, "demo", "open", "look", await hash_of(state, "look"))
    revision = (await state.agents.get("demo")).policy_revision
    text = ON_TEXT.replace('"secret"', "7")
    await state.policies.save(ADMIN, "demo", "on-text", text=text, expected=revision)
    assert await blocked(state) == set()
    await state.services.ack(ADMIN, "demo", "open", "look", await hash_of(state, "look"))
    assert await blocked(state) == set()

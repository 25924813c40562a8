"""What the tools of now mean for the policies of now, found anew at every start."""

import pytest

from tests.support.drifting import ON_TEXT, blocked, definition, forbidding
from tests.support.listed import observe
from tests.support.state import ADMIN, State
from wicketd.domain.errors import RevisionMoved
from wicketd.domain.policies import Reason

OTHER = definition("other", text="string")
RENAMED = definition("look", file="string")


async def test_a_renamed_argument_denies_the_tool_until_its_policy_is_saved(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, RENAMED, OTHER)
    agent = await state.agents.get("demo")
    snapshot = state.snapshots.of(agent.id)
    assert snapshot is not None
    assert dict(snapshot.engine.blocked) == {("OpenMCP::Action", "look"): Reason.POLICY_STALE}
    assert snapshot.findings.stale == {("OpenMCP::Action", "look"): frozenset({"on-text"})}
    text = ON_TEXT.replace(" text", " file").replace(".text", ".file")
    await state.policies.save(ADMIN, "demo", "on-text", text=text, expected=agent.policy_revision)
    assert await blocked(state) == set()


async def test_the_shape_that_a_policy_was_written_for_makes_it_active_again(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, RENAMED, OTHER)
    await observe(state, definition("look", text="string"), OTHER)
    assert await blocked(state) == set()
    await observe(state, RENAMED, OTHER)
    assert await blocked(state) == {"look"}


async def test_a_save_that_was_begun_before_the_list_came_is_refused(state: State) -> None:
    await forbidding(state, ON_TEXT)
    seen = (await state.agents.get("demo")).policy_revision
    await observe(state, RENAMED, OTHER)
    with pytest.raises(RevisionMoved):
        await state.policies.save(ADMIN, "demo", "on-text", text=ON_TEXT, expected=seen)
    assert await blocked(state) == {"look"}


async def test_a_start_in_the_middle_of_a_drift_finds_the_same(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, definition("look", text="integer"), OTHER)
    agent = await state.agents.get("demo")
    before = state.snapshots.findings_of(agent.id)
    assert before.broken.keys() == {"on-text"}
    state.snapshots.drop(agent.id)
    await state.snapshots.start()
    assert state.snapshots.findings_of(agent.id) == before
    assert await blocked(state) == {"look"}


async def test_a_crash_behind_the_commit_of_a_list_denies_at_the_next_start(state: State) -> None:
    await forbidding(state, ON_TEXT)
    agent = await state.agents.get("demo")
    in_force = state.snapshots.of(agent.id)
    assert in_force is not None
    await observe(state, RENAMED, OTHER)
    state.snapshots.swap(agent, in_force.services, in_force.engine)
    assert await blocked(state) == set()
    await state.snapshots.start()
    assert await blocked(state) == {"look"}


async def test_a_tool_that_came_later_is_compared_with_how_it_came(state: State) -> None:
    wide = ON_TEXT.replace('action == OpenMCP::Action::"look"', "action")
    await forbidding(state, wide)
    look = definition("look", text="string")
    await observe(state, look, OTHER, definition("fresh", text="string"))
    assert await blocked(state) == set()
    await observe(state, look, OTHER, definition("fresh", note="string"))
    assert await blocked(state) == {"fresh"}


async def test_a_policy_that_is_off_or_only_watched_denies_nothing(state: State) -> None:
    await forbidding(state, ON_TEXT)
    revision = (await state.agents.get("demo")).policy_revision
    await state.policies.set_enabled(ADMIN, "demo", "on-text", enabled=False, expected=revision)
    await observe(state, RENAMED, OTHER)
    assert await blocked(state) == set()

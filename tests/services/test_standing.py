"""What the tools of now mean for the policies of now, found anew at every start."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.drifting import ON_TEXT, blocked, definition, forbidding
from tests.support.listed import observe
from tests.support.state import ADMIN, State, open_state
from wicketd.domain.errors import RevisionMoved
from wicketd.domain.policies import PolicyVersion, Problem, Reason
from wicketd.services.policy_sets import SetRules
from wicketd.services.standing import Compiled, Move, Standing

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
    await observe(state, look, OTHER, definition("fresh", memo="string"))
    assert await blocked(state) == {"fresh"}
    await state.snapshots.start()
    assert await blocked(state) == {"fresh"}


async def test_a_policy_that_is_off_or_only_watched_denies_nothing(state: State) -> None:
    await forbidding(state, ON_TEXT)
    revision = (await state.agents.get("demo")).policy_revision
    await state.policies.set_enabled(ADMIN, "demo", "on-text", enabled=False, expected=revision)
    await observe(state, RENAMED, OTHER)
    assert await blocked(state) == set()


@pytest.mark.parametrize("is_list_first", [True, False])
async def test_a_list_that_comes_while_a_save_runs_never_goes_unseen(
    state: State, *, is_list_first: bool
) -> None:
    await forbidding(state, ON_TEXT)
    expected = (await state.agents.get("demo")).policy_revision
    save = state.policies.save(ADMIN, "demo", "on-text", text=ON_TEXT, expected=expected)
    listed = observe(state, RENAMED, OTHER)
    both = (listed, save) if is_list_first else (save, listed)
    await asyncio.gather(*both, return_exceptions=True)
    assert await blocked(state) == {"look"}


async def test_a_policy_that_cannot_be_checked_is_broken_for_all_it_touches(state: State) -> None:
    await forbidding(state, ON_TEXT)
    agent = await state.agents.get("demo")
    now = await state.sets.read(agent)
    in_force = state.snapshots.of(agent.id)
    assert in_force is not None
    unknown = [replace(one, projection={}) for one in now.records if one.key == "on-text"]
    crashed = Problem("error", "checker_crashed", "It stopped.", None, 0, 1, 1, 1, None)
    answers: list[Sequence[Problem]] = [[crashed], []]

    async def problems(_record: PolicyVersion) -> Sequence[Problem]:
        return answers.pop(0)

    compiled = replace(Compiled.of(in_force.engine, now.records, now.views), records=unknown)
    standing = Standing(state.db, state.files, hold_changed=False)
    found, denied = await standing.of(agent.id, compiled, Move(), problems)
    assert found.broken == {"on-text": "It stopped."}
    assert denied == {("OpenMCP::Action", "look"): Reason.POLICY_STALE}
    found, _ = await standing.of(agent.id, compiled, Move(), problems)
    assert found.broken == {}, "a checker that stopped once is asked again"


async def test_a_new_tool_that_changes_is_held_like_any_other(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("held")
    async with open_state(directory, settings=SetRules(hold_changed=True)) as held:
        await forbidding(held, ON_TEXT)
        look = definition("look", text="string")
        await observe(held, look, OTHER, definition("fresh", text="string"))
        assert await blocked(held) == set()
        await observe(held, look, OTHER, definition("fresh", note="string"))
        assert await blocked(held) == {"fresh"}

"""What calls are decided on: compiled first, then put in force; unverified sets never are."""

import pytest

from tests.support.state import ADMIN, State, tool
from tests.support.tampering import tamper
from wicketd.domain.agents import AgentStatus
from wicketd.domain.ids import AgentId
from wicketd.services.snapshots import AgentSnapshot, Snapshots


async def in_force(state: State) -> AgentSnapshot:
    """The snapshot of `demo`."""
    owner = await state.agents.get("demo")
    snapshot = state.snapshots.of(owner.id)
    assert snapshot is not None
    return snapshot


def fresh(state: State) -> Snapshots:
    """Snapshots that know only what the database holds, as after a restart."""
    return Snapshots(state.db, state.files, state.sets.load)


async def test_a_restart_builds_what_was_in_force(state: State) -> None:
    await state.connected()
    await state.agent("off")
    await state.agents.set_status(ADMIN, "off", AgentStatus.DISABLED)
    before = await in_force(state)
    again = fresh(state)
    await again.start()
    after = again.of(before.agent.id)
    assert after is not None
    assert (after.engine.stamp, dict(after.tools)) == (before.engine.stamp, dict(before.tools))
    assert again.engine_of(before.agent.id) is after.engine
    assert dict(again.broken()) == {}


async def test_a_deleted_agent_has_none(state: State) -> None:
    gone = await state.agent()
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    await state.agents.delete(ADMIN, "demo", confirm="demo", expected=disabled.rev)
    again = fresh(state)
    await again.start()
    assert again.of(gone.id) is None
    assert state.snapshots.of(gone.id) is None


@pytest.mark.requirement("FC3")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE policy_versions SET text = text || ' '",
        "UPDATE policy_versions SET enabled = 0",
        "UPDATE policy_revisions SET mac = zeroblob(32)",
        "UPDATE policy_revisions SET set_sha256 = zeroblob(32)",
        "DELETE FROM policy_versions",
    ],
)
async def test_an_edited_set_is_not_put_in_force_and_says_why(state: State, edit: str) -> None:
    await state.connected()
    owner = await state.agents.get("demo")
    await tamper(state.db, edit)
    again = fresh(state)
    await again.start()
    assert again.of(owner.id) is None
    assert again.engine_of(owner.id) is None
    assert list(again.broken()) == [owner.id]
    await state.snapshots.rebuild(owner.id)
    assert state.snapshots.of(owner.id) is None


async def test_one_agents_broken_set_is_no_others_trouble(state: State) -> None:
    await state.agent("good")
    bad = await state.agent("bad")
    await tamper(
        state.db,
        "UPDATE policy_revisions SET mac = zeroblob(32)"
        " WHERE agent_id = (SELECT id FROM agents WHERE key = 'bad')",
    )
    again = fresh(state)
    await again.start()
    good = await state.agents.get("good")
    assert again.of(good.id) is not None
    assert list(again.broken()) == [bad.id]


async def test_an_unknown_agent_is_broken_and_dropping_forgets_it(state: State) -> None:
    nobody = AgentId("nobody")
    await state.snapshots.rebuild(nobody)
    assert nobody in state.snapshots.broken()
    state.snapshots.drop(nobody)
    assert nobody not in state.snapshots.broken()


async def test_a_change_swaps_a_new_object_in_and_leaves_the_old_as_it_was(state: State) -> None:
    await state.connected()
    before = await in_force(state)
    await state.services.disable(ADMIN, "demo", "notes")
    after = await in_force(state)
    assert before.is_enabled("notes")
    assert ("notes", "search_notes") in before.tools
    assert not after.is_enabled("notes")
    assert ("notes", "search_notes") not in after.tools
    assert not after.is_enabled("nowhere")


async def test_only_active_tools_of_enabled_services_are_callable(state: State) -> None:
    await state.agent()
    state.upstreams.lists["open"] = [tool("look"), tool("old")]
    await state.service(key="open")
    state.upstreams.lists["open"] = [tool("look")]
    await state.services.discover(ADMIN, "demo", "open")
    names = {name for service, name in (await in_force(state)).tools if service == "open"}
    assert names & {"look", "old"} == {"look"}


def test_services_are_known_by_their_connector(state: State) -> None:
    assert state.snapshots.is_known("notes")
    assert state.snapshots.is_known("wicket")
    assert not state.snapshots.is_known("nowhere")

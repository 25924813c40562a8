"""The use cases of agents against a real database."""

import pytest

from tests.support.state import ADMIN, State
from wicketd.domain.agents import AgentStatus, SessionScope, Trust
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    RevisionMoved,
    RevisionRequired,
)
from wicketd.domain.members import KeyState


async def test_a_new_agent_is_active_with_the_status_baseline_and_nothing_else(
    state: State,
) -> None:
    created = await state.agents.create(ADMIN, key="ops", name=" Ops ", tz="Europe/Berlin")
    assert (created.status, created.name, created.policy_revision) == (
        AgentStatus.ACTIVE,
        "Ops",
        1,
    )
    assert created == await state.agents.get("ops")
    records = await state.policies.list("ops")
    assert [record.key for record in records] == ["baseline-wicket"]
    assert 'Wicket::Service::"wicket"' in records[0].text
    assert await state.kinds() == ["agent.created", "policy.created"]


async def test_a_new_agent_is_in_force_before_create_returns(state: State) -> None:
    created = await state.agent()
    snapshot = state.snapshots.of(created.id)
    assert snapshot is not None
    assert snapshot.engine.stamp.revision == 1


async def test_an_untrusted_agent_starts_without_any_policy_and_counts_by_key(state: State) -> None:
    created = await state.agent(trust=Trust.UNTRUSTED)
    assert await state.policies.list("demo") == []
    assert created.session_scope is SessionScope.KEY
    assert await state.kinds() == ["agent.created"]


@pytest.mark.parametrize("key", ["", "Ops", "9ops", "ops_1", "a" * 41, "öps", "ops\n"])
async def test_an_agent_key_that_is_no_slug_is_refused(state: State, key: str) -> None:
    with pytest.raises(Invalid, match="agent key"):
        await state.agents.create(ADMIN, key=key, name="Ops")


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "evil\u202ename", "two\nlines"])
async def test_a_name_that_would_not_show_is_refused(state: State, name: str) -> None:
    with pytest.raises(Invalid, match="name needs"):
        await state.agents.create(ADMIN, key="ops", name=name)


@pytest.mark.parametrize("tz", ["Mars/Olympus", "../etc/passwd", "", "europe berlin"])
async def test_a_time_zone_that_is_not_known_is_refused(state: State, tz: str) -> None:
    with pytest.raises(Invalid, match="time zone"):
        await state.agents.create(ADMIN, key="ops", name="Ops", tz=tz)


async def test_a_key_is_never_reused_not_even_after_a_delete(state: State) -> None:
    await state.agent()
    with pytest.raises(Conflict, match="taken"):
        await state.agent()
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    await state.agents.delete(ADMIN, "demo", "demo", disabled.rev)
    with pytest.raises(Conflict, match="taken"):
        await state.agent()


async def test_an_update_needs_the_current_revision(state: State) -> None:
    created = await state.agent()
    with pytest.raises(RevisionRequired):
        await state.agents.update(ADMIN, "demo", expected=None, name="New")
    with pytest.raises(RevisionMoved) as refused:
        await state.agents.update(ADMIN, "demo", expected=created.rev + 1, name="New")
    assert refused.value.details == ({"current": created.rev},)
    changed = await state.agents.update(ADMIN, "demo", expected=created.rev, name="New")
    assert (changed.name, changed.tz, changed.rev) == ("New", created.tz, created.rev + 1)
    assert (await state.kinds())[-1] == "agent.updated"


async def test_an_update_reaches_the_snapshot_and_the_cached_callers(state: State) -> None:
    created = await state.agent()
    await state.agents.update(ADMIN, "demo", expected=created.rev, tz="Asia/Tokyo")
    snapshot = state.snapshots.of(created.id)
    assert snapshot is not None
    assert snapshot.agent.tz == "Asia/Tokyo"
    assert ("forget_agent", created.id) in state.neighbours.told


async def test_the_kill_switch_needs_no_revision_and_ends_what_runs(state: State) -> None:
    created = await state.agent()
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED, "leak")
    assert (disabled.status, disabled.disabled_reason) == (AgentStatus.DISABLED, "leak")
    assert state.neighbours.told == [("forget_agent", created.id), ("end_agent", created.id)]
    enabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.ACTIVE)
    assert (enabled.status, enabled.disabled_reason) == (AgentStatus.ACTIVE, None)


async def test_the_kill_switch_does_not_wait_for_a_change_that_hangs(state: State) -> None:
    created = await state.agent()
    async with state.desk.locks.hold(created.id):
        disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    assert disabled.status is AgentStatus.DISABLED


async def test_a_deleted_agent_takes_keys_and_ciphertexts_along(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"canary-token")
    await state.keys.issue(ADMIN, "demo", "bob")
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    sealed = await state.held()
    assert sealed is not None
    assert sealed.sealed_ct is not None
    before = await state.recorded()
    state.neighbours.told.clear()
    await state.agents.delete(ADMIN, "demo", "demo", disabled.rev)
    assert {"end_agent", "forget_agent"} <= {name for name, _ in state.neighbours.told}
    assert await state.kinds(before) == ["agent.deleted", "key.revoked", "connection.revoked"]
    (key,) = await state.keys.list("demo")
    assert key.state is KeyState.REVOKED
    gone = await state.held()
    assert gone is not None
    assert (gone.state, gone.sealed_ct) == (ConnectionState.REVOKED, None)
    assert sealed.sealed_ct not in state.file_bytes()
    assert state.snapshots.of(key.agent_id) is None


async def test_a_delete_needs_the_typed_key(state: State) -> None:
    await state.agent()
    disabled = await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    with pytest.raises(Invalid, match="Type demo"):
        await state.agents.delete(ADMIN, "demo", "dem", disabled.rev)


async def test_an_unknown_agent_is_named_with_the_command_that_lists_them(state: State) -> None:
    with pytest.raises(NotFound, match="no agent 'nobody'") as refused:
        await state.agents.get("nobody")
    assert refused.value.hint == "wicket agent list"


async def test_a_refused_create_leaves_no_row_at_all(state: State) -> None:
    await state.agent()
    before = await state.recorded()
    with pytest.raises(Conflict):
        await state.agents.create(ADMIN, key="demo", name="Other")
    assert await state.recorded() == before
    assert len(await state.agents.list()) == 1


async def test_panic_switches_off_every_active_agent_in_one_transaction(state: State) -> None:
    first, second = await state.agent("one"), await state.agent("two")
    await state.agents.set_status(ADMIN, "two", AgentStatus.DISABLED)
    before = await state.recorded()
    ended = await state.agents.panic(ADMIN, reason="incident")
    assert [agent.id for agent in ended] == [first.id]
    assert await state.kinds(before) == ["agent.disabled"]
    assert ("end_agent", first.id) in state.neighbours.told
    assert (await state.agents.get("two")).id == second.id
    assert await state.agents.panic(ADMIN, "one") == []

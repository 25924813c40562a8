"""Coverage of a real set: its tools, its hits, and what no longer fits."""

import pytest

from tests.support.state import ADMIN, State, tool
from wicketd.domain.errors import NotFound, Unhealthy
from wicketd.domain.ports import Statement
from wicketd.policy.coverage import Cover

READ = 'permit (principal, action in Wicket::Action::"read", resource);'
LONG = (
    'forbid (principal, action == NotesMCP::Action::"search_notes", resource)\n'
    'when { context.input has text && context.input.text == "x" };'
)


async def ready(state: State) -> None:
    """Agent `demo` whose `notes` listed two tools."""
    await state.connected()
    state.upstreams.lists["notes"] = [tool("search_notes"), tool("delete_note")]
    await state.services.discover(ADMIN, "demo", "notes")


async def test_tools_are_covered_and_policies_counted(state: State) -> None:
    await ready(state)
    saved = await state.policies.create(ADMIN, "demo", name="Long", text=LONG)
    agent = await state.agents.get("demo")
    hour = state.clock.now_ms() - state.clock.now_ms() % 3_600_000
    insert = (
        "INSERT INTO audit_hourly_policy (agent_id, hour, policy_id, decision, n) "
        "VALUES (?, ?, ?, 'DENY', ?)"
    )
    for at, n in ((hour, 3), (hour - 3_600_000, 4), (hour - 31 * 86_400_000, 100)):
        row = Statement(insert, (agent.id, at, saved.version.policy_id, n))
        await state.db.write(lambda tx, row=row: tx.run(row))  # type: ignore[misc]  # bound now

    found = await state.policies.craft.coverage.show("demo")

    covers = {one.tool: one.cover for one in found.tools if one.service == "notes"}
    assert covers == {
        "delete_note": Cover.UNCOVERED,
        "search_notes": Cover.NAMED,
    }
    by_key = {one.record.key: one for one in found.policies}
    assert (by_key["long"].hits, by_key["baseline-notes"].hits) == (7, 0)
    assert not any(one.is_unmatchable or one.stale or one.broken for one in found.policies)


async def test_an_argument_that_was_retyped_leaves_a_policy_stale_and_broken(state: State) -> None:
    await ready(state)
    await state.policies.create(ADMIN, "demo", name="Long", text=LONG)
    retyped = tool("search_notes")
    retyped["inputSchema"] = {"type": "object", "properties": {"text": {"type": "integer"}}}
    state.upstreams.lists["notes"] = [retyped, tool("delete_note")]
    await state.services.discover(ADMIN, "demo", "notes")

    found = await state.policies.craft.coverage.show("demo")

    by_key = {one.record.key: one for one in found.policies}
    assert by_key["long"].stale == ("notes__search_notes",)
    assert by_key["long"].broken is not None
    assert by_key["baseline-notes"].broken is None


async def test_an_agent_that_is_none_and_a_set_that_does_not_load_are_refused(
    state: State,
) -> None:
    await ready(state)
    with pytest.raises(NotFound):
        await state.policies.craft.coverage.show("nowhere")
    agent = await state.agents.get("demo")
    state.snapshots.drop(agent.id)
    with pytest.raises(Unhealthy, match="not loaded"):
        await state.policies.craft.coverage.show("demo")

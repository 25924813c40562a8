"""What a change of tools means, told with the list and since the last review."""

import msgspec

from tests.support.drifting import ON_TEXT, definition, forbidding
from tests.support.listed import observe
from tests.support.state import ADMIN, State
from wicketd.services.events import Topic
from wicketd.services.impact import NewTool, TierMove

LOOK = definition("look", text="string")
OTHER = definition("other", text="string")
RENAMED = definition("look", file="string")


async def test_the_report_names_stale_policies_and_whose_lists_lose_the_tool(state: State) -> None:
    await forbidding(state, ON_TEXT)
    bob = await state.member()
    await observe(state, RENAMED, OTHER)
    found = await state.services.impact("demo", "open")
    assert found.stale == {"on-text": ("open__look",)}
    assert [(one.member.id, one.gains, one.loses) for one in found.lists] == [
        (bob.id, (), ("open__look",))
    ]
    body = msgspec.json.decode((await state.rows())[-1].body)
    said = body["after"]
    assert (said["stale_policies"], said["lost_by"]) == (["on-text"], [bob.id])
    assert (said["gained_by_count"], said["lost_by_count"]) == (0, 1)


async def test_the_report_names_broken_policies_with_the_reason(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, definition("look", text="integer"), OTHER)
    found = await state.services.impact("demo", "open")
    assert found.broken_at == {"on-text": ("open__look",)}
    assert found.broken.keys() == {"on-text"}


async def test_a_new_tool_is_told_with_the_statements_that_cover_it(state: State) -> None:
    await forbidding(state, ON_TEXT)
    bob = await state.member()
    await observe(state, LOOK, OTHER, definition("fresh", {"readOnlyHint": True}))
    found = await state.services.impact("demo", "open")
    assert found.added == (NewTool("open__fresh", "read", ("all#1", "baseline-open#1")),)
    assert [(one.member.id, one.gains) for one in found.lists] == [(bob.id, ("open__fresh",))]
    assert found.stale == {}


async def test_a_tier_that_rose_is_told(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await observe(state, LOOK, definition("other", {"readOnlyHint": False}, text="string"))
    found = await state.services.impact("demo", "open")
    assert found.tiers == (TierMove("open__other", "read", "destructive"),)


async def test_a_removed_tool_is_told_as_lost(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await state.member()
    await observe(state, LOOK)
    (lists,) = (await state.services.impact("demo", "open")).lists
    assert (lists.gains, lists.loses) == ((), ("open__other",))


async def test_a_review_ends_the_report(state: State) -> None:
    await forbidding(state, ON_TEXT)
    await state.member()
    await observe(state, RENAMED, OTHER)
    tools = {one.name: str(one.hash) for one in await state.services.tools("demo", "open")}
    await state.services.ack(ADMIN, "demo", "open", "look", tools["look"])
    found = await state.services.impact("demo", "open")
    assert (found.stale, found.broken, found.lists, found.tiers) == ({}, {}, (), ())


async def test_listeners_hear_which_policies_are_affected(state: State) -> None:
    await forbidding(state, ON_TEXT)
    listener = state.desk.events.subscribe(frozenset({Topic.SERVICES}))
    await observe(state, RENAMED, OTHER)
    heard = await listener.next(0)
    assert heard is not None
    (event,) = heard.events
    assert (event.data["stale"], event.data["broken"]) == (["on-text"], [])

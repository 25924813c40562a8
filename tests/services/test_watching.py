"""Flips of records in shadow mode, on a real audit (policy spec, 4 and 7.4).

Removals tried: hits of watched statements that flip nothing, versions from before the mode was
set, a statement counted beside another of the same call. Each is seen red here.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import NO_WIPING, Calling, open_calling
from tests.support.state import ADMIN
from wicketd.domain.policies import Mode
from wicketd.services.watching import Watched
from wicketd.storage import audit_counts

NO_LOOKING = 'forbid (principal, action == OpenMCP::Action::"look", resource);'
WIPING = 'permit (principal, action == OpenMCP::Action::"wipe", resource);'


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


async def watch(calling: Calling, name: str, text: str, mode: Mode = Mode.SHADOW) -> None:
    """One more record, only watched."""
    await calling.state.policies.create(ADMIN, "demo", name=name, text=text, mode=mode)


async def run(calling: Calling, *names: str) -> None:
    """Calls of bob."""
    for name in names:
        await calling.run(calling.call(await calling.caller(), name))


async def watched(calling: Calling) -> dict[str, Watched]:
    """What is watched, by key."""
    state = calling.state
    flips = await state.policies.craft.watched("demo")
    keys = {one.policy_id: one.key for one in await state.policies.list("demo")}
    return {keys[policy_id]: one for policy_id, one in flips.items()}


async def mode(calling: Calling, key: str, to: Mode) -> None:
    """Sets a record's mode."""
    agent = await calling.state.agents.get("demo")
    await calling.state.policies.set_mode(
        ADMIN, "demo", key, mode=to, expected=agent.policy_revision
    )


async def test_calls_that_a_watched_record_would_turn_round_are_counted(calling: Calling) -> None:
    await watch(calling, "Looking", f"{NO_LOOKING} {NO_LOOKING}")
    since = calling.state.clock.now_ms()
    calling.state.clock.pass_s(5)
    await run(calling, "look", "wipe", "look")
    assert await watched(calling) == {"looking": Watched(since, 2, 0)}


async def test_a_watched_permit_turns_denied_calls_round(calling: Calling) -> None:
    agent = await calling.state.agents.get("demo")
    await calling.state.policies.delete(
        ADMIN, "demo", "baseline-open", expected=agent.policy_revision
    )
    await watch(calling, "Wiping", WIPING)
    await run(calling, "wipe", "look")
    found = (await watched(calling))["wiping"]
    assert (found.allow_deny, found.deny_allow, found.flips) == (0, 1, 1)


async def test_a_watched_record_that_agrees_has_no_flips(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await watch(calling, "Again", NO_WIPING)
    await run(calling, "wipe", "look")
    assert (await watched(calling))["again"].flips == 0


async def test_counting_begins_anew_when_a_record_is_watched_again(calling: Calling) -> None:
    await watch(calling, "Looking", NO_LOOKING)
    await run(calling, "look")
    assert (await watched(calling))["looking"].flips == 1
    await mode(calling, "looking", Mode.ENFORCE)
    assert await watched(calling) == {}
    await run(calling, "look")
    await mode(calling, "looking", Mode.SHADOW)
    assert (await watched(calling))["looking"].flips == 0
    await run(calling, "look", "look")
    assert (await watched(calling))["looking"].flips == 2


async def test_a_flip_is_no_hit_and_coverage_tells_both(calling: Calling) -> None:
    await watch(calling, "Looking", NO_LOOKING)
    await run(calling, "look")
    found = await calling.state.policies.craft.coverage.show("demo")
    by_key = {one.record.key: (one.hits, one.flips) for one in found.policies}
    assert (by_key["looking"], by_key["baseline-open"]) == ((0, 1), (1, None))
    agent = await calling.state.agents.get("demo")
    rows = await calling.state.db.all(audit_counts.policy_stats(agent.id, 0, 2**62))
    assert sum(row.n for row in rows) == 1

"""A replay over many recorded calls: nothing changes, and memory stays where it is.

Over 1,000 calls, and in the long form over 100,000, recorded by the services of real calls, many in
one commit. Removals tried: counters of now in place of the recorded ones, every page kept until the
end.
"""

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.calling import BREAKER, CAP, NO_WIPING, Calling, open_calling
from tests.support.rehearsing import replays_over
from tests.support.state import ADMIN
from wicketd.domain.calls import Refusal
from wicketd.domain.ids import CallId
from wicketd.domain.policies import Reason
from wicketd.services.intents import Intents
from wicketd.services.replay import Replay, ReplayAsk, ReplayState
from wicketd.services.replay_pages import PAGE_ROWS, PAUSE_S, Pace
from wicketd.storage.audit import AuditFilters
from wicketd.storage.db import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS, MANY_CALLS = 1_000, 100_000
AT_ONCE = 100
PATIENT = Limits(durable_within_s=60)
"""A host that is busy with other tests must not end the recording."""
POLICIES = (
    CAP,
    NO_WIPING,
    BREAKER,
    (
        'forbid (principal, action == OpenMCP::Action::"look", resource) '
        'when { context.input has text && context.input.text == "x" };'
    ),
    "forbid (principal, action, resource) when { context.time.minute >= 50 };",
    (
        'forbid (principal in Wicket::Group::"ops", action, resource) '
        "when { context.session.calls > 50 };"
    ),
    (
        'forbid (principal, action in Wicket::Action::"destructive", resource) '
        'unless { principal.tags.contains("careful") };'
    ),
    'forbid (principal, action, resource) when { context.network.ip.isInRange(ip("9.0.0.0/8")) };',
    'forbid (principal, action, resource) when { context.unmodelled.contains("/secret") };',
)
"""With the baseline they are ten."""


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[CALLS, pytest.param(MANY_CALLS, marks=pytest.mark.long)],
)
async def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Calling, int]]:
    count: int = request.param
    path: Path = tmp_path_factory.mktemp("replay")
    async with open_calling(path, limits=PATIENT) as calling:
        for number, text in enumerate(POLICIES):
            await calling.policy(f"Policy {number}", text)
        await record(calling, count)
        yield calling, count


async def record(calling: Calling, count: int) -> None:
    """Calls of members whose groups and tags change, a second apart, many in one commit."""
    chance = random.Random(11)  # noqa: S311  # which calls are tried
    callers = [await calling.caller("bob"), await calling.caller("eve")]
    committing: list[Awaitable[object]] = []
    for _ in range(count // AT_ONCE):
        calling.state.clock.pass_s(chance.randrange(1, 200))
        decided = []
        for _ in range(AT_ONCE):
            caller = chance.choice(callers)
            member = replace(
                caller.member,
                groups=chance.choice([(), ("ops",)]),
                tags=chance.choice([(), ("careful",)]),
            )
            call = calling.call(
                replace(caller, member=member, ip=chance.choice(["127.0.0.1"] * 9 + ["9.1.1.1"])),
                chance.choice(["look", "look", "look", "pay", "wipe"]),
                arguments={
                    chance.choice(["text", "secret"]): chance.choice(["x", "y", "y", None]),
                    "amount": chance.choice([1, 99.5, 100.0001, 4000, None]),
                },
                session=f"s{chance.randrange(count // 5)}",
            )
            decision = calling.calls.decide(call)
            assert not isinstance(decision, Refusal)
            decided.append((call, decision))
        await asyncio.gather(*committing)
        committing = [asyncio.create_task(calling.calls.record(*one)) for one in decided]
        await asyncio.sleep(0)  # the next calls are decided while these are committed
    await asyncio.gather(*committing)


async def replayed(calling: Calling, filters: AuditFilters, *, verify: bool = False) -> Replay:
    """The set in force over what it decided, to its end."""
    replays = replays_over(calling.state)
    started = await replays.start(ADMIN, "demo", ReplayAsk(filters, verify=verify))
    found = await replays.wait(started.id, 3600)
    assert found.state is ReplayState.DONE, found.error
    return found


async def test_the_set_in_force_changes_nothing_over_what_it_decided(
    recorded: tuple[Calling, int],
) -> None:
    calling, count = recorded
    found = (await replayed(calling, AuditFilters())).tally
    assert (found.rows, found.matched) == (count, count - found.refused)
    assert (found.changed.total(), found.differing, found.unmatched.total()) == (0, 0, 0)
    assert found.before == found.baseline == found.after
    assert min(found.before[True], found.before[False]) > count // 10
    assert found.refused < count // 2
    assert found.kept == []


@pytest.mark.parametrize("verify", [False, True])
async def test_a_replay_pauses_after_each_page_while_calls_run_and_only_then(
    tmp_path: Path, verify: bool
) -> None:
    async with open_calling(tmp_path) as calling:
        await record(calling, PAGE_ROWS + AT_ONCE)
        intents, pauses, running = Intents(calling.state.desk), list[float](), CallId("c1")

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        async def paused() -> int:
            pauses.clear()
            replays = replays_over(calling.state, new_pace=lambda: Pace(intents, pause))
            started = await replays.start(ADMIN, "demo", ReplayAsk(AuditFilters(), verify=verify))
            found = await replays.wait(started.id, 60)
            assert found.state is ReplayState.DONE, found.error
            return len(pauses)

        assert await paused() == 0
        intents.began(running)
        assert await paused() == 2
        intents.ended(running)
        assert await paused() == 0


async def test_a_call_that_came_and_went_during_a_page_brings_one_pause(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        intents, pauses = Intents(calling.state.desk), list[float]()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        pace = Pace(intents, pause)
        intents.began(CallId("c1"))
        intents.ended(CallId("c1"))
        await pace.after_page()
        await pace.after_page()
        assert pauses == [PAUSE_S]


async def test_a_call_denied_for_a_late_answer_is_counted_apart(tmp_path: Path) -> None:
    """A busy host makes one of 50,000 answers late; no set of policies would deny it again."""
    async with open_calling(tmp_path) as calling:
        call = calling.call(await calling.caller("bob"))
        decision = calling.decide(call)
        late = replace(decision, allow=False, reason=Reason.ENGINE_LATE, determining=())
        await calling.calls.record(call, late)
        await calling.run(calling.call(await calling.caller("bob")))
        for verify in (False, True):
            found = (await replayed(calling, AuditFilters(), verify=verify)).tally
            assert (found.rows, found.refused, found.matched, found.faults) == (2, 1, 1, 0)
            assert found.kept == []


async def test_memory_does_not_grow_with_the_rows(recorded: tuple[Calling, int]) -> None:
    calling, count = recorded
    decided = {"call.intent", "call.denied"}
    times = [row.ts for row in await calling.state.rows() if row.kind in decided]
    few = AuditFilters(to_ms=times[max(count // 10, 3 * PAGE_ROWS + AT_ONCE)])
    peaks = []
    for filters in (few, AuditFilters()):
        tracemalloc.start()
        try:
            rows = (await replayed(calling, filters)).tally.rows
            peaks.append((rows, tracemalloc.get_traced_memory()[1]))
        finally:
            tracemalloc.stop()
    (fewer, small), (more, large) = peaks
    assert more == count > fewer >= 3 * PAGE_ROWS
    assert large < small + 512 * 1024, (small, large)

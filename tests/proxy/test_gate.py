"""The decision gate over the real use cases: what goes wrong in there never lets a call through."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import NO_WIPING, Calling, break_disk, open_calling
from wicketd.domain.calls import Call, Outcome, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.policies import Decision, Reason


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


async def stored(calling: Calling) -> Call:
    """An allowed call whose intent is durable."""
    call = calling.call(await calling.caller())
    decision = calling.gate.decide(call)
    assert isinstance(decision, Decision)
    intent = await calling.gate.store_intent(call, decision)
    assert isinstance(intent, Call)
    return intent


async def kinds_of(calling: Calling, call: Call) -> list[str]:
    """The rows of one call."""
    return [row.kind for row in await calling.state.rows() if row.call_id == call.id]


@pytest.mark.requirement("FC2", "N7")
async def test_an_exception_while_deciding_is_a_recorded_denial(calling: Calling) -> None:
    caller = await calling.caller()
    broken = calling.call(caller, session="\ud800")  # no front makes such an id: a bug of ours
    decision = calling.gate.decide(broken)
    assert isinstance(decision, Decision)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)
    answer = await calling.gate.store_intent(calling.call(caller), decision)
    assert isinstance(answer, Refusal)
    row = await calling.last()
    assert (row.kind, row.reason_code) == ("call.denied", "engine_error")
    assert answer.call_id == row.call_id


async def test_an_allowed_call_has_its_intent_and_then_its_outcome(calling: Calling) -> None:
    call = await stored(calling)
    assert await calling.gate.store_outcome(call, Outcome(OutcomeStatus.OK)) is None
    assert await kinds_of(calling, call) == ["call.intent", "call.outcome"]


async def test_a_denied_call_is_one_row(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    call = calling.call(await calling.caller(), "wipe")
    decision = calling.gate.decide(call)
    assert isinstance(decision, Decision)
    before = await calling.state.recorded()
    answer = await calling.gate.store_intent(call, decision)
    assert isinstance(answer, Refusal)
    assert (answer.kind, answer.call_id) == (RefusalKind.DENIED, call.id)
    assert await calling.state.kinds(before) == ["session.started", "call.denied"]


@pytest.mark.requirement("FC1", "FC23")
async def test_what_is_not_durable_refuses_and_withholds(
    calling: Calling, caplog: pytest.LogCaptureFixture
) -> None:
    call = await stored(calling)
    other = calling.call(call.caller)
    decision = calling.gate.decide(other)
    assert isinstance(decision, Decision)
    await break_disk(calling.state.db)
    kinds = (
        await calling.gate.store_intent(other, decision),
        await calling.gate.store_outcome(call, Outcome(OutcomeStatus.OK)),
        await calling.gate.refuse(call.caller, Refusal(RefusalKind.TOOL_NAME), None, "x"),
    )
    assert [one.kind if isinstance(one, Refusal) else one for one in kinds] == [
        RefusalKind.AUDIT_REFUSED,
        RefusalKind.AUDIT_WITHHELD,
        RefusalKind.AUDIT_REFUSED,
    ]
    assert all(one.retry_after_s == 5 for one in kinds if isinstance(one, Refusal))
    assert f"the intent of call {other.id}" in caplog.text
    assert f"the outcome of call {call.id}" in caplog.text


async def test_a_refusal_before_a_decision_gets_the_reference_of_its_row(calling: Calling) -> None:
    caller = await calling.caller()
    refusal = Refusal(RefusalKind.TOOL_NAME)
    answered = await calling.gate.refuse(caller, refusal, None, "nowhere")
    row = await calling.last()
    assert (row.kind, row.tool, row.call_id) == ("call.denied", "nowhere", answered.call_id)


@pytest.mark.parametrize("waits", [0, 1, 2, 3, 20])
async def test_a_client_that_leaves_at_any_moment_leaves_no_open_intent(
    calling: Calling, waits: int
) -> None:
    """The unit of a cancelled writer still runs, so its intent would stay open until a restart."""
    call = calling.call(await calling.caller())
    decision = calling.gate.decide(call)
    assert isinstance(decision, Decision)
    writing = asyncio.create_task(calling.gate.store_intent(call, decision))
    for _ in range(waits):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    expected = ["call.intent", "call.outcome"] if waits else []
    async with asyncio.timeout(5):
        while await kinds_of(calling, call) != expected:
            await asyncio.sleep(0)


async def test_a_client_that_leaves_does_not_stop_the_outcome(calling: Calling) -> None:
    call = await stored(calling)
    settling = asyncio.create_task(calling.gate.store_outcome(call, Outcome(OutcomeStatus.OK)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)
    async with asyncio.timeout(5):
        while await kinds_of(calling, call) != ["call.intent", "call.outcome"]:
            await asyncio.sleep(0)

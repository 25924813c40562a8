"""`proxy.held`: a call waits between two requests for who may go on with it, and not long."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fronts import CountingRandom, Tasks, eventually, make_caller
from tests.support.upstreams import RecordingFront, call
from wicketd.domain.calls import Answer, Call, Era, Failure, RefusalKind
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Front
from wicketd.proxy.held import HELD_S, HeldCalls, Outcome
from wicketd.proxy.presence import Presences

FORM: JsonObject = {
    "method": "elicitation/create",
    "params": {"mode": "url", "url": "https://a.example", "elicitationId": "theirs"},
}
SHOWN: JsonObject = {
    "method": "elicitation/create",
    "params": {"mode": "url", "url": "https://a.example"},
}
ACCEPT: JsonObject = {"action": "accept"}


class House:
    """Held calls of scripted upstreams."""

    def __init__(self, timeout_s: float = 30.0) -> None:
        self.tasks = Tasks()
        self.presences = Presences()
        self.held = HeldCalls(self.presences, self.tasks, CountingRandom(), timeout_s=timeout_s)
        self.front = RecordingFront()
        self.ended = asyncio.Event()

    async def asks(self, to: Front, times: int = 1) -> Answer:
        """An upstream that asks, then answers with what it was told."""
        try:
            told: list[Any] = [await to.ask({"": FORM}) for _ in range(times)]
            to.progress({"progress": 1})
            return Answer({"told": [one[""] for one in told]}, None, 200, 1, 2)
        finally:
            self.ended.set()

    async def begin(
        self, work: Callable[[Front], Awaitable[Outcome]] | None = None, by: str = "ana"
    ) -> tuple[Call, str]:
        """A call that is held now, and its name."""
        asked = make_call(by)
        answer = await self.held.run(asked, self.front, work or self.asks)
        assert isinstance(answer, Answer), answer
        assert answer.is_held
        assert answer.result is not None
        return asked, str(answer.result["requestState"])


def make_call(by: str = "ana") -> Call:
    return replace(call(era=Era.MODERN), caller=make_caller(by))


def kind(outcome: Outcome) -> RefusalKind:
    assert isinstance(outcome, Failure), outcome
    return outcome.refusal.kind


async def test_questions_become_an_answer_and_the_retry_brings_the_replies() -> None:
    house = House()
    first = await house.held.run(make_call(), house.front, house.asks)
    assert isinstance(first, Answer)
    assert first.result is not None
    assert first.result["inputRequests"] == {"r1": SHOWN}
    later = RecordingFront()
    retry = replace(make_call(), inputs={"r1": ACCEPT}, round=1)
    last = await house.held.resume(retry, str(first.result["requestState"]), later)
    assert isinstance(last, Answer)
    assert last.result == {"told": [{"result": ACCEPT}]}
    assert (house.front.progressed, later.progressed) == ([], [{"progress": 1}])
    assert house.presences.streams == 0


async def test_a_call_that_asks_nothing_is_not_held() -> None:
    house = House()

    async def answers(_: Front) -> Outcome:
        return Answer({}, None, 200, 1, 2)

    assert await house.held.run(make_call(), house.front, answers) == await answers(house.front)


async def test_questions_that_come_together_go_together_and_a_missing_reply_cancels() -> None:
    house = House()

    async def asks_twice(to: Front) -> Outcome:
        told = await asyncio.gather(to.ask({"": FORM}), to.ask({"": FORM}))
        return Answer({"told": [one[""] for one in told]}, None, 200, 1, 2)

    asked, name = await house.begin(asks_twice)
    retry = replace(asked, inputs={"r2": ACCEPT}, round=1)
    last = await house.held.resume(retry, name, house.front)
    assert isinstance(last, Answer)
    assert last.result == {"told": [{"result": {"action": "cancel"}}, {"result": ACCEPT}]}


async def test_what_a_server_reports_between_two_requests_reaches_neither() -> None:
    """The first is being answered, whose answer must not begin a second time."""
    house = House()
    is_held = asyncio.Event()

    async def reports(to: Front) -> Outcome:
        asking = asyncio.ensure_future(to.ask({"": FORM}))
        await is_held.wait()
        to.progress({"progress": 1})
        to.log({"level": "info"})
        to.elicited("theirs")
        house.ended.set()
        return Answer({"told": (await asking)[""]}, None, 200, 1, 2)

    asked, name = await house.begin(reports)
    is_held.set()
    await asyncio.wait_for(house.ended.wait(), 5)
    later = RecordingFront()
    retry = replace(asked, inputs={"r1": ACCEPT}, round=1)
    assert isinstance(await house.held.resume(retry, name, later), Answer)
    for front in (house.front, later):
        assert (front.progressed, front.logged, front.completed) == ([], [], [])


@pytest.mark.requirement("N4")
async def test_a_held_call_is_gone_for_another_member_tool_or_a_second_time() -> None:
    house = House()
    asked, name = await house.begin()
    for other in (make_call("bob"), replace(asked, name="other"), replace(asked, service="x")):
        assert kind(await house.held.resume(other, name, house.front)) is RefusalKind.STATE
    await house.held.resume(replace(asked, inputs={}, round=1), name, house.front)
    assert kind(await house.held.resume(asked, name, house.front)) is RefusalKind.STATE


async def test_nobody_is_waited_for_longer_than_the_time_of_a_held_call() -> None:
    assert HELD_S == 300
    house = House(timeout_s=0.1)
    asked, name = await house.begin()
    await asyncio.wait_for(house.ended.wait(), 5)
    await eventually(lambda: house.presences.streams == 0)
    assert kind(await house.held.resume(asked, name, house.front)) is RefusalKind.STATE


async def test_a_held_call_ends_with_the_right_it_runs_under() -> None:
    house = House()
    asked, name = await house.begin()
    house.presences.end_member(asked.caller.member.id)
    await asyncio.wait_for(house.ended.wait(), 5)
    assert kind(await house.held.resume(asked, name, house.front)) is RefusalKind.STATE


async def test_a_client_that_leaves_while_it_waits_ends_the_call() -> None:
    house = House()
    began = asyncio.Event()

    async def works(_: Front) -> Outcome:
        try:
            began.set()
            await asyncio.get_running_loop().create_future()
        finally:
            house.ended.set()
        raise AssertionError

    running = asyncio.ensure_future(house.held.run(make_call(), house.front, works))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(house.ended.wait(), 5)


async def test_a_member_holds_a_bounded_number_of_calls() -> None:
    house = House()
    for _ in range(8):
        await house.begin()
    more = await house.held.run(make_call(), house.front, house.asks)
    assert kind(more) is RefusalKind.UPSTREAM_TIMEOUT
    await house.begin(by="bob")


async def test_rounds_are_bounded() -> None:
    house = House()
    asked, name = await house.begin()
    last = await house.held.resume(replace(asked, round=10), name, house.front)
    assert kind(last) is RefusalKind.UPSTREAM_TIMEOUT
    await asyncio.wait_for(house.ended.wait(), 5)


async def test_a_bug_behind_a_held_call_is_raised_where_it_is_waited_for() -> None:
    house = House()

    async def breaks(_: Front) -> Outcome:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await house.held.run(make_call(), house.front, breaks)

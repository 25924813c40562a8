"""Calls of modern clients that wait, between two requests, for what a legacy upstream asked.

Counterpart of `ports`, which sends through it, and of `sealed`, whose state names a held call. The
upstream's stream stays open under a task of its own; its questions become one answer, the next
request brings the replies and waits again. Invariant: a held call belongs to one member, service
and name; it ends with the right it runs under, or after 5 minutes. Source: protocol spec, 4.7, 5.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from typing_extensions import override

from wicketd.domain.calls import Answer, Call, Failure, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Front, Random, Spawn, Task
from wicketd.proxy import failures, relaying
from wicketd.proxy.passing import ROUNDS_MAX
from wicketd.proxy.presence import Presence, Presences

GATHER_S: Final = 0.05
"""Questions that come so soon after the first go with it."""
HELD_S: Final = 300.0
PER_MEMBER: Final = 8

Outcome: TypeAlias = Answer | Failure
Work: TypeAlias = Callable[[Front], Awaitable[Outcome]]
"""Sends the call; the Front is whoever waits for it at the moment."""


@dataclass(slots=True, eq=False)
class _Held(Front):
    """One call and what it asked; as a Front it is its present request's, between two nobody's."""

    call: Call
    front: Front | None
    timeout_s: float
    outcome: asyncio.Future[Outcome]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[str, tuple[JsonObject, asyncio.Future[JsonObject]]] = field(default_factory=dict)
    count: int = 0
    task: Task | None = None
    presence: Presence | None = None

    @override
    def started(self, call: Call) -> None:
        """Each round has been started by itself."""

    @override
    def progress(self, params: JsonObject) -> None:
        if self.front is not None:
            self.front.progress(params)

    @override
    def log(self, params: JsonObject) -> None:
        if self.front is not None:
            self.front.log(params)

    @override
    def elicited(self, elicitation_id: Json) -> None:
        if self.front is not None:
            self.front.elicited(elicitation_id)

    @override
    async def ask(self, questions: Mapping[str, JsonObject]) -> Mapping[str, JsonObject]:
        asked: dict[str, str] = {}
        waiting: list[asyncio.Future[JsonObject]] = []
        for key, question in questions.items():
            self.count += 1
            asked[key] = f"r{self.count}"
            waiting.append(asyncio.get_running_loop().create_future())
            self.open[asked[key]] = (_modern(question), waiting[-1])
        self.news.set()
        try:
            async with asyncio.timeout(self.timeout_s):
                replies = await asyncio.gather(*waiting)
        except TimeoutError:
            self.give_up()
            return {key: relaying.unanswered(question) for key, question in questions.items()}
        finally:
            for name in asked.values():
                self.open.pop(name, None)
        return dict(zip(questions, replies, strict=True))

    def reply(self, inputs: JsonObject) -> None:
        """Answers every open question; what the client left out is cancelled."""
        for name, (question, waiting) in self.open.items():
            given = inputs.get(name)
            said = relaying.unanswered(question)
            if isinstance(given, dict):
                said = relaying.reply({"result": given})
            if not waiting.done():
                waiting.set_result(said)

    def give_up(self) -> None:
        """Cancels the call at the upstream."""
        if self.task is not None:
            self.task.cancel()


class HeldCalls:
    """Every held call."""

    def __init__(
        self, presences: Presences, spawn: Spawn, random: Random, *, timeout_s: float = HELD_S
    ) -> None:
        self._presences = presences
        self._spawn = spawn
        self._random = random
        self._timeout_s = timeout_s
        self._held: dict[str, _Held] = {}

    async def run(self, call: Call, front: Front, work: Work) -> Outcome:
        """Sends a call; its outcome, or the questions that the upstream asks meanwhile."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        held = _Held(call, front, self._timeout_s, outcome)
        held.task = self._spawn(_settle(held, work), name="held-call")
        return await self._until_it_asks(held, call)

    async def resume(self, call: Call, name: str, front: Front) -> Outcome:
        """Goes on with a held call: `call.inputs` are the replies."""
        held = self._held.get(name)
        if held is None or _whose(held.call) != _whose(call):
            gone = Refusal(RefusalKind.STATE)
            return Failure(OutcomeStatus.TIMEOUT, gone)
        self._release(name)
        held.front = front
        if call.round >= ROUNDS_MAX:
            held.give_up()
            return failures.timed_out(call.service, ROUNDS_MAX)
        held.news.clear()
        held.reply(call.inputs or {})
        return await self._until_it_asks(held, call)

    async def _until_it_asks(self, held: _Held, call: Call) -> Outcome:
        try:
            while True:
                if held.outcome.cancelled():
                    return failures.timed_out(call.service, int(self._timeout_s))
                if held.outcome.done():
                    return held.outcome.result()
                await held.news.wait()
                await asyncio.wait([held.outcome], timeout=GATHER_S)
                if held.open and not held.outcome.done():
                    return self._keep(held, call)
                held.news.clear()
        except asyncio.CancelledError:
            held.give_up()
            raise

    def _keep(self, held: _Held, call: Call) -> Outcome:
        of_member = [one for one in self._held.values() if _member(one.call) == _member(call)]
        presence = self._presences.enter_stream(call.caller, held.give_up)
        if isinstance(presence, Refusal) or len(of_member) >= PER_MEMBER:
            if isinstance(presence, Presence):
                self._presences.leave(presence)
            held.give_up()
            return failures.timed_out(call.service, int(self._timeout_s))
        name = self._random.bytes(16).hex()
        held.presence, held.front = presence, None
        self._held[name] = held
        held.outcome.add_done_callback(lambda _: self._release(name))
        asked: JsonObject = {key: question for key, (question, _) in held.open.items()}
        result: JsonObject = {
            "resultType": "input_required",
            "inputRequests": asked,
            "requestState": name,
        }
        return Answer(result, None, 200, 0, 0, is_held=True)

    def _release(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None and held.presence is not None:
            self._presences.leave(held.presence)


async def _settle(held: _Held, work: Work) -> None:
    try:
        outcome = await work(held)
        held.outcome.set_result(outcome)
    except Exception as error:  # noqa: BLE001  # a bug of ours; whoever waits raises it
        held.outcome.set_exception(error)
    finally:
        held.outcome.cancel()  # nothing, if it is set
        held.news.set()


def _modern(question: JsonObject) -> JsonObject:
    """A legacy question without the id that modern ones do not have."""
    params = question.get("params")
    given = params if isinstance(params, dict) else {}
    kept: JsonObject = {key: value for key, value in given.items() if key != "elicitationId"}
    return {**question, "params": kept}


def _member(call: Call) -> tuple[str, str]:
    return call.caller.agent.id, call.caller.member.id


def _whose(call: Call) -> tuple[str, str, str, str, str]:
    return *_member(call), call.service, call.method, call.name

"""Carries out what the upstream machine commands: exchanges, handshakes, timers, cancellations.

Counterpart of `upstream`, which decides, and of `client`, which fills the jobs. A handshake runs as
a task of its own, because several jobs wait for it and any of them may be cancelled.
"""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from wicketd.domain.calls import Answer, Failure
from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.errors import Upstream
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Clock, Front, Spawn
from wicketd.proxy import failures, outbound, relaying, signals
from wicketd.proxy.answers import event_of
from wicketd.proxy.eras import Eras, Verdict
from wicketd.proxy.exchange import Exchanges, Listener
from wicketd.proxy.handshake import Handshake, Refused
from wicketd.proxy.inbound import Message
from wicketd.proxy.lanes import Job, Lane
from wicketd.proxy.outbound import Outgoing, Wanted
from wicketd.proxy.upstream_events import (
    Answered,
    Cancelled,
    CancelUpstream,
    Command,
    EraFound,
    Event,
    Failed,
    HandshakeFailed,
    How,
    Initialize,
    Probe,
    ProgressArrived,
    QuestionClosed,
    QuestionOpened,
    Relist,
    Relisted,
    Resume,
    Send,
    SendWanted,
    Session,
    SessionOpened,
    SetTimer,
    Settle,
    TimerFired,
)

_TELL_S: Final = 5
_ASIDE_BYTES: Final = 64 * 1024
_LEGACY_ONLY: Final = frozenset({outbound.SUBSCRIBE, outbound.UNSUBSCRIBE})


class Runner:
    """Runs the jobs of all lanes."""

    def __init__(self, exchanges: Exchanges, eras: Eras, clock: Clock, spawn: Spawn) -> None:
        self._exchanges = exchanges
        self._eras = eras
        self._clock = clock
        self._spawn = spawn
        self.signals: signals.Signals | None = None
        """Who is told of changed lists and resources."""

    async def run(self, lane: Lane, job: Job) -> Answer | Failure:
        """Runs one job to its end. Cancelling the caller cancels the upstream."""
        if job.is_channel:  # it stays for hours: a seat is for what ends
            return await self._seated(lane, job)
        try:
            await lane.take_seats()
        except TimeoutError:
            return failures.unreachable(lane.place.service, cap=failures.QUEUE_CAP)
        try:
            return await self._seated(lane, job)
        finally:
            lane.give_seats()

    async def _seated(self, lane: Lane, job: Job) -> Answer | Failure:
        lane.jobs[job.wanted.id] = job
        try:
            return await self._within_deadlines(lane, job)
        except asyncio.CancelledError:
            self.feed(lane, Cancelled(self._clock.monotonic_s(), job.wanted.id))
            raise
        finally:
            del lane.jobs[job.wanted.id]
            for question in job.questions.values():
                question.cancel()
            lane.touched_s = self._clock.monotonic_s()

    def feed(self, lane: Lane, event: Event) -> None:
        """Tells the machine and carries out its commands."""
        for command in lane.machine.handle(event):
            self._perform(lane, command)

    async def _within_deadlines(self, lane: Lane, job: Job) -> Answer | Failure:
        limits = job.route.connector.limits
        key, at_s = job.wanted.id, self._clock.monotonic_s()
        try:
            async with asyncio.timeout(None) as job.timer:
                times = (float(limits.timeout_s), float(limits.timeout_max_s))
                if job.is_channel:
                    times = (math.inf, math.inf)
                self.feed(lane, SendWanted(at_s, key, *times))
                return await self._until_settled(lane, job)
        except TimeoutError:
            job.forget_commands()
            self.feed(lane, TimerFired(self._clock.monotonic_s(), key))
            return await self._until_settled(lane, job)

    async def _until_settled(self, lane: Lane, job: Job) -> Answer | Failure:
        while True:
            command = await job.next()
            match command:
                case Settle():
                    return command.outcome
                case Send():
                    event: Event = await self._send(lane, job, command.session)
                case Resume():
                    event = await self._resume(lane, job, command)
                case Relist():
                    is_usable = job.relist is not None and await job.relist()
                    event = Relisted(self._clock.monotonic_s(), command.job, is_usable)
                case _:
                    assert_never(command)
            self.feed(lane, event)

    def _perform(self, lane: Lane, command: Command) -> None:
        job = lane.jobs.get(command.job)
        if job is None:
            return
        match command:
            case Send() | Resume() | Relist() | Settle():
                job.put(command)
            case SetTimer():
                self._set_timer(job, command.at_s)
            case Probe():
                self._spawn(self._probe(lane, job, command.doubted), name="upstream-probe")
            case Initialize():
                self._spawn(self._initialize(lane, job), name="upstream-initialize")
            case CancelUpstream():
                self._cancel(job, command.session)
            case _:
                assert_never(command)

    def _set_timer(self, job: Job, at_s: float) -> None:
        if job.timer is not None and not job.timer.expired():
            wait_s = at_s - self._clock.monotonic_s()
            when = None if wait_s == math.inf else asyncio.get_running_loop().time() + wait_s
            job.timer.reschedule(when)

    async def _send(self, lane: Lane, job: Job, session: Session | None) -> Event:
        header = job.route.header_for(job.credential)
        if header is None:
            failure = failures.reconnect(lane.place.service)
            return Failed(self._clock.monotonic_s(), job.wanted.id, How.FINAL, failure)
        if session is None and job.wanted.method in _LEGACY_ONLY:
            return _settled(self._clock.monotonic_s(), job)  # its listen stream carries the URI
        if session is not None:
            await self._set_level(lane, job, session)
            await self._subscribe(lane, job, session)
        return await self._ask(lane, job, session, outbound.request(job.wanted, session, header))

    async def _set_level(self, lane: Lane, job: Job, session: Session) -> None:
        """A legacy server logs for all alike: it is told the most verbose level anybody wants."""
        level = job.wanted.log_level
        if level is None or not session.has_logging or not lane.is_more_verbose(session, level):
            return
        await self._aside(lane, job, session, ("logging/setLevel", {"level": level}))

    async def _subscribe(self, lane: Lane, job: Job, session: Session) -> None:
        """What a legacy session has to know before its channel opens, or its subscription ends."""
        subscribed = lane.subscribed_of(session)
        uri = job.wanted.params.get("uri")
        if job.wanted.method == outbound.SUBSCRIBE:
            subscribed.add(str(uri))
        elif job.wanted.method == outbound.UNSUBSCRIBE:
            subscribed.discard(str(uri))
        elif job.is_channel and session.has_subscriptions:
            for missing in sorted(job.uris - subscribed):
                subscribed.add(missing)
                await self._aside(lane, job, session, (outbound.SUBSCRIBE, {"uri": missing}))

    async def _aside(
        self, lane: Lane, job: Job, session: Session, said: tuple[str, JsonObject]
    ) -> None:
        """A small request of our own on the way; nothing fails if it does."""
        outgoing = outbound.request(Wanted(lane.next_id(), *said), session, self._header(job))
        with suppress(Upstream, TimeoutError):
            async with asyncio.timeout(_TELL_S):
                listener = self._listener(lane, job, session)
                await self._exchanges.ask(job.route.endpoint, outgoing, listener, _ASIDE_BYTES)

    async def _resume(self, lane: Lane, job: Job, command: Resume) -> Event:
        await asyncio.sleep(command.after_s)
        header = job.route.header_for(job.credential) or {}
        outgoing = outbound.resume(job.wanted, command.session, command.event_id, header)
        event = await self._ask(lane, job, command.session, outgoing)
        # The request has been processed once: whatever comes now, it is never sent again.
        return replace(event, how=How.FINAL) if isinstance(event, Failed) else event

    async def _ask(
        self, lane: Lane, job: Job, session: Session | None, outgoing: Outgoing
    ) -> Event:
        limits, service = job.route.connector.limits, lane.place.service
        listener = self._listener(lane, job, session)
        try:
            heard = await self._exchanges.ask(
                job.route.endpoint, outgoing, listener, limits.max_result_bytes
            )
        except Upstream as error:
            failure = failures.of_error(service, error, limits.timeout_s)
            how = How.FINAL if error.is_written or error.cap is not None else How.NOT_WRITTEN
            return Failed(self._clock.monotonic_s(), job.wanted.id, how, failure)
        times = (job.began_s, self._clock.monotonic_s())
        return event_of(heard, service, job.wanted.id, session, times)

    def _listener(self, lane: Lane, job: Job, session: Session | None) -> Listener:
        def listen(message: Message | None) -> None:
            # what comes outside of calls belongs to the newest one of the same conversation
            of = job if not job.is_channel else lane.newest or job
            if message is None or not isinstance(message.method, str):
                lane.dropped += 1
            elif not message.is_request:
                self._hear_notification(lane, of, message)
            elif session is None or not of.may_reply(message.id):
                lane.dropped += 1
            else:
                self._hear_request(lane, of, session, message)

        return listen

    def _hear_notification(self, lane: Lane, job: Job, message: Message) -> None:
        params = message.params if isinstance(message.params, dict) else {}
        method, at_s = str(message.method), self._clock.monotonic_s()
        if method == "notifications/progress":
            self._hear_progress(lane, job, dict(params))
        elif method == "notifications/cancelled":
            question = job.questions.get(str(params.get("requestId")))
            if question is not None:
                question.cancel()
        elif signals.is_signal(method):
            if self.signals is not None and lane.may_signal(at_s):
                signals.tell(self.signals, lane.place, lane.member_id, (method, params))
        elif job.front is None or not job.may_relay(at_s):
            lane.dropped += 1
        elif method == "notifications/message" and "logging" in job.route.connector.relay:
            job.front.log(_named(lane, params))
        elif method == "notifications/elicitation/complete":
            job.front.elicited(params.get("elicitationId"))
        else:
            lane.dropped += 1

    def _hear_progress(self, lane: Lane, job: Job, params: JsonObject) -> None:
        token, at_s = params.pop("progressToken", None), self._clock.monotonic_s()
        if type(token) is not int or token != job.wanted.id:
            lane.dropped += 1
            return
        self.feed(lane, ProgressArrived(at_s, job.wanted.id))
        is_relayed = "progress" in job.route.connector.relay
        if job.front is not None and is_relayed and job.may_relay(at_s):
            job.front.progress(params)

    def _hear_request(self, lane: Lane, job: Job, session: Session, message: Message) -> None:
        """A request of a legacy server: what was declared goes to the client, the rest nowhere."""
        params = message.params if isinstance(message.params, dict) else {}
        asked: JsonObject = {"method": str(message.method), "params": params}

        async def say(said: Mapping[str, Json]) -> None:
            answer: JsonObject = {"jsonrpc": "2.0", "id": _id(message), **said}
            await self._tell(job, outbound.reply(answer, session, self._header(job)))

        async def ask(front: Front) -> None:
            try:
                await say(await self._asked(lane, job, front, relaying.question(asked)))
            finally:
                job.questions.pop(str(message.id), None)

        if message.method == "ping":
            self._spawn(say({"result": {}}), name="upstream-reply")
        elif job.front is None or not relaying.is_declared(asked, lane.declared):
            self._spawn(say(relaying.unasked()), name="upstream-reply")
        else:
            asking = self._spawn(ask(job.front), name="upstream-question")
            job.questions[str(message.id)] = asking

    async def _asked(
        self, lane: Lane, job: Job, front: Front, question: JsonObject
    ) -> Mapping[str, Json]:
        """The client's reply; as long as it thinks, the clock of the call stands."""
        key = job.wanted.id
        self.feed(lane, QuestionOpened(self._clock.monotonic_s(), key))
        try:
            return (await front.ask({"": question}))[""]
        finally:
            self.feed(lane, QuestionClosed(self._clock.monotonic_s(), key))

    def _cancel(self, job: Job, session: Session) -> None:
        if job.is_channel:
            return
        params: JsonObject = {"requestId": job.wanted.id, "reason": "The client cancelled."}
        cancelled = outbound.notification(
            "notifications/cancelled", params, session, self._header(job)
        )
        self._spawn(self._tell(job, cancelled), name="upstream-cancel")

    async def _tell(self, job: Job, outgoing: Outgoing) -> None:
        try:
            async with asyncio.timeout(_TELL_S):
                await self._exchanges.tell(job.route.endpoint, outgoing)
        except (Upstream, TimeoutError):
            return  # a notice: whoever missed it finds the stream closed

    def _header(self, job: Job) -> Mapping[str, str]:
        return job.route.header_for(job.credential) or {}

    def _handshake(self, lane: Lane, job: Job) -> Handshake | None:
        header = job.route.header_for(job.credential)
        if header is None:
            return None

        def count(_: Message | None) -> None:
            lane.dropped += 1

        place = lane.place.service
        return Handshake(
            self._exchanges, job.route, header, place, count, lane.declared, self._spawn
        )

    async def _probe(self, lane: Lane, job: Job, doubted: UpstreamEra | None) -> None:
        found: tuple[Verdict, bool] | Failure = failures.reconnect(lane.place.service)
        handshake = self._handshake(lane, job)

        def late(era: UpstreamEra) -> None:
            """It was only starting: what waits for the other handshake goes out as it is."""
            if era is UpstreamEra.MODERN:
                self.feed(lane, EraFound(self._clock.monotonic_s(), era, is_fresh=True))
                verdict = Verdict(era, self._clock.now_ms())
                self._spawn(self._eras.learn(lane.place, verdict), name="upstream-era")

        try:
            if handshake is not None:
                request_id = lane.next_id()
                found = await self._eras.find(
                    lane.place, doubted, lambda: handshake.probe(request_id, late)
                )
        finally:
            # Also after a bug or at shutdown: nobody may wait for a verdict that never comes.
            at_s = self._clock.monotonic_s()
            if isinstance(found, Failure):
                self.feed(lane, HandshakeFailed(at_s, found))
            else:
                self.feed(lane, EraFound(at_s, found[0].era, found[1]))

    async def _initialize(self, lane: Lane, job: Job) -> None:
        opened: Session | Refused = Refused(failures.reconnect(lane.place.service))
        handshake = self._handshake(lane, job)
        try:
            if handshake is not None:
                timeout_s = job.route.connector.limits.timeout_s
                opened = await handshake.open(lane.next_id(), timeout_s)
        finally:
            at_s = self._clock.monotonic_s()
            if isinstance(opened, Refused):
                self.feed(lane, HandshakeFailed(at_s, opened.failure, opened.code))
            else:
                self.feed(lane, SessionOpened(at_s, opened))
        if lane.machine.era is UpstreamEra.INCOMPATIBLE:
            verdict = Verdict(UpstreamEra.INCOMPATIBLE, self._clock.now_ms())
            await self._eras.learn(lane.place, verdict)


def _named(lane: Lane, params: JsonObject) -> JsonObject:
    """A log message whose logger says which service it is of."""
    logger = params.get("logger")
    service = lane.place.service
    return {**params, "logger": f"{service}/{logger}" if isinstance(logger, str) else service}


def _id(message: Message) -> int | str:
    assert isinstance(message.id, int | str)  # noqa: S101  # `Job.may_reply` held; this narrows
    return message.id


def _settled(at_s: float, job: Job) -> Answered:
    return Answered(at_s, job.wanted.id, Answer({}, None, None, 0, 0))

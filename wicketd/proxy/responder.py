"""One request on `/mcp` being answered: as JSON if it can be, as a stream once more must be said.

Counterpart of `proxy.calls`, for which it is the client's side (`domain.ports.Front`), and of
`proxy.transport`, which owns the connection. Invariants: one terminal answer and nothing behind it;
a message goes to one stream. The call runs in the request's own task; a writer and a watcher start
only when they are needed. Source: protocol spec, 2.6.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from typing_extensions import override

from wicketd.domain.calls import Call, Caller, Era, FrontRequest, Refusal, RefusalKind, Reply
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Clock, Front, Spawn
from wicketd.proxy import errors, jsonrpc, relaying
from wicketd.proxy.asking import INPUT_TIMEOUT_S, Questions
from wicketd.proxy.front import Visitor
from wicketd.proxy.listening import SSE_HEADERS
from wicketd.proxy.presence import Presence, Presences
from wicketd.proxy.routed import Routed
from wicketd.proxy.session_table import LegacySession
from wicketd.proxy.sse import Weight
from wicketd.proxy.streams import EventStream

log = logging.getLogger(__name__)

Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
Handle: TypeAlias = Callable[[FrontRequest, Front], Awaitable[Reply]]
"""`proxy.calls.CallPath.handle_call`."""

COMMIT_AFTER_S: Final = 15.0
WATCH_AFTER_S: Final = 0.05
"""Most calls are over before anybody could hang up; only longer ones pay for a watcher."""
_ELICITED: Final = "notifications/elicitation/complete"
RELAYED_PER_S: Final = 100
RELAYED_PER_CALL: Final = 10_000
LEVELS: Final = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)


class Stop(StrEnum):
    """Why a request was stopped."""

    GONE = "gone"
    """A modern client closed its response stream."""
    CANCELLED = "cancelled"
    """`notifications/cancelled`, or the session ended."""
    ENDED = "ended"
    """The right to be here ended."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every request shares. The seconds are 2.6's, shorter in tests."""

    presences: Presences
    clock: Clock
    spawn: Spawn
    commit_after_s: float = COMMIT_AFTER_S
    input_timeout_s: float = INPUT_TIMEOUT_S
    watch_after_s: float = WATCH_AFTER_S


@dataclass(frozen=True, slots=True)
class Connection:
    """The ASGI side of one request. `vouch`: tells the listener that a valid key was shown."""

    receive: Receive
    send: Send
    vouch: Callable[[], None]


class Responder(Visitor):
    """The front of one request, and the one who answers it."""

    def __init__(self, connection: Connection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around
        self._task: asyncio.Task[Any] | None = None
        self._routed: Routed | None = None
        self._session: LegacySession | None = None
        self._call: Call | None = None
        self._presence: Presence | None = None
        self._stream: EventStream | None = None
        self._writer = 0
        self._written = asyncio.Event()
        self._is_open = True
        self._is_pumping = False
        self._stop: Stop | None = None
        self._budget = _Budget()
        self._questions: Questions | None = None

    # the side of the call path

    @override
    def entered(self, caller: Caller, routed: Routed, session: LegacySession | None) -> None:
        self._connection.vouch()
        self._routed = routed
        self._session = session
        if session is not None and routed.front_id is not None:
            wait_s = self._around.input_timeout_s
            self._questions = Questions(session, routed.front_id, wait_s)
        self._presence = self._around.presences.enter(caller, self._end)

    @override
    def started(self, call: Call) -> None:
        self._call = call

    @override
    def progress(self, params: JsonObject) -> None:
        token = None if self._call is None else self._call.progress_token
        if token is not None and self._may_relay():
            relayed: JsonObject = {**params, "progressToken": token}
            message = jsonrpc.notification("notifications/progress", relayed)
            self._say(message, Weight.PROGRESS, str(token))

    @override
    def log(self, params: JsonObject) -> None:
        wanted = None if self._call is None else self._call.log_level
        level = params.get("level")
        if wanted not in LEVELS or level not in LEVELS:
            return
        if LEVELS.index(str(level)) >= LEVELS.index(str(wanted)) and self._may_relay():
            self._say(jsonrpc.notification("notifications/message", params), Weight.LOG)

    @override
    def elicited(self, elicitation_id: Json) -> None:
        known = None if self._questions is None else self._questions.minted(elicitation_id)
        if known is not None and self._may_relay():
            params: JsonObject = {"elicitationId": known}
            self._say(jsonrpc.notification(_ELICITED, params), Weight.MUST)

    @override
    async def ask(self, questions: Mapping[str, JsonObject]) -> Mapping[str, JsonObject]:
        if self._questions is None:  # no modern client is asked on a stream (M13)
            return {key: relaying.unasked() for key in questions}
        return await self._questions.ask(questions)

    def _may_relay(self) -> bool:
        return self._budget.take(self._around.clock.monotonic_s())

    # the side of the session (`session_table.RunningCall`)

    @override
    def cancel(self) -> None:
        self.stop(Stop.CANCELLED)

    @override
    def put(self, message: JsonObject) -> None:
        self._say(message, Weight.MUST)

    @override
    def replied(self, asked: int, reply: JsonObject) -> None:
        if self._questions is not None:
            self._questions.replied(asked, reply)

    @override
    def unasked(self, asked: int) -> None:
        if self._questions is not None:
            self._questions.unasked(asked)

    def stop(self, reason: Stop) -> None:
        """Cancels the request once; a stored intent still gets its outcome."""
        if self._stop is None and self._is_open and self._task is not None:
            self._stop = reason
            self._task.cancel()

    def _end(self) -> None:
        self.stop(Stop.ENDED)

    # the side of the connection

    async def run(self, request: FrontRequest, handle: Handle) -> None:
        """Answers the request, whatever happens on the way."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        watch = loop.call_later(self._around.watch_after_s, self._watch)
        commit = loop.call_later(self._around.commit_after_s, self._commit)
        try:
            reply = await self._unless_stopped(self._handled(request, handle))
            commit.cancel()
            await self._unless_stopped(self._answer(None if self._stop else reply))
        finally:
            watch.cancel()
            commit.cancel()
            self._is_open = False
            if self._presence is not None:
                self._around.presences.leave(self._presence)

    async def _unless_stopped(self, work: Awaitable[Reply | None]) -> Reply | None:
        try:
            return await work
        except asyncio.CancelledError:
            if self._stop is None or self._task is None:
                raise
            self._task.uncancel()
            return None

    async def _handled(self, request: FrontRequest, handle: Handle) -> Reply:
        try:
            return await handle(request, self)
        except Exception:  # the boundary: a bug becomes one answer of fixed text
            log.exception("A request on /mcp failed.")
            refusal = Refusal(RefusalKind.INTERNAL)
            if self._routed is None:
                return errors.render(refusal)
            return errors.render(refusal, era=self._routed.era, front_id=self._routed.front_id)

    async def _answer(self, reply: Reply | None) -> None:
        if self._stream is not None:
            self._close(self._stream, reply)
            await self._written.wait()
        elif reply is None:
            if self._stop is not Stop.GONE:
                await self._send_whole(Reply(200, b"", SSE_HEADERS))
        elif reply.stream is not None:
            await self._pump(reply, reply.stream)
        else:
            await self._send_whole(reply)

    def _close(self, stream: EventStream, reply: Reply | None) -> None:
        if reply is not None:
            stream.put(reply.body)
        if self._session is None:
            stream.end()
        elif reply is None:
            self._session.forget(stream)
        else:
            self._session.ended(stream)

    async def _send_whole(self, reply: Reply) -> None:
        length = (b"content-length", str(len(reply.body)).encode("ascii"))
        headers = [*reply.headers, length]
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        await self._connection.send(start)
        await self._connection.send({"type": "http.response.body", "body": reply.body})

    async def _pump(self, reply: Reply, chunks: AsyncIterator[bytes]) -> None:
        self._is_pumping = True
        try:
            await self._write(chunks, reply.headers)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    def _say(self, message: JsonObject, weight: Weight, key: str = "") -> None:
        self._commit()
        if self._stream is not None:
            self._stream.put(jsonrpc.encode(message), weight, key)

    def _commit(self) -> None:
        """From here on the answer is a stream: its status is 200, its last event the response."""
        if self._stream is not None or self._is_pumping or self._stop or not self._is_open:
            return
        if self._session is None:
            self._stream = EventStream()
            chunks = self._stream.open()
        else:
            self._stream, chunks = self._session.new_stream()
        self._writer = self._stream.writer
        self._around.spawn(self._write_stream(chunks), name="mcp stream")

    async def _write_stream(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            await self._write(chunks, SSE_HEADERS)
        finally:
            self._written.set()

    async def _write(
        self, chunks: AsyncIterator[bytes], headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        send = self._connection.send
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _watch(self) -> None:
        if self._is_open:
            self._around.spawn(self._await_disconnect(), name="mcp disconnect")

    async def _await_disconnect(self) -> None:
        while (await self._connection.receive())["type"] != "http.disconnect":
            pass
        is_legacy = self._routed is not None and self._routed.era is Era.LEGACY
        if not is_legacy or self._is_pumping:
            self.stop(Stop.GONE)
        elif self._session is not None and self._stream is not None:
            self._session.lost(self._stream, self._writer)


class _Budget:
    """Relayed notifications: at most 100 in a second and 10,000 in a call (2.8)."""

    def __init__(self) -> None:
        self._in_call = 0
        self._second = 0
        self._in_second = 0

    def take(self, now_s: float) -> bool:
        second = int(now_s)
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        self._in_call += 1
        return self._in_second <= RELAYED_PER_S and self._in_call <= RELAYED_PER_CALL

"""The legacy sessions of every member, and the streams and running calls of each.

Counterpart of `proxy.session`, whose commands it carries out. Invariant: a session answers only the
(agent, member) it was made for; for anybody else it does not exist (protocol spec, 2.5). In memory
only: after a restart clients start anew.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from wicketd.domain.calls import Caller, RefusalKind
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Clock, Random
from wicketd.proxy import session as machine
from wicketd.proxy.sse import Shelf, split_event_id
from wicketd.proxy.streams import EventStream
from wicketd.proxy.subscriptions import Subscriber

log = logging.getLogger(__name__)

PREFIX: Final = "mcp_sess_"
PER_MEMBER: Final = 32
IN_ALL: Final = 10_000
PRIMED_VERSION: Final = "2025-11-25"
"""Clients of older revisions would parse the empty data of a priming event."""
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(data: bytes, length: int) -> str:
    """`data` as a number in base 62, `length` digits."""
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


class RunningCall(Protocol):
    """A request of the session that has not been answered."""

    def cancel(self) -> None:
        """Stops it; nothing is answered."""

    def put(self, message: JsonObject) -> None:
        """Writes a server request on its stream, or that one is not wanted any more."""

    def replied(self, asked: int, reply: JsonObject) -> None:
        """The client answered the question of this number."""

    def unasked(self, asked: int) -> None:
        """The question of this number could not be put to the client."""


@dataclass(frozen=True, slots=True)
class Client:
    """What the client said in `initialize`; for display and relaying only, never for a decision."""

    protocol_version: str
    name: str | None = None
    version: str | None = None
    capabilities: JsonObject = field(default_factory=dict)


class LegacySession:
    """One session: its machine, and the streams and calls that the machine speaks of."""

    def __init__(
        self, session_id: str, caller: Caller, client: Client, table: "SessionTable"
    ) -> None:
        self.id = session_id
        self.agent_id = caller.agent.id
        self.member_id = caller.member.id
        self.client = client
        self.log_level: str | None = None
        self.timer_at: int | None = None
        self.machine = machine.Session(table.clock.now_ms())
        self._table = table
        self._calls: dict[machine.FrontId, RunningCall] = {}
        self._streams: dict[str, EventStream] = {}
        self._shelf = Shelf()
        self._get_stream: str | None = None
        self.subscriber: Subscriber | None = None
        """Who hears of changed resources for it, once it asked to."""
        self._on_end: Callable[[], None] | None = None

    @property
    def stream(self) -> EventStream | None:
        """The open GET stream."""
        name = self.machine.stream
        return None if name is None else self._streams.get(name)

    def begin(self, front_id: machine.FrontId, call: RunningCall) -> RefusalKind | None:
        """A request starts; a refusal if its id is in flight (L8) or the session is over."""
        refusal = self.run(machine.RequestArrived(front_id, self._now()))
        if refusal is None:
            self._calls[front_id] = call
        return refusal

    def finish(self, front_id: machine.FrontId) -> None:
        """The request is over; its id may come again."""
        self._calls.pop(front_id, None)
        self.run(machine.CallEnded(front_id, self._now()))

    def asked(self, front_id: machine.FrontId, number: int, question: JsonObject) -> None:
        """Puts a question of the call's upstream to the client."""
        self.run(machine.ServerAsked(front_id, number, question))

    def unasked(self, front_id: machine.FrontId, number: int) -> None:
        """Nobody waits for the answer to a question any more."""
        self.run(machine.AskEnded(front_id, number))

    def cancelled(self, front_id: machine.FrontId) -> None:
        """`notifications/cancelled` came for it."""
        self.run(machine.CancelArrived(front_id, self._now()))

    def replied(self, reply: JsonObject) -> None:
        """A response was posted."""
        self.run(machine.ReplyArrived(reply, self._now()))

    def new_id(self) -> str:
        """A name that nobody can guess, for what the client has to name later."""
        return base62(self._table.random.bytes(16), 22)

    def touched(self) -> None:
        """Anything else came."""
        self.run(machine.Touched(self._now()))

    def hold(self, subscriber: Subscriber, on_end: Callable[[], None]) -> None:
        """Keeps its subscriptions; `on_end` gives them back when the session is over."""
        self.subscriber, self._on_end = subscriber, on_end

    def close(self) -> None:
        """Ends streams and calls; the id is unknown from now on."""
        self.run(machine.Closed())

    def new_stream(self) -> tuple[EventStream, AsyncIterator[bytes]]:
        """A stream for one POST or GET, with the chunks to write."""
        self.tidy()
        name = base62(self._table.random.bytes(5), 8)
        replay = self._shelf.open(name)
        stream = EventStream(replay)
        self._streams[name] = stream
        is_primed = self.client.protocol_version == PRIMED_VERSION
        return stream, stream.open([replay.prime()] if is_primed else [])

    def opened(self, stream: EventStream) -> None:
        """The stream is the session's GET stream now; the one before ends (L11)."""
        if stream.replay is not None:
            self._get_stream = stream.replay.stream
            self.run(machine.StreamOpened(stream.replay.stream, self._now()))

    def was_get(self, stream: EventStream) -> bool:
        """Whether it is the newest GET stream, open or lost: a resumed one carries on as that."""
        return stream.replay is not None and stream.replay.stream == self._get_stream

    def resume(self, last_event_id: str) -> tuple[EventStream, AsyncIterator[bytes]] | None:
        """The stream of an event id and the chunks behind it; None if unknown or partly lost."""
        self.tidy()
        place = split_event_id(last_event_id)
        stream = self._streams.get(place[0]) if place is not None else None
        if place is None or stream is None or stream.replay is None:
            return None
        stream.detach()
        if not stream.is_ended:
            stream.replay.kept_from_ms = None
        missed = stream.replay.after(place[1])
        return None if missed is None else (stream, stream.open(missed))

    def lost(self, stream: EventStream, writer: int) -> None:
        """The connection of this writer is gone; the stream may be resumed, or has been."""
        if stream.writer != writer:
            return
        stream.detach()
        if stream.replay is not None:
            stream.replay.kept_from_ms = self._now()
            self.run(machine.StreamClosed(stream.replay.stream, self._now()))
        self.tidy()

    def ended(self, stream: EventStream) -> None:
        """Nothing more comes on the stream; its last events are kept for 5 minutes."""
        stream.end()
        if stream.replay is not None:
            stream.replay.kept_from_ms = self._now()
        self.tidy()

    def forget(self, stream: EventStream) -> None:
        """Ends a stream that must not be resumed: its call was cancelled."""
        stream.end()
        if stream.replay is not None:
            self._shelf.drop(stream.replay.stream)
            self._streams.pop(stream.replay.stream, None)

    def tidy(self) -> None:
        """Keeps the replay buffers within their caps."""
        for name in self._shelf.tidy(self._now()):
            self._streams.pop(name, None)

    def run(self, event: machine.SessionEvent) -> RefusalKind | None:
        """Feeds the machine and does what it says."""
        refusal = None
        for command in self.machine.handle(event):
            if isinstance(command, machine.Refuse):
                refusal = command.kind
            else:
                self._do(command)
        return refusal

    def _do(self, command: machine.SessionCommand) -> None:
        match command:
            case machine.SetTimer(at_ms):
                self.timer_at = at_ms
            case machine.Forget():
                self._table.forget(self)
                if self._on_end is not None:
                    self._on_end()
            case machine.EndSse(name):
                if name in self._streams:
                    self.ended(self._streams[name])
            case machine.Refuse():
                pass
            case (
                machine.CancelCall(front_id)
                | machine.SendSse(front_id)
                | machine.DeliverReply(front_id)
                | machine.RefuseAsked(front_id)
            ):
                call = self._calls.get(front_id)
                if call is not None:
                    _tell(call, command)
            case _:
                assert_never(command)

    def _now(self) -> int:
        return self._table.clock.now_ms()


def _tell(call: RunningCall, command: machine.SessionCommand) -> None:
    match command:
        case machine.CancelCall():
            call.cancel()
        case machine.SendSse(_, message):
            call.put(message)
        case machine.DeliverReply(_, asked, reply):
            call.replied(asked, reply)
        case machine.RefuseAsked(_, asked):
            call.unasked(asked)


class SessionTable:
    """Sessions by id, at most 32 of a member and 10,000 in all."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self._sessions: dict[str, LegacySession] = {}
        self._by_member: dict[MemberId, dict[str, LegacySession]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, caller: Caller, client: Client) -> LegacySession:
        """A new session; the longest idle one makes room if there are too many."""
        mine = self._by_member.setdefault(caller.member.id, {})
        if len(mine) >= PER_MEMBER:
            min(mine.values(), key=_last_at).close()
        elif len(self._sessions) >= IN_ALL:
            min(self._sessions.values(), key=_last_at).close()
        session = LegacySession(PREFIX + base62(self.random.bytes(16), 22), caller, client, self)
        self._sessions[session.id] = session
        self._by_member.setdefault(caller.member.id, {})[session.id] = session
        session.touched()
        return session

    def find(self, session_id: str, caller: Caller) -> LegacySession | None:
        """The caller's own live session; None also for another member's, which the log tells of."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if (session.agent_id, session.member_id) != (caller.agent.id, caller.member.id):
            log.warning(
                "A key of member %s presented a session of another member.", caller.member.id
            )
            return None
        self._fire(session, self.clock.now_ms())
        return None if session.machine.is_over else session

    def forget(self, session: LegacySession) -> None:
        """Drops a session that is over."""
        self._sessions.pop(session.id, None)
        mine = self._by_member.get(session.member_id, {})
        mine.pop(session.id, None)
        if not mine:
            self._by_member.pop(session.member_id, None)

    def sweep(self) -> None:
        """Ends what has expired; called now and then."""
        now_ms = self.clock.now_ms()
        for session in list(self._sessions.values()):
            session.tidy()
            self._fire(session, now_ms)

    def end_member(self, member_id: MemberId) -> None:
        """Ends the sessions of a removed member."""
        for session in list(self._by_member.get(member_id, {}).values()):
            session.close()

    def end_agent(self, agent_id: AgentId) -> None:
        """Ends the sessions of a disabled agent."""
        for session in [kept for kept in self._sessions.values() if kept.agent_id == agent_id]:
            session.close()

    def of_member(self, caller: Caller) -> list[LegacySession]:
        """The live sessions of the caller's member."""
        return list(self._by_member.get(caller.member.id, {}).values())

    @staticmethod
    def _fire(session: LegacySession, now_ms: int) -> None:
        if session.timer_at is not None and now_ms >= session.timer_at:
            session.timer_at = None
            session.run(machine.TimerFired(now_ms))


def _last_at(session: LegacySession) -> int:
    return session.machine.last_at

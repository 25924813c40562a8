"""One legacy MCP session as a machine: ids in flight, server requests, the GET stream, its end.

Counterpart of `proxy.session_table`, which keeps sessions and carries out what they command. Pure
and total: an event gives commands, whatever a peer sends; time stands in the events (protocol spec,
sections 1, 2.3 and 2.5).
"""

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from wicketd.domain.calls import RefusalKind
from wicketd.domain.json import JsonObject

IDLE_MS: Final = 30 * 60 * 1000
LIFE_MS: Final = 24 * 60 * 60 * 1000
MAX_ASKED: Final = 64
"""Server requests of one session that may wait for their reply."""

FrontId: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A request with an id. `is_initialize`: it cannot be cancelled."""

    front_id: FrontId
    at_ms: int
    is_initialize: bool = False


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The request was answered, refused or given up."""

    front_id: FrontId
    at_ms: int


@dataclass(frozen=True, slots=True)
class ServerAsked:
    """An upstream asks the client during the call `front_id`. `message` holds method and params.

    `asked`: the number of the question in its call.
    """

    front_id: FrontId
    asked: int
    message: JsonObject


@dataclass(frozen=True, slots=True)
class AskEnded:
    """Nobody waits any more for the answer to this question of the call."""

    front_id: FrontId
    asked: int


@dataclass(frozen=True, slots=True)
class ReplyArrived:
    """A posted response. `reply` holds id and result or error."""

    reply: JsonObject
    at_ms: int


@dataclass(frozen=True, slots=True)
class CancelArrived:
    """The client gave up the request `front_id`."""

    front_id: FrontId
    at_ms: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A GET opened the stream for messages that belong to no call."""

    stream: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The connection that carried `stream` is gone."""

    stream: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Touched:
    """Anything else the client sent: the session is not idle."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Closed:
    """DELETE, eviction, removal of the member, or the daemon stops."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of the last `SetTimer` has come."""

    at_ms: int


SessionEvent: TypeAlias = (
    RequestArrived
    | CallEnded
    | ServerAsked
    | AskEnded
    | ReplyArrived
    | CancelArrived
    | StreamOpened
    | StreamClosed
    | Touched
    | Closed
    | TimerFired
)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the event with this refusal; it changed nothing."""

    kind: RefusalKind


@dataclass(frozen=True, slots=True)
class SendSse:
    """Write a message on the POST stream of the call `front_id`, opening it if need be."""

    front_id: FrontId
    message: JsonObject


@dataclass(frozen=True, slots=True)
class EndSse:
    """End this GET stream."""

    stream: str


@dataclass(frozen=True, slots=True)
class DeliverReply:
    """Hand the client's answer to the call that asked; `reply` has no id any more."""

    front_id: FrontId
    asked: int
    reply: JsonObject


@dataclass(frozen=True, slots=True)
class RefuseAsked:
    """The upstream's request reaches nobody: answer it with an error."""

    front_id: FrontId
    asked: int


@dataclass(frozen=True, slots=True)
class CancelCall:
    """Stop the running call; no answer is sent."""

    front_id: FrontId


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake the session at this time, and not at the one set before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The session is over: drop it and its buffers."""


SessionCommand: TypeAlias = (
    Refuse | SendSse | EndSse | DeliverReply | RefuseAsked | CancelCall | SetTimer | Forget
)


class Session:
    """The state machine of one session; `created_at`: ms since 1970 UTC."""

    def __init__(self, created_at: int) -> None:
        self._expires_at = created_at + LIFE_MS
        self._last_at = created_at
        self._timer_at = 0
        self._in_flight: dict[FrontId, bool] = {}
        self._asked: dict[str, tuple[FrontId, int]] = {}
        self._next_ask = 1
        self._stream: str | None = None
        self.is_over = False

    @property
    def in_flight(self) -> frozenset[FrontId]:
        """Ids of the requests that run."""
        return frozenset(self._in_flight)

    @property
    def stream(self) -> str | None:
        """The open GET stream."""
        return self._stream

    @property
    def last_at(self) -> int:
        """When the client was last heard; what eviction compares."""
        return self._last_at

    def handle(self, event: SessionEvent) -> list[SessionCommand]:
        """Takes what happened and says what to do; once over, requests meet `Session not found`."""
        if self.is_over:
            return self._handle_over(event)
        match event:
            case RequestArrived():
                return self._request_arrived(event)
            case CallEnded():
                return self._call_ended(event)
            case ServerAsked() | AskEnded():
                return self._asked_by_server(event)
            case ReplyArrived() | CancelArrived() | Touched():
                return self._heard(event)
            case StreamOpened():
                return self._stream_opened(event)
            case StreamClosed():
                return self._stream_closed(event)
            case Closed():
                return self._end()
            case TimerFired():
                return self._timer_fired(event)
        assert_never(event)

    def _handle_over(self, event: SessionEvent) -> list[SessionCommand]:
        if isinstance(event, ServerAsked):
            return [RefuseAsked(event.front_id, event.asked)]
        if isinstance(event, RequestArrived | StreamOpened):
            return [Refuse(RefusalKind.UNKNOWN_SESSION)]
        return []

    def _request_arrived(self, event: RequestArrived) -> list[SessionCommand]:
        if event.front_id in self._in_flight:
            return [Refuse(RefusalKind.ID_IN_FLIGHT)]
        self._in_flight[event.front_id] = not event.is_initialize
        return self._alive(event.at_ms)

    def _call_ended(self, event: CallEnded) -> list[SessionCommand]:
        if self._in_flight.pop(event.front_id, None) is None:
            return []
        for key in [key for key, (call, _) in self._asked.items() if call == event.front_id]:
            del self._asked[key]
        return self._alive(event.at_ms)

    def _asked_by_server(self, event: ServerAsked | AskEnded) -> list[SessionCommand]:
        return (
            self._server_asked(event) if isinstance(event, ServerAsked) else self._ask_ended(event)
        )

    def _server_asked(self, event: ServerAsked) -> list[SessionCommand]:
        if event.front_id not in self._in_flight or len(self._asked) >= MAX_ASKED:
            return [RefuseAsked(event.front_id, event.asked)]
        key = f"w{self._next_ask}"
        self._next_ask += 1
        self._asked[key] = (event.front_id, event.asked)
        message: JsonObject = {"jsonrpc": "2.0", **event.message, "id": key}
        return [SendSse(event.front_id, message)]

    def _ask_ended(self, event: AskEnded) -> list[SessionCommand]:
        place = (event.front_id, event.asked)
        key = next((key for key, asked in self._asked.items() if asked == place), None)
        if key is None:
            return []
        del self._asked[key]
        params: JsonObject = {"requestId": key, "reason": "The answer is not needed any more."}
        given_up: JsonObject = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": params,
        }
        return [SendSse(event.front_id, given_up)]

    def _heard(self, event: ReplyArrived | CancelArrived | Touched) -> list[SessionCommand]:
        commands = self._alive(event.at_ms)
        if isinstance(event, ReplyArrived):
            commands += self._reply_arrived(event)
        elif isinstance(event, CancelArrived):
            commands += self._cancel_arrived(event)
        return commands

    def _reply_arrived(self, event: ReplyArrived) -> list[SessionCommand]:
        key = event.reply.get("id")
        place = self._asked.pop(key, None) if isinstance(key, str) else None
        if place is None:
            return []
        reply = {key: value for key, value in event.reply.items() if key != "id"}
        return [DeliverReply(*place, reply)]

    def _cancel_arrived(self, event: CancelArrived) -> list[SessionCommand]:
        is_cancellable = self._in_flight.get(event.front_id, False)
        return [CancelCall(event.front_id)] if is_cancellable else []

    def _stream_opened(self, event: StreamOpened) -> list[SessionCommand]:
        replaced = self._stream
        self._stream = event.stream
        commands: list[SessionCommand] = self._alive(event.at_ms)
        if replaced is not None and replaced != event.stream:
            commands.append(EndSse(replaced))
        return commands

    def _stream_closed(self, event: StreamClosed) -> list[SessionCommand]:
        if self._stream != event.stream:
            return []
        self._stream = None
        return self._alive(event.at_ms)

    def _timer_fired(self, event: TimerFired) -> list[SessionCommand]:
        is_busy = bool(self._in_flight) or self._stream is not None
        is_idle = not is_busy and event.at_ms >= self._last_at + IDLE_MS
        if is_idle or event.at_ms >= self._expires_at:
            return self._end()
        self._timer_at = 0
        return self._arm(event.at_ms + IDLE_MS if is_busy else self._last_at + IDLE_MS)

    def _end(self) -> list[SessionCommand]:
        self.is_over = True
        commands: list[SessionCommand] = [CancelCall(call) for call in self._in_flight]
        if self._stream is not None:
            commands.append(EndSse(self._stream))
        self._in_flight.clear()
        self._asked.clear()
        self._stream = None
        return [*commands, Forget()]

    def _alive(self, at_ms: int) -> list[SessionCommand]:
        self._last_at = max(self._last_at, at_ms)
        return self._arm(self._last_at + IDLE_MS) if self._timer_at == 0 else []

    def _arm(self, at_ms: int) -> list[SessionCommand]:
        # one timer per half hour, not one per request: it looks at the last sign of life
        self._timer_at = min(at_ms, self._expires_at)
        return [SetTimer(self._timer_at)]

"""Streams that belong to no call: the GET stream of a legacy session, a modern `listen`.

Counterpart of `front`, whose part it is, and of `hub`, `subscriptions` and `channels`, which say
when something changed. Invariant: an open stream is counted, and whatever it joined it leaves when
it ends, also if nobody ever read it. Source: protocol spec, 2.3 L11, 2.6 and 2.7.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from typing_extensions import override

from wicketd.domain.calls import Call, Caller, Era, FrontRequest, Refusal, RefusalKind, Reply
from wicketd.domain.catalogue import Listing
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy import jsonrpc, results
from wicketd.proxy.channels import Channels
from wicketd.proxy.hub import Hub
from wicketd.proxy.presence import Presences
from wicketd.proxy.routed import Routed, as_object
from wicketd.proxy.session_table import LegacySession
from wicketd.proxy.sse import Weight
from wicketd.proxy.streams import EventStream
from wicketd.proxy.subscriptions import Subscriber, Subscriptions

SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
SSE_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
_UPDATED: Final = "notifications/resources/updated"
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_FLAGS: Final = MappingProxyType(
    {
        "toolsListChanged": Listing.TOOLS,
        "promptsListChanged": Listing.PROMPTS,
        "resourcesListChanged": Listing.RESOURCES,
    }
)


class OpenStream(AsyncIterator[bytes]):
    """Chunks with a last act, which also runs for a stream that nobody ever read."""

    def __init__(self, chunks: AsyncIterator[bytes], on_close: Callable[[], None]) -> None:
        self._chunks = chunks
        self._on_close: Callable[[], None] | None = on_close

    @override
    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Runs the last act, once."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()


@dataclass(frozen=True, slots=True)
class Listening:
    """Opens the streams."""

    presences: Presences
    hub: Hub
    subscriptions: Subscriptions
    channels: Channels

    def get(self, caller: Caller, session: LegacySession, request: FrontRequest) -> Reply | Refusal:
        """The session's stream for what belongs to no call (L11), or one that was lost (2.6)."""
        last_ids = request.values(b"last-event-id")
        is_resumed = bool(last_ids)
        opened = session.resume(last_ids[-1].decode("latin-1")) if is_resumed else None
        if opened is None and is_resumed:
            return Refusal(RefusalKind.UNKNOWN_EVENT)
        stream, chunks = opened or session.new_stream()
        writer = stream.writer
        presence = self.presences.enter_stream(caller, lambda: session.ended(stream))
        if isinstance(presence, Refusal):
            session.lost(stream, writer) if is_resumed else session.forget(stream)
            return presence
        if not is_resumed or session.was_get(stream):
            session.opened(stream)
        is_get = session.stream is stream
        leave = self._joined(caller, stream, tuple(_FLAGS.values()) if is_get else (), {})

        def close() -> None:
            leave()
            self.presences.leave(presence)
            session.lost(stream, writer)

        return Reply(200, b"", SSE_HEADERS, OpenStream(chunks, close))

    def listen(self, caller: Caller, routed: Routed, granted: Sequence[Call]) -> Reply | Refusal:
        """A modern stream of changes; the acknowledgement says what it will carry (2.7).

        `granted`: the URIs that it may hear of, decided and recorded.
        """
        asked = as_object(routed.params.get("notifications"))
        flags = [flag for flag in _FLAGS if asked.get(flag) is True]
        meta: JsonObject = {SUBSCRIPTION_KEY: routed.front_id}
        stream = EventStream()
        chunks = stream.open()

        def end() -> None:
            stream.put(_closing(routed, meta))
            stream.end()

        presence = self.presences.enter_stream(caller, end)
        if isinstance(presence, Refusal):
            return presence
        honoured: JsonObject = dict.fromkeys(flags, True)
        if "resourceSubscriptions" in asked:
            honoured["resourceSubscriptions"] = [call.front_name for call in granted]
        note: JsonObject = {"notifications": honoured, "_meta": meta}
        stream.put(jsonrpc.encode(jsonrpc.notification(_ACKNOWLEDGED, note)))
        subscriber = Subscriber(lambda uri: put_updated(stream, uri, {"_meta": meta}))
        self.subscriptions.add(subscriber, *granted)
        kinds = [_FLAGS[flag] for flag in flags]
        leave = self._joined(caller, stream, kinds, {"_meta": meta})

        def close() -> None:
            leave()
            self.subscriptions.drop(subscriber)
            self.presences.leave(presence)

        return Reply(200, b"", SSE_HEADERS, OpenStream(chunks, close))

    def subscriber(self, session: LegacySession) -> Subscriber:
        """Who hears of resources for a session: its GET stream, if it has one then."""

        def tell(uri: str) -> None:
            if session.stream is not None:
                put_updated(session.stream, uri, {})

        return Subscriber(tell)

    def _joined(
        self, caller: Caller, stream: EventStream, kinds: Sequence[Listing], params: JsonObject
    ) -> Callable[[], None]:
        """Joins hub and channels for a stream; gives how to leave them."""
        places = [
            self.hub.join(caller, kind, partial(_put_changed, stream, kind, params))
            for kind in kinds
        ]
        channel = self.channels.join(caller)

        def leave() -> None:
            for place in places:
                self.hub.leave(place)
            self.channels.leave(channel)

        return leave


def put_updated(stream: EventStream, uri: str, params: JsonObject) -> None:
    """Writes that a resource changed; one that still waits is enough."""
    message = jsonrpc.notification(_UPDATED, {"uri": uri, **params})
    stream.put(jsonrpc.encode(message), Weight.CHANGED, uri)


def _put_changed(stream: EventStream, kind: Listing, params: JsonObject) -> None:
    method = f"notifications/{kind.value}/list_changed"
    stream.put(jsonrpc.encode(jsonrpc.notification(method, params)), Weight.CHANGED, method)


def _closing(routed: Routed, meta: JsonObject) -> bytes:
    front_id: Json = routed.front_id
    assert isinstance(front_id, int | str)  # noqa: S101  # `listen` is a request
    result = results.finish({"_meta": meta}, Era.MODERN)
    return jsonrpc.encode(jsonrpc.success(front_id, result))

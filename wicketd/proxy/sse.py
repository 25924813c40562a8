"""Server-sent events as bytes: encode, decode, queue, replay.

Counterpart of `proxy.streams`, which writes what stands here, and of `proxy.client`, which reads
with `Decoder`. Pure: it is told what arrived and gives what to send; every buffer has a cap
(protocol spec, 2.6 and 4.7).
"""

import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PING: Final = b": ping\n\n"
"""The comment that keeps a silent stream open through reverse proxies."""
PING_AFTER_S: Final = 15.0
RETRY_MS: Final = 1000
QUEUE_EVENTS: Final = 256
QUEUE_BYTES: Final = 1024 * 1024
REPLAY_EVENTS: Final = 256
REPLAY_BYTES: Final = 1024 * 1024
REPLAY_KEPT_MS: Final = 5 * 60 * 1000
SHELF_BYTES: Final = 8 * 1024 * 1024
EVENT_BYTES: Final = 16 * 1024 * 1024

_COLON: Final = ord(":")
_EVENT_ID: Final = re.compile(r"([0-9A-Za-z]{8})\.(0|[1-9][0-9]{0,14})")
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")


def encode(data: bytes, event_id: str | None = None) -> bytes:
    """Frames one JSON message as an event.

    Raises:
        ValueError: `data` holds a raw line end, which would begin another field.
    """
    if b"\n" in data or b"\r" in data:
        message = "an event carries one line of JSON"
        raise ValueError(message)
    head = b"event: message\n" if event_id is None else _head(event_id)
    return head + b"data: " + data + b"\n\n"


def _head(event_id: str) -> bytes:
    return b"event: message\nid: " + event_id.encode("ascii") + b"\n"


def priming(event_id: str) -> bytes:
    """The first event of a 2025-11-25 stream: an id to resume from before anything was said."""
    return _head(event_id) + b"retry: " + str(RETRY_MS).encode("ascii") + b"\ndata:\n\n"


def split_event_id(text: str) -> tuple[str, int] | None:
    """(stream, sequence number) of an id this module minted, or None."""
    match = _EVENT_ID.fullmatch(text)
    return None if match is None else (match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class Event:
    """One event as received. `data`: its lines joined by line feeds; empty for a priming event."""

    data: bytes
    name: str = "message"
    id: str | None = None
    """The last id the stream has sent, also if this event brought none."""


class Decoder:
    """Reads events out of arbitrary chunks (WHATWG HTML, 9.2.6).

    Never raises: past the cap it only says so.
    """

    def __init__(self, max_event_bytes: int = EVENT_BYTES) -> None:
        self.last_event_id: str | None = None
        self.retry_ms: int | None = None
        self.overflowed = False
        """An event was larger than the cap: nothing more is read, the stream is to be closed."""
        self.lines = 0
        """How many have been read: line ends alone cost hundreds of times their bytes."""
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._at_start = True
        self._after_cr = False
        self._data = bytearray()
        """Each line of the event behind a line feed: small lines cost what they hold."""
        self._name = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes and gives the events they complete."""
        if self.overflowed or not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = False
        self._buffer += chunk
        if self._at_start and not self._skip_mark():
            return []
        events: list[Event] = []
        lines = self._lines()
        self.lines += len(lines)
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._dispatch())
                self._name = ""
            elif line[0] != _COLON:
                self._field(line)
                if self.overflowed:
                    return events
        self._check(len(self._buffer))
        return events

    def _skip_mark(self) -> bool:
        mark = b"\xef\xbb\xbf"
        if len(self._buffer) < len(mark) and mark.startswith(self._buffer):
            return False
        if self._buffer.startswith(mark):
            del self._buffer[: len(mark)]
        self._at_start = False
        return True

    def _lines(self) -> list[bytes]:
        """Takes the lines that have ended; what follows them stays in the buffer."""
        buffer = self._buffer
        end = 1 + max(buffer.rfind(b"\n", self._scanned), buffer.rfind(b"\r", self._scanned))
        if end == 0:
            self._scanned = len(buffer)
            return []
        ended = bytes(buffer[:end])
        del buffer[:end]
        self._scanned = len(buffer)
        # the line feed of a CR LF pair may still come, and ends no second line
        self._after_cr = not buffer and ended.endswith(b"\r")
        return ended.splitlines()

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += b"\n"
            self._data += value
            self._check(len(self._data))
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self.last_event_id = value.decode("utf-8", "replace") or None
        elif name == b"retry" and _DIGITS.fullmatch(value):
            self.retry_ms = int(value)

    def _dispatch(self) -> Event:
        data, self._data = bytes(self._data[1:]), bytearray()
        return Event(data, self._name or "message", self.last_event_id)

    def _check(self, held: int) -> None:
        if held > self._max:
            self.overflowed = True
            self._buffer.clear()
            self._data.clear()


class Weight(StrEnum):
    """What may happen to a message while the writer is behind."""

    MUST = "must"
    """Responses and server requests: never dropped."""
    CHANGED = "changed"
    """Says only that something changed: one of a key is enough."""
    PROGRESS = "progress"
    """The newest of a key counts."""
    LOG = "log"
    """The oldest go first."""


class Outbox:
    """What waits for one stream's writer, in order.

    Over 256 messages or 1 MiB it drops what may be dropped.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[Weight, str | int], bytes] = {}
        self._count = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes, weight: Weight = Weight.MUST, key: str = "") -> None:
        """Queues one JSON message; `key` is the progress token or the method of a change."""
        self._count += 1
        keyed = weight in (Weight.CHANGED, Weight.PROGRESS)
        place = (weight, key if keyed else self._count)
        self.size_bytes += len(data) - len(self._waiting.get(place, b""))
        self._waiting[place] = data
        while len(self._waiting) > QUEUE_EVENTS or self.size_bytes > QUEUE_BYTES:
            victim = self._droppable()
            if victim is None:
                return
            self.size_bytes -= len(self._waiting.pop(victim))

    def _droppable(self) -> tuple[Weight, str | int] | None:
        for weight in (Weight.LOG, Weight.PROGRESS):
            for place in self._waiting:
                if place[0] is weight:
                    return place
        return None

    def take(self) -> bytes | None:
        """The oldest message, or None."""
        if not self._waiting:
            return None
        data = self._waiting.pop(next(iter(self._waiting)))
        self.size_bytes -= len(data)
        return data


class Replay:
    """The last events of one legacy stream, for a client that lost its connection.

    `stream`: 8 base62 characters. Within 256 events and 1 MiB; what was pushed out cannot be
    resumed over.
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.size_bytes = 0
        self.kept_from_ms: int | None = None
        """Since when it only waits: its stream ended, or lost its connection."""
        self._next = 0
        self._lost = -1
        self._events: deque[tuple[int, bytes]] = deque()

    def prime(self) -> bytes:
        """The framed priming event: it takes a number and is never replayed."""
        self._next += 1
        return priming(f"{self.stream}.{self._next - 1}")

    def add(self, data: bytes) -> bytes:
        """Frames `data` under the next id and keeps it."""
        event = encode(data, f"{self.stream}.{self._next}")
        self._events.append((self._next, event))
        self._next += 1
        self.size_bytes += len(event)
        while len(self._events) > REPLAY_EVENTS or self.size_bytes > REPLAY_BYTES:
            self._forget()
        return event

    def after(self, seq: int) -> list[bytes] | None:
        """The events behind number `seq`; None if it was never sent or a later one is lost."""
        if seq >= self._next or seq < self._lost:
            return None
        return [event for number, event in self._events if number > seq]

    def clear(self) -> None:
        """Forgets every event; the numbers go on."""
        while self._events:
            self._forget()

    def _forget(self) -> None:
        self._lost, event = self._events.popleft()
        self.size_bytes -= len(event)


class Shelf:
    """The replay buffers of one session: within 8 MiB, kept 5 minutes after a stream's end."""

    def __init__(self) -> None:
        self._replays: dict[str, Replay] = {}

    def open(self, stream: str) -> Replay:
        """A buffer for a new stream."""
        replay = Replay(stream)
        self._replays[stream] = replay
        return replay

    def find(self, stream: str) -> Replay | None:
        """The buffer of a stream that runs or ended lately."""
        return self._replays.get(stream)

    def drop(self, stream: str) -> None:
        """Forgets a stream: it cannot be resumed."""
        self._replays.pop(stream, None)

    def tidy(self, at_ms: int) -> list[str]:
        """Drops what is old, then the longest ended, then empties the largest, until the cap holds.

        Gives the names of the streams that went.
        """
        gone = [
            name
            for name, replay in self._replays.items()
            if replay.kept_from_ms is not None and at_ms - replay.kept_from_ms > REPLAY_KEPT_MS
        ]
        for name in gone:
            del self._replays[name]
        while sum(replay.size_bytes for replay in self._replays.values()) > SHELF_BYTES:
            ended = [replay for replay in self._replays.values() if replay.kept_from_ms is not None]
            if ended:
                oldest = min(ended, key=lambda replay: replay.kept_from_ms or 0)
                gone.append(oldest.stream)
                del self._replays[oldest.stream]
            else:
                max(self._replays.values(), key=lambda replay: replay.size_bytes).clear()
        return gone

"""The event stream: topics, one event as a value, and its text form. Both ends use this module."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

TOPICS: Final = (
    "audit",
    "agents",
    "members",
    "services",
    "policies",
    "sessions",
    "connections",
    "replays",
    "status",
)
RESYNC: Final = "resync"
"""The event that says: some were missed, read again what you show."""
PING: Final = b": ping\n\n"
PING_S: Final = 15.0
BATCH_S: Final = 0.25
"""At most four batches a second leave the daemon."""
MAX_EVENT_BYTES: Final = 1024 * 1024


class Event(Struct, frozen=True, kw_only=True):
    """One change.

    `id` grows with each event of a daemon's life; `data` names what changed, never a secret.
    """

    id: str
    topic: str
    data: dict[str, Any]


def encode(event: Event) -> bytes:
    """The event as one SSE message; `data` is one line of JSON."""
    head = f"id: {event.id}\nevent: {event.topic}\ndata: ".encode()
    return head + msgspec.json.encode(event.data) + b"\n\n"


class Decoder:
    """Turns the bytes of a stream into events; holds at most one unfinished message."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Gives the events that `chunk` completes; comments are skipped.

        Raises:
            ValueError: a message is over 1 MiB or its data is no JSON object.
        """
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            message = "an event of the stream is over 1 MiB"
            raise ValueError(message)
        for message_bytes in whole:
            event = _parse(message_bytes)
            if event is not None:
                yield event


def _parse(message: bytes) -> Event | None:
    fields: dict[str, str] = {}
    for line in message.decode().split("\n"):
        name, colon, value = line.partition(":")
        if name and colon:
            fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    data = msgspec.json.decode(fields["data"], type=dict[str, Any])
    return Event(id=fields.get("id", ""), topic=fields.get("event", "message"), data=data)

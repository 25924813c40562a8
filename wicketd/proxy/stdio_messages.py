"""Lines from and to a server over pipes: cut, sorted, matched to who waits. Pure.

Counterpart of `stdio_process`, which reads and writes. Invariant: a message goes to at most one
asker; memory stays within one line of `line_max` bytes. Source: protocol spec, 4.6, 4.7 and 5.
"""

from collections.abc import Callable
from typing import Final

from wicketd.proxy.inbound import Message, decode

JUNK_MAX: Final = 100
"""Lines in a row that are no message; one more ends the process."""

Listener = Callable[[Message | None], None]


class TooLong(Exception):
    """A line has passed its cap."""


class Lines:
    """Cuts a byte stream into lines without their ends; empty ones are left out."""

    def __init__(self, line_max: int) -> None:
        self._line_max = line_max
        self._rest = bytearray()

    @property
    def held_bytes(self) -> int:
        """Bytes of the line that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now.

        Raises:
            TooLong: a line passes the cap.
        """
        start = len(self._rest)
        self._rest += data
        if self._rest.find(b"\n", start) < 0:
            if len(self._rest) > self._line_max:
                self._rest.clear()
                raise TooLong
            return []
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        if any(len(line) > self._line_max for line in (*whole, rest)):
            raise TooLong
        return [line for line in (one.strip(b"\r \t") for one in whole) if line]


class Askers:
    """Who waits for what on one pipe. `is_shared`: several members use it."""

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._listeners: dict[int, Listener] = {}
        self._junk = 0

    def add(self, request_id: int, listener: Listener) -> None:
        """From now on `listener` hears what concerns the request."""
        self._listeners[request_id] = listener

    def remove(self, request_id: int) -> None:
        """Nobody waits for the request any more."""
        self._listeners.pop(request_id, None)

    @property
    def is_silly(self) -> bool:
        """Whether the server has sent too much that is no message."""
        return self._junk > JUNK_MAX

    def read(self, line: bytes) -> Message | None:
        """The message of a line; None, and counted, if it is none.

        Raises:
            Malformed: it holds more values than the cap.
        """
        messages = decode(line, may_batch=False)
        self._junk = self._junk + 1 if messages is None else 0
        return None if messages is None else messages[0]

    def asker_of(self, message: Message) -> int | None:
        """The request that an answer belongs to; None: it is no answer, or nobody waits."""
        number = message.id
        if type(number) is not int or number not in self._listeners:
            return None
        return number if message.answers(number) else None

    def listener_of(self, message: Message) -> Listener | None:
        """Who hears a message that is no answer; None: nobody may.

        Progress belongs to its token. The rest names no request: it goes to the newest one, and on
        a shared pipe to nobody, because that could be another member's.
        """
        if message.method == "notifications/progress":
            params = message.params if isinstance(message.params, dict) else {}
            token = params.get("progressToken")
            return self._listeners.get(token) if type(token) is int else None
        if self._is_shared or not self._listeners:
            return None
        return self._listeners[next(reversed(self._listeners))]

"""Messages of an upstream as they arrive. Counterpart of `outbound`; pure.

Lenient where a stream goes on (a message that is none is dropped and counted), strict where it is
the one answer. A text of many small values costs 25 times its bytes once decoded, and seconds of
the event loop: it is refused before. Source: protocol spec, 4.1 and 4.7.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from wicketd.domain.errors import Malformed
from wicketd.domain.json import JsonObject
from wicketd.proxy import jsonrpc

BATCH_MAX: Final = 64
VALUES_MAX: Final = 250_000
"""JSON values in one message: as many as fill a list of 5,000 tools."""
VALUES_CAP: Final = "values"
_BATCH_START: Final = b"["


class RpcError(msgspec.Struct, frozen=True):
    """The `error` member of an answer."""

    code: int
    message: str
    data: Any = msgspec.UNSET

    def as_object(self) -> JsonObject:
        """The error as it is passed on."""
        head: JsonObject = {"code": self.code, "message": self.message}
        return head if self.data is msgspec.UNSET else {**head, "data": self.data}


class Message(msgspec.Struct, frozen=True):
    """One JSON-RPC message; `result` and `data` may hold anything, also null."""

    jsonrpc: Literal["2.0"]
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    result: Any = msgspec.UNSET
    error: RpcError | msgspec.UnsetType = msgspec.UNSET

    def answers(self, request_id: int) -> bool:
        """Whether it is the answer to our request: our id, exactly one of result and error."""
        has_one = (self.result is msgspec.UNSET) != (self.error is msgspec.UNSET)
        is_ours = type(self.id) is int and self.id == request_id
        return is_ours and has_one and self.method is msgspec.UNSET

    @property
    def is_request(self) -> bool:
        """Whether the upstream wants an answer from us."""
        return isinstance(self.method, str) and isinstance(self.id, int | str)


@dataclass(frozen=True, slots=True)
class Heard:
    """What an exchange brought. `answer` None: the status stands alone, or the stream ended."""

    status: int
    answer: Message | None = None
    size_bytes: int = 0
    session_id: str | None = None
    challenge: str = ""
    """`WWW-Authenticate`."""
    has_ended_stream: bool = False
    event_id: str | None = None
    retry_ms: int | None = None


_MESSAGE: Final = msgspec.json.Decoder(Message)
_BATCH: Final = msgspec.json.Decoder(list[Message])


def decode(data: bytes, *, may_batch: bool) -> list[Message] | None:
    """Reads what one JSON body or one event holds; None: it is no message.

    `may_batch`: a 2025-03-26 upstream may send up to 64 messages in an array.

    Raises:
        Malformed: it holds more values than the cap.
    """
    if len(data) > VALUES_MAX and _is_rich(data):
        raise Malformed("The answer holds too many values.", cap=VALUES_CAP)
    try:
        if not (may_batch and data.lstrip()[:1] == _BATCH_START):
            return [_MESSAGE.decode(data)]
        batch = _BATCH.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return batch if len(batch) <= BATCH_MAX else None


def _is_rich(data: bytes) -> bool:
    if _values(data) <= VALUES_MAX:
        return False
    try:
        outside = jsonrpc.without_strings(data, 4 * VALUES_MAX)
    except ValueError:
        return True
    return _values(outside) > VALUES_MAX


def _values(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")

"""The one strict decode of every request body, and compact encoding of what is sent.

Counterpart of `era`, which routes the decoded value. Invariants: caps are checked before objects
are built; a text that two parsers could read differently (duplicate members, odd encodings, numbers
no double holds) has no value. Source: protocol spec, C12 and C13.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from wicketd.domain.calls import Refusal, RefusalKind
from wicketd.domain.json import Json, JsonObject

MAX_VALUES: Final = 10_000
MAX_DEPTH: Final = 64
MAX_ARGUMENTS_DEPTH: Final = 32
MAX_ID: Final = 2**53 - 1
MAX_ID_TEXT: Final = 256
MAX_METHOD: Final = 128

PARSE: Final = Refusal(RefusalKind.PARSE)
SHAPE: Final = Refusal(RefusalKind.SHAPE)

# A text within the value cap has at most a name and a value string per value.
_MAX_QUOTES: Final = 4 * MAX_VALUES
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TO_ROUND: Final = bytes.maketrans(b"[]{}", b"()()")


@dataclass(frozen=True, slots=True)
class Request:
    """A message that is owed an answer under `id`."""

    id: int | str
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Notification:
    """A message without an answer."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Response:
    """A posted answer to one of our requests: exactly one of `result` and `error`."""

    id: int | str
    result: Json = None
    error: JsonObject | None = None


Message: TypeAlias = Request | Notification | Response


def decode(body: bytes) -> Message | Refusal:
    """Reads one message, or says why there is none: -32700 for the text, -32600 for its shape.

    `body`: the whole body, at most 1 MiB. Total: no input raises.
    """
    try:
        value, openers = _strict(body)
    except (ValueError, RecursionError):
        return PARSE
    if not isinstance(value, dict):
        return SHAPE
    if openers > MAX_ARGUMENTS_DEPTH and _arguments_depth(value) > MAX_ARGUMENTS_DEPTH:
        return PARSE
    return _message(value)


def parse(text: bytes) -> Json:
    """The strict decode alone (C12), for JSON of a peer that is no front message.

    Raises:
        ValueError: the text is not strict JSON, or over a cap.
    """
    try:
        return _strict(text)[0]
    except RecursionError as error:
        raise ValueError("JSON is nested too deeply") from error


def without_strings(text: bytes, max_quotes: int) -> bytes:
    """The text between its strings, linear on every input.

    Escaped backslashes go first, then escaped quotes: what is left of a quote ends or begins a
    string. A third of the time that a possessive regex takes, also on the worst input (measured).

    Raises:
        ValueError: more than `max_quotes` quotes are left.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    if text.count(b'"') > max_quotes:
        raise ValueError("too many strings")
    return b"".join(text.split(b'"')[::2])


def encode(message: Mapping[str, Json]) -> bytes:
    """Compact UTF-8 JSON without raw newlines, so that it fits a line and an SSE `data:` field."""
    return msgspec.json.encode(message)


def request(request_id: int | str, method: str, params: JsonObject) -> JsonObject:
    """A request object, ready to encode."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def notification(method: str, params: JsonObject) -> JsonObject:
    """A notification object, ready to encode."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def success(request_id: int | str, value: Json) -> JsonObject:
    """A successful answer, ready to encode."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def failure(request_id: int | str | None, value: JsonObject) -> JsonObject:
    """A failed answer, ready to encode; `request_id` is None only if the message was not read."""
    return {"jsonrpc": "2.0", "id": request_id, "error": value}


def id_of(message: Message | None) -> int | str | None:
    """The id under which the sender waits; None for everything but a request."""
    return message.id if isinstance(message, Request) else None


def _strict(text: bytes) -> tuple[Json, int]:
    """The value and how many containers it has; raises ValueError or RecursionError."""
    text.decode("utf-8")
    skeleton = without_strings(text, _MAX_QUOTES)
    openers = skeleton.count(b"[") + skeleton.count(b"{")
    if openers + skeleton.count(b",") > MAX_VALUES:
        raise ValueError("too many values")
    if openers > MAX_DEPTH:
        _check_depth(skeleton, openers)
    # Refuses itself: a BOM, lone surrogates, NaN, overflowing floats, integers over 4,300 digits.
    value: Json = msgspec.json.decode(text)
    if _member_count(value) != skeleton.count(b":"):
        raise ValueError("duplicate member")
    return value, openers


def _check_depth(skeleton: bytes, openers: int) -> None:
    """Peels the innermost pairs, one level a round, in C-speed primitives."""
    brackets = skeleton.translate(_TO_ROUND, _NOT_BRACKETS)
    if len(brackets) != 2 * openers:
        raise ValueError("brackets do not match")
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"()", b"")
        if not brackets:
            return
    raise ValueError("nested too deeply")


def _member_count(value: Json) -> int:
    """Members of all objects in `value`; the depth is capped before."""
    if isinstance(value, dict):
        count, children = len(value), iter(value.values())
    elif isinstance(value, list):
        count, children = 0, iter(value)
    else:
        return 0
    for child in children:
        if type(child) is dict or type(child) is list:
            count += _member_count(child)
    return count


def _arguments_depth(message: JsonObject) -> int:
    params = message.get("params")
    return _depth(params.get("arguments")) if isinstance(params, dict) else 0


def _depth(value: Json) -> int:
    """Containers around the innermost value; `{}` has depth 1."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _message(value: JsonObject) -> Message | Refusal:
    """Sorts an object into the three shapes (C13); unknown members are dropped here."""
    if value.get("jsonrpc") != "2.0" or not _is_id(value.get("id", 0)):
        return SHAPE
    if "method" not in value:
        return _response(value)
    method, params = value["method"], value.get("params", {})
    if not isinstance(method, str) or len(method) > MAX_METHOD or not isinstance(params, dict):
        return SHAPE
    if "result" in value or "error" in value:
        return SHAPE
    if "id" not in value:
        return Notification(method, params)
    return Request(_id(value), method, params)


def _response(value: JsonObject) -> Response | Refusal:
    if "id" not in value or ("result" in value) == ("error" in value):
        return SHAPE
    error = value.get("error")
    if "error" in value and not isinstance(error, dict):
        return SHAPE
    return Response(_id(value), value.get("result"), error if isinstance(error, dict) else None)


def _is_id(value: Json) -> bool:
    """Whether it is a string or an integer that every JSON implementation holds exactly."""
    if isinstance(value, str):
        return len(value) <= MAX_ID_TEXT
    return type(value) is int and -MAX_ID <= value <= MAX_ID


def _id(value: JsonObject) -> int | str:
    found = value["id"]
    assert isinstance(found, int | str)  # noqa: S101 - _is_id held; this narrows the type
    return found

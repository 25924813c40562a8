"""The byte gate before the HTTP parser: each request is well formed, or its connection ends.

Counterpart of `server.WireProtocol`, which owns socket, deadlines and the parser behind. Sans-IO:
bytes in, verdicts out. Invariants: the verdict depends on the bytes alone, never on how they were
split; a byte reaches the parser only after the rules for it held; no piece passed on spans two
requests.
Source: security spec, section 8; protocol spec, C1.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final, TypeAlias

MAX_HEAD: Final = 16 * 1024
MAX_FIELDS: Final = 64
MAX_BODY: Final = 1024 * 1024

_RUN: Final = rb"[A-Za-z0-9\-._~!$&'()*+,;=:@]*+"
# Percent escapes that a later decoder could turn into path syntax: . / \ NUL %
_ESCAPE: Final = rb"%(?!2[eEfF5]|5[cC]|00)[0-9A-Fa-f]{2}"
# Only single characters repeat possessively: before 3.11.5 CPython keeps what a failed last round
# of a possessive group has consumed, and "/mcp//" would pass. Each round begins with "/" or "%", no
# character of the run before it, so that giving rounds back costs no more than once each.
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>[!#$%&'*+\-.^_`|~0-9A-Za-z]++) "
    rb"(?P<target>(?:/(?!/|\.\.?(?:[/? ]))" + _RUN + rb"(?:" + _ESCAPE + _RUN + rb")*)+"
    rb"(?:\?[!\"$-~]*+)?) "
    rb"HTTP/1\.(?P<minor>[01])\r\n"
)
_ANY_VERSION: Final = re.compile(rb"[^ ]+ [^ ]+(?: HTTP/(?!1\.[01]\r)[^ ]*)?\r\n")
_FIELD: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n"
_FIELD_LINE: Final = re.compile(_FIELD)
_FIELDS: Final = re.compile(rb"(?:" + _FIELD + rb"){0,64}\r\n")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_HOST: Final = re.compile(rb"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb"[0-9]{1,10}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,6})\r\n")
_CHUNK_SIZE_PREFIX: Final = re.compile(rb"[0-9A-Fa-f]{0,6}|[0-9A-Fa-f]{1,6}\r")

METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""Methods some route of ours could serve. Others are 501: CONNECT would switch the parser off."""

# Searched in the lower-cased block: twice as fast as splitting every line (measured).
_WATCHED: Final = re.compile(
    rb"\n(host|content-length|content-type|origin|cookie|mcp-session-id"
    rb"|transfer-encoding|expect|connection):[\t ]*([^\r]*)"
)
_MAY_REPEAT: Final = frozenset({b"transfer-encoding", b"expect", b"connection"})
# We take no upgrade, and llhttp would end the message at its header block, so that the body became
# the next request (measured, httptools 0.9.0; JDK clients offer h2c). The field does not go on.
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"(?:.*,)?[\t ]*close[\t ]*(?:,.*)?")


class Phase(StrEnum):
    """What the gate waits for; the server arms its deadlines by it."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    CLOSED = "closed"
    """Refused, or behind the last request of the connection: further bytes are swallowed."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer `response` and close; nothing further of this connection reaches the parser."""

    status: int

    @property
    def response(self) -> bytes:
        """The bare answer: a status line, no body, no Server header."""
        return bare_response(self.status)


Action: TypeAlias = bytes | Refuse
"""Bytes to pass on to the parser, or the refusal, which is always the last action."""


def bare_response(status: int) -> bytes:
    """A complete HTTP answer without a body that ends the connection."""
    reason = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()


class _Malformed(Exception):
    """Carries a bare status out of the reading steps; never leaves this module."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Wire:
    """The gate of one connection.

    `max_body`: bytes of one request body. `phase` and `heads` (header blocks passed so far) tell
    the server which deadline runs.
    """

    __slots__ = (
        "_body_left",
        "_checked",
        "_held",
        "_is_closed",
        "_is_last",
        "_max_body",
        "_offers_upgrade",
        "_read",
        "_size_seen",
        "heads",
    )

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._max_body = max_body
        self._held = b""
        self._checked = 0
        self._body_left = 0
        self._size_seen = 0
        self._is_last = False
        self._is_closed = False
        self._offers_upgrade = False
        self._read: _Read = Wire._read_head
        self.heads = 0

    @property
    def phase(self) -> Phase:
        """What the next byte will belong to."""
        if self._is_closed:
            return Phase.CLOSED
        if self._read is not Wire._read_head:
            return Phase.BODY
        return Phase.HEAD if self._held else Phase.IDLE

    def feed(self, data: bytes) -> list[Action]:
        """Takes what the socket gave; returns what may go on. A refusal is the last action ever."""
        if self._held:
            data, self._held = self._held + data, b""
        actions: list[Action] = []
        refusal: Refuse | None = None
        start = position = 0
        try:
            while position < len(data) and not self._is_closed:
                end = self._read(self, data, position)
                if end == position:
                    self._held = data[position:]
                    break
                position = end
                if self._offers_upgrade:
                    head = _UPGRADE.sub(b"", data[start:position])
                    data = head + data[position:]
                    start, position = 0, len(head)
                    self._offers_upgrade = False
                if self._read is Wire._read_head:
                    actions.append(data[start:position])
                    start = position
                    self._checked = 0
                    self._is_closed = self._is_last
        except _Malformed as malformed:
            self._is_closed = True
            refusal = Refuse(malformed.status)
        if position > start:
            actions.append(data[start:position])
        if refusal is not None:
            actions.append(refusal)
        return actions

    # Each step reads one element at `position`; it returns `position` if bytes are missing.

    def _read_head(self, data: bytes, position: int) -> int:
        limit = position + MAX_HEAD
        end = data.find(b"\r\n\r\n", max(position, position + self._checked - 3), limit) + 4
        request = _REQUEST_LINE.match(data, position, end) if end != 3 else None
        if request is None or _FIELDS.fullmatch(data, request.end(), end) is None:
            # No end yet, or a bad line before it; the empty line at the end is no field either.
            self._check_lines(data, position, limit)
            if len(data) >= limit:
                raise _Malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return position
        if request["method"] not in METHODS:
            raise _Malformed(HTTPStatus.NOT_IMPLEMENTED)
        block = data[request.end() - 1 : end].lower()
        fields = _watched_fields(block)
        self._offers_upgrade = b"\nupgrade:" in block
        self._read = self._framing(fields, is_http10=request["minor"] == b"0")
        self.heads += 1
        return end

    def _check_lines(self, data: bytes, position: int, limit: int) -> None:
        """Refuses at the first bad line or control byte, also in a block that never ends."""
        line_start = position + self._checked
        fields = data.count(b"\n", position, line_start) - 1
        while (line_end := data.find(b"\n", line_start, limit) + 1) > 0:
            line = data[line_start:line_end]
            if _CONTROL.search(line[:-2]) or not line.endswith(b"\r\n"):
                raise _Malformed(HTTPStatus.BAD_REQUEST)
            if fields < 0:
                _check_request_line(line)
            elif _FIELD_LINE.fullmatch(line) is None:
                raise _Malformed(HTTPStatus.BAD_REQUEST)
            fields += 1
            if fields > MAX_FIELDS:
                raise _Malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            line_start = line_end
        self._checked = line_start - position
        # The last byte may be the CR of a CRLF to come.
        if _CONTROL.search(data[line_start:limit].removesuffix(b"\r")):
            raise _Malformed(HTTPStatus.BAD_REQUEST)

    def _framing(self, fields: dict[bytes, bytes], *, is_http10: bool) -> "_Read":
        """Chooses the step that reads the body."""
        connection = fields.get(b"connection")
        self._is_last = is_http10 or (
            connection is not None and _CLOSE.fullmatch(connection) is not None
        )
        length = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            if length is not None or is_http10:
                raise _Malformed(HTTPStatus.BAD_REQUEST)
            if coding != b"chunked":
                raise _Malformed(HTTPStatus.NOT_IMPLEMENTED)
            self._size_seen = 0
            return Wire._read_chunk_size
        if length is None:
            return Wire._read_head
        if _LENGTH.fullmatch(length) is None:
            raise _Malformed(HTTPStatus.BAD_REQUEST)
        self._body_left = int(length)
        if self._body_left > self._max_body:
            raise _Malformed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return Wire._read_body if self._body_left else Wire._read_head

    def _read_body(self, data: bytes, position: int) -> int:
        end = min(len(data), position + self._body_left)
        self._body_left -= end - position
        if not self._body_left:
            self._read = Wire._read_head
        return end

    def _read_chunk_size(self, data: bytes, position: int) -> int:
        line = _CHUNK_SIZE.match(data, position)
        if line is None:
            if _CHUNK_SIZE_PREFIX.fullmatch(data, position) is None:
                raise _Malformed(HTTPStatus.BAD_REQUEST)
            return position
        self._body_left = int(line[1], 16)
        self._size_seen += self._body_left
        if self._size_seen > self._max_body:
            raise _Malformed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._read = Wire._read_chunk if self._body_left else Wire._read_last_line
        return line.end()

    def _read_chunk(self, data: bytes, position: int) -> int:
        end = min(len(data), position + self._body_left)
        self._body_left -= end - position
        if not self._body_left:
            self._read = Wire._read_chunk_end
        return end

    def _read_chunk_end(self, data: bytes, position: int) -> int:
        return self._read_crlf(data, position, Wire._read_chunk_size)

    def _read_last_line(self, data: bytes, position: int) -> int:
        # Anything but the empty line would be a trailer.
        return self._read_crlf(data, position, Wire._read_head)

    def _read_crlf(self, data: bytes, position: int, then: "_Read") -> int:
        got = data[position : position + 2]
        if got == b"\r\n":
            self._read = then
            return position + 2
        if got != b"\r":
            raise _Malformed(HTTPStatus.BAD_REQUEST)
        return position


_Read: TypeAlias = Callable[[Wire, bytes, int], int]


def _watched_fields(block: bytes) -> dict[bytes, bytes]:
    """The fields that decide on framing and routing, once each; `block`: lower case, led by LF."""
    fields: dict[bytes, bytes] = {}
    for name, value in _WATCHED.findall(block):
        if name not in fields:
            fields[name] = value.rstrip(b"\t ")
        elif name in _MAY_REPEAT:
            fields[name] += b"," + value.rstrip(b"\t ")
        else:
            raise _Malformed(HTTPStatus.BAD_REQUEST)
    if _HOST.fullmatch(fields.get(b"host", b"")) is None:
        raise _Malformed(HTTPStatus.BAD_REQUEST)
    if fields.get(b"expect", b"100-continue") != b"100-continue":
        raise _Malformed(HTTPStatus.EXPECTATION_FAILED)
    return fields


def _check_request_line(line: bytes) -> None:
    """Tells why a request line is refused; a good one passes."""
    if _REQUEST_LINE.fullmatch(line) is None:
        is_other_version = _ANY_VERSION.fullmatch(line) is not None
        raise _Malformed(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED if is_other_version else HTTPStatus.BAD_REQUEST
        )

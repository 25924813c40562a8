"""Typed client of the admin socket, used by the command line and the TUI.

Counterpart: `wicketd.admin.app`. Three failures have names: the socket cannot be used
(`Unreachable`), the daemon says no (`Refused`), the two speak different contract numbers
(`VersionMismatch`, a warning). Nothing is written to a socket whose owner or mode would let
another user answer.
"""

import os
import stat
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from wicketd.api.endpoints import EVENTS, Endpoint
from wicketd.api.errors import STATUS, ErrorBody
from wicketd.api.events import Decoder, Event
from wicketd.api.types.status import EventsAsk
from wicketd.api.version import API_HEADER, API_VERSION, HOST

Q = TypeVar("Q")
R = TypeVar("R")

_CODE_BY_STATUS: Final = {status: code for code, status in STATUS.items()}
_SILENCE_S: Final = 45.0
"""Three missed pings end a stream."""


class Unreachable(Exception):
    """No daemon answers on the socket. `hint`: the command that fixes it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(Exception):
    """The daemon answered with an error. `body`: code, message, hint and details."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message)
        self.body = body


class TimedOut(Unreachable):
    """The daemon did not answer in time; whether the change was made is not known."""


class VersionMismatch(UserWarning):
    """Client and daemon speak different contract numbers; most things still work."""


def _warn(spoken: str) -> None:
    message = f"the daemon speaks contract {spoken}, this client {API_VERSION}"
    warnings.warn(message, VersionMismatch, stacklevel=6)


class AdminClient:
    """A connection pool to one admin socket.

    `timeout_s` bounds each request, `silence_s` the pauses of a stream. `on_mismatch` is told the
    contract number of a daemon that speaks another one; without it, that is a warning.
    """

    def __init__(
        self,
        socket: Path,
        *,
        timeout_s: float = 15.0,
        silence_s: float = _SILENCE_S,
        on_mismatch: Callable[[str], None] = _warn,
    ) -> None:
        self.socket = socket
        self._silence_s = silence_s
        self._on_mismatch = on_mismatch
        self._checked = False
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url=f"http://{HOST}",
            timeout=timeout_s,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connections."""
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def call(self, endpoint: Endpoint[Q, R], request: Q, *, match: int | None = None) -> R:
        """Asks once. `match`: the revision that a write is based on, where the endpoint needs one.

        Raises:
            Unreachable: the socket cannot be used, or the answer did not come in time (`TimedOut`).
            Refused: the daemon answered with an error.
        """
        async with self._send(endpoint, request, match=match) as response:
            data = await response.aread()
        try:
            return msgspec.json.decode(data, type=endpoint.response)
        except msgspec.MsgspecError as error:
            raise _strange(self.socket) from error

    async def lines(self, endpoint: Endpoint[Q, Any], request: Q) -> AsyncIterator[str]:
        """The lines of a streamed text, without their ends.

        Raises:
            Unreachable: the socket cannot be used or the stream broke.
            Refused: the daemon answered with an error.
        """
        async with self._send(endpoint, request, stream=True) as response:
            async for line in response.aiter_lines():
                yield line

    async def events(
        self, request: EventsAsk, *, last_id: str | None = None
    ) -> AsyncIterator[Event]:
        """Events as they happen, from behind `last_id`; topic `resync` means some were missed.

        Raises:
            Unreachable: the socket cannot be used or the stream broke.
            Refused: the daemon answered with an error.
        """
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        decoder = Decoder()
        async with self._send(EVENTS, request, headers=headers, stream=True) as response:
            async for chunk in response.aiter_bytes():
                for event in decoder.feed(chunk):
                    yield event

    @asynccontextmanager
    async def _send(
        self,
        endpoint: Endpoint[Q, R],
        request: Q,
        *,
        match: int | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        self._check_socket()
        made = self._request(endpoint, request, match, headers or {})
        if stream:
            made.extensions["timeout"] = {**made.extensions["timeout"], "read": self._silence_s}
        try:
            response = await self._http.send(made, stream=True)
            try:
                await self._judge(response)
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise _late(self.socket) from error
        except httpx.TransportError as error:
            raise _broken(self.socket, error) from error

    def _request(
        self, endpoint: Endpoint[Q, R], request: Q, match: int | None, headers: Mapping[str, str]
    ) -> httpx.Request:
        values: dict[str, Any] = msgspec.to_builtins(request)
        path = endpoint.path
        for name in [name for name in values if "{" + name + "}" in path]:
            path = path.replace("{" + name + "}", quote(str(values.pop(name)), safe=""))
        sent = dict(headers)
        if match is not None:
            sent["If-Match"] = f'"{match}"'
        if endpoint.method in ("GET", "DELETE"):
            params = {name: _query(value) for name, value in values.items() if value is not None}
            return self._http.build_request(endpoint.method, path, params=params, headers=sent)
        sent["Content-Type"] = "application/json"
        body = msgspec.json.encode(values)
        return self._http.build_request(endpoint.method, path, content=body, headers=sent)

    def _check_socket(self) -> None:
        if not self._checked:
            check_socket(self.socket)
            self._checked = True

    async def _judge(self, response: httpx.Response) -> None:
        spoken = response.headers.get(API_HEADER)
        if spoken != API_VERSION:
            self._on_mismatch(str(spoken))
        if response.status_code >= 300:
            raise Refused(_error_body(response.status_code, await response.aread()))


def check_socket(path: Path) -> None:
    """Refuses a socket that another user could have put there.

    Raises:
        Unreachable: it is missing, no socket, may not be opened, or its owner or mode is not
        trusted.
    """
    try:
        facts = path.stat()
    except FileNotFoundError as error:
        raise _missing(path) from error
    except PermissionError as error:
        raise _forbidden(path) from error
    if not stat.S_ISSOCK(facts.st_mode):
        message = f"{path} is not a socket."
        raise Unreachable(message, "Give the daemon's admin socket with --socket.")
    me = os.geteuid()
    if me != 0 and facts.st_uid not in (0, me) and not stat.S_IMODE(facts.st_mode) & 0o060:
        raise _forbidden(path)
    if stat.S_IMODE(facts.st_mode) & 0o002:
        message = f"{path} can be written by everybody, so anybody could have made it."
        raise Unreachable(message, f'Check who made it with "ls -l {path}", then restart wicketd.')
    if not os.access(path, os.W_OK):
        raise _forbidden(path)


def _query(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _error_body(status: int, data: bytes) -> ErrorBody:
    try:
        return msgspec.json.decode(data, type=ErrorBody)
    except msgspec.MsgspecError:
        code = _CODE_BY_STATUS.get(status, "internal")
        return ErrorBody(code=code, message=f"The daemon answered with status {status}.")


def _missing(path: Path) -> Unreachable:
    return Unreachable(
        f"There is no socket at {path}.",
        'Start the daemon with "wicketd serve", or give its socket with --socket.',
    )


def _forbidden(path: Path) -> Unreachable:
    return Unreachable(
        f"Cannot open {path}: permission denied.",
        'Join the group with "sudo usermod -aG wicket-admin $USER", then sign in again.',
    )


def _late(path: Path) -> TimedOut:
    return TimedOut(
        f"The daemon at {path} did not answer in time.",
        'See what it is doing with "wicket status", or wait longer with --timeout.',
    )


def _strange(path: Path) -> Unreachable:
    return Unreachable(
        f"What answers at {path} does not speak Wicket's admin contract.",
        "Check that wicket and wicketd are of the same release.",
    )


def _broken(path: Path, error: httpx.TransportError) -> Unreachable:
    if isinstance(error, httpx.ConnectError):
        return Unreachable(
            f"Nobody answers at {path}.",
            'Start the daemon with "wicketd serve"; its log says why it ended.',
        )
    return Unreachable(
        f"The connection to {path} broke.", 'See whether the daemon runs with "wicket status".'
    )

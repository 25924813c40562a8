"""Dispatches the admin API over the contract's table: one ASGI app, on the Unix socket only.

A request passes, in this order: browser traces, peer, route, permission, size, decoding,
`If-Match`,
handler. Nothing reaches a handler unless all of them passed. Counterpart: `wicketd.api.client`.
Source: product specification 9; security specification 9.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from wicketd.admin import codec
from wicketd.admin.errors import INTERNAL, body_of, encode
from wicketd.admin.peer import Admission, Peer, peer_of
from wicketd.admin.routing import Match, Router
from wicketd.admin.usecases import Ask, Handler, UseCases
from wicketd.api.endpoints import ENDPOINTS
from wicketd.api.errors import ErrorBody
from wicketd.api.version import API_HEADER, API_VERSION, HOST, VERSION_HEADER
from wicketd.domain.actor import Actor, Permission
from wicketd.domain.errors import (
    BadRequest,
    Forbidden,
    TooLarge,
    WicketError,
)
from wicketd.domain.ports import Clock

MAX_BODY: Final = 1024 * 1024
DEADLINE_S: Final = 10.0
RECHECK_S: Final = 60.0
"""How often a stream asks the group database again: a removed admin loses a live tail."""

_BROWSER_HEADERS: Final = frozenset({b"origin", b"referer", b"forwarded"})
_BROWSER_PREFIXES: Final = (b"sec-fetch-", b"x-forwarded-")
_MEDIA: Final = {"events": "text/event-stream", "lines": "text/plain; charset=utf-8"}
_LATE: Final = ErrorBody(
    code="timeout",
    message=f"This took longer than {DEADLINE_S:.0f} s. Whether a change was made is not known.",
    hint="Read the object again before repeating the change.",
)

logger = logging.getLogger("wicketd.admin")


class AdminApp:
    """The ASGI app of one admin socket. `read_only`: its peers may change nothing, root included.

    Raises:
        ValueError: `handlers` and table differ.
    """

    def __init__(
        self,
        uses: UseCases,
        admission: Admission,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        version: str,
        read_only: bool = False,
    ) -> None:
        differing = {row.name for row in ENDPOINTS} ^ handlers.keys()
        if differing:
            message = f"endpoints without handler, or handlers without endpoint: {differing}"
            raise ValueError(message)
        self._uses = uses
        self._admission = admission
        self._handlers = handlers
        self._clock = clock
        self._read_only = read_only
        self._router = Router(ENDPOINTS)
        self._headers = {
            VERSION_HEADER: version,
            API_HEADER: API_VERSION,
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; nothing else is spoken on this socket."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except WicketError as error:
            body = body_of(error)
            if body is INTERNAL:
                logger.exception("admin request failed: %s", type(error).__name__)
        except TimeoutError:
            body = _LATE
        except ClientDisconnect:
            raise
        except Exception:
            logger.exception("admin request failed")
            body = INTERNAL
        status, content = encode(body)
        return self._response(status, content)

    async def _dispatch(self, request: Request) -> Response:
        _refuse_browsers(request)
        peer = peer_of(request.scope.get("state", {}), read_only=self._read_only)
        actor = self._admission.actor(peer)
        match = self._router.find(request.method, request.scope["raw_path"])
        self._permit(actor, match)
        if match.endpoint.form != "json":
            return await self._stream(request, peer, actor, match)
        async with asyncio.timeout(DEADLINE_S):
            ask = await self._ask(request, actor, match)
            answer = await self._handlers[match.endpoint.name](self._uses, ask)
        tag = codec.etag_of(match.endpoint, answer)
        return self._response(200, msgspec.json.encode(answer), etag=tag)

    async def _ask(self, request: Request, actor: Actor, match: Match) -> Ask[Any]:
        body = await _body(request)
        query: bytes = request.scope["query_string"]
        asked = codec.request_of(match.endpoint, match.values, query, body)
        expected = codec.expected_revision(match.endpoint, request.headers.get("if-match"))
        return Ask(actor, asked, expected, request.headers.get("last-event-id"))

    async def _stream(self, request: Request, peer: Peer, actor: Actor, match: Match) -> Response:
        async with asyncio.timeout(DEADLINE_S):
            ask = await self._ask(request, actor, match)
            chunks = await self._handlers[match.endpoint.name](self._uses, ask)
        media = _MEDIA[match.endpoint.form]
        return StreamingResponse(
            self._while_admitted(peer, chunks), headers=self._headers, media_type=media
        )

    async def _while_admitted(
        self, peer: Peer, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        checked = self._clock.monotonic_s()
        async for chunk in chunks:
            if self._clock.monotonic_s() - checked >= RECHECK_S:
                checked = self._clock.monotonic_s()
                if not await asyncio.to_thread(self._admission.still_admits, peer):
                    return
            yield chunk

    def _permit(self, actor: Actor, match: Match) -> None:
        if match.endpoint.permission == "write" and actor.permission is not Permission.WRITE:
            message = "This needs write permission, and you came over the read-only socket."
            group = self._admission.write_group
            hint = f'Join "{group}" and use the other socket.' if group else "Ask an administrator."
            raise Forbidden(message, hint=hint)

    def _response(self, status: int, content: bytes, *, etag: str | None = None) -> Response:
        headers = self._headers if etag is None else {**self._headers, "ETag": etag}
        return Response(content, status, headers, media_type="application/json")


def _refuse_browsers(request: Request) -> None:
    """A page in a browser must not reach this API by any detour."""
    hosts = [value for name, value in request.scope["headers"] if name == b"host"]
    if hosts != [HOST.encode()]:
        message = f"The Host of this API is {HOST}."
        raise Forbidden(message, hint="Use the wicket command; it knows how to ask.")
    for name, _ in request.scope["headers"]:
        if name in _BROWSER_HEADERS or name.startswith(_BROWSER_PREFIXES):
            message = f"Requests with {name.decode('latin-1')} come from browsers or proxies."
            raise Forbidden(message, hint="Use the wicket command; it speaks to the socket itself.")


async def _body(request: Request) -> bytes:
    """The whole body, capped.

    Raises:
        TooLarge: it is over 1 MiB.
        BadRequest: it is not declared as JSON.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            message = "A request may have 1 MiB. Send less."
            raise TooLarge(message)
    if body and request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        message = "The body of a request is JSON: send Content-Type: application/json."
        raise BadRequest(message)
    return bytes(body)

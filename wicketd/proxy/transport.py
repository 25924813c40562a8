"""The HTTP surface of the front as one ASGI callable: `/mcp`, two health answers, the rest beside.

Counterpart of `server`, which checked the bytes, and of `proxy.calls`, which knows the answer.
Invariants: a path is compared as raw bytes; Host and Origin are checked before a body is read; what
is not ours goes to `rest`, the portal, which checks its own Host and Origin, or is 404.
Source: protocol spec, C2 to C4, C11; product spec, 5.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from wicketd.domain.calls import FrontRequest, Refusal, RefusalKind, Reply
from wicketd.net.addresses import Network
from wicketd.net.hosts import Hosts, client_ip
from wicketd.proxy import errors
from wicketd.proxy.responder import Connection, Handle, Receive, Responder, Send, Surroundings
from wicketd.proxy.wire import MAX_BODY

BODY_S: Final = 10.0
_MCP: Final = b"/mcp"
_ALIVE: Final = b"/alive"
_STATUS: Final = b"/api/status"
_WELL_KNOWN: Final = b"/.well-known/"
_JSON: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_NOT_FOUND: Final = Reply(404, b"", ())
_NOT_GET: Final = Reply(405, b"", ((b"allow", b"GET"),))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the front checks before a request is read. `body_s`: seconds for the whole body."""

    hosts: Hosts
    trusted: tuple[Network, ...] = ()
    max_body: int = MAX_BODY
    body_s: float = BODY_S


class Rest(Protocol):
    """The ASGI app of every other path: the portal."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answers one HTTP request, Host and Origin unchecked so far."""

    async def drain(self) -> None:
        """Refuses what comes from now on and waits for the last answer."""


class McpApp:
    """The ASGI app of the HTTP listener. `status` gives "ok" or "degraded"."""

    def __init__(
        self,
        handle: Handle,
        rules: Rules,
        status: Callable[[], str],
        *,
        around: Surroundings,
        rest: Rest | None = None,
    ) -> None:
        self._handle = handle
        self._rest = rest
        self._rules = rules
        self._status = status
        self._around = around
        self._is_draining = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; other scope types are not ours."""
        if scope["type"] != "http":
            return
        if self._rest is not None and _is_for_rest(scope["raw_path"]):
            await self._rest(scope, receive, send)
            return
        reply = self._before_body(scope)
        if reply is None:
            request = await self._request(scope, receive)
            if isinstance(request, FrontRequest):
                vouch = scope.get("state", {}).get("wicket.vouch", _nobody)
                connection = Connection(receive, send, vouch)
                await Responder(connection, self._around).run(request, self._handle)
                return
            reply = errors.render(request)
        await _respond(send, reply)

    async def drain(self) -> None:
        """Refuses what comes from now on, ends streams, waits for the last answer."""
        self._is_draining = True
        self._around.presences.end_streams()
        await self._around.presences.wait_empty()
        if self._rest is not None:
            await self._rest.drain()

    def _before_body(self, scope: Any) -> Reply | None:
        """Path, Host, Origin, health (C2 to C4); None: a request for the call path."""
        path = scope["raw_path"]
        if path not in (_MCP, _ALIVE, _STATUS):
            return _NOT_FOUND
        refusal = self._foreign(scope["headers"])
        if refusal is not None:
            return errors.render(refusal)
        if path != _MCP:
            return self._health(path) if scope["method"] == "GET" else _NOT_GET
        return errors.render(Refusal(RefusalKind.DRAINING)) if self._is_draining else None

    def _foreign(self, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._rules.hosts.admits(hosts[0].decode("latin-1")):
            return Refusal(RefusalKind.HOST)
        for name, value in headers:
            if name == b"origin" and not self._rules.hosts.admits_origin(value.decode("latin-1")):
                return Refusal(RefusalKind.ORIGIN)
        return None

    def _health(self, path: bytes) -> Reply:
        if path == _ALIVE:
            return Reply(200, b'{"status":"alive"}', _JSON)
        if self._status() == "ok":
            return Reply(200, b'{"status":"ok"}', _JSON)
        return Reply(503, b'{"status":"degraded"}', _JSON)

    async def _request(self, scope: Any, receive: Receive) -> FrontRequest | Refusal:
        body: bytes | Refusal = b""
        if scope["method"] == "POST":
            body = await self._body(receive)
        if isinstance(body, Refusal):
            return body
        headers = tuple(scope["headers"])
        client = scope.get("client")
        peer = client_ip(client[0] if client else "", headers, self._rules.trusted)
        return FrontRequest(scope["method"], headers, body, peer)

    async def _body(self, receive: Receive) -> bytes | Refusal:
        """The whole body (C11); who hangs up meanwhile gets a refusal that nobody reads."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._rules.body_s):
                while len(body) <= self._rules.max_body:
                    message = await receive()
                    if message["type"] != "http.request":
                        return Refusal(RefusalKind.BODY_TIMEOUT)
                    body += message.get("body", b"")
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            return Refusal(RefusalKind.BODY_TIMEOUT)
        is_small = len(body) <= self._rules.max_body
        return bytes(body) if is_small else Refusal(RefusalKind.BODY_TOO_LARGE)


def _is_for_rest(path: bytes) -> bool:
    """Not for /.well-known/oauth-* either: a 401 there would start an OAuth flow of the client."""
    return path not in (_MCP, _ALIVE, _STATUS) and not path.startswith(_WELL_KNOWN)


def _nobody() -> None:
    """Stands for the listener under a server that keeps no places."""


async def _respond(send: Send, reply: Reply) -> None:
    length = (b"content-length", str(len(reply.body)).encode("ascii"))
    headers = [*reply.headers, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

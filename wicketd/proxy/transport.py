"""The HTTP surface of the front as one ASGI callable: `/mcp`, two health answers, 404 for the rest.

Counterpart of `server`, which checked the bytes, and of `proxy.calls`, which knows the answer.
Invariants: a path is compared as raw bytes; Host and Origin are checked before a body is read;
only this package touches receive and send. Source: protocol spec, C2 to C4, C11; product spec, 5.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from wicketd.domain.calls import FrontRequest, Refusal, RefusalKind, Reply
from wicketd.proxy import errors
from wicketd.proxy.door import Network, is_within
from wicketd.proxy.responder import Connection, Handle, Receive, Responder, Send, Surroundings
from wicketd.proxy.wire import MAX_BODY

BODY_S: Final = 10.0
_MCP: Final = b"/mcp"
_ALIVE: Final = b"/alive"
_STATUS: Final = b"/api/status"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_AUTHORITY: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = frozenset({"80", "443"})
_JSON: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_NOT_FOUND: Final = Reply(404, b"", ())
_NOT_GET: Final = Reply(405, b"", ((b"allow", b"GET"),))


class Hosts:
    """The names under which we may be addressed.

    `public_url`: its host, with its port or none; `extra`: more `host` or `host:port` texts;
    `is_loopback`: the bind is one, so the loopback names count, with any port.
    """

    def __init__(self, public_url: str, extra: Sequence[str] = (), *, is_loopback: bool) -> None:
        url = urlsplit(public_url)
        names = {url.netloc.lower(), *(name.lower() for name in extra)}
        self._names = frozenset(name for name in names if name)
        self._is_loopback = is_loopback

    def admits(self, authority: str) -> bool:
        """Whether a Host value is ours (C3)."""
        match = _AUTHORITY.fullmatch(authority.lower())
        if match is None:
            return False
        if self._is_loopback and match[1] in _LOOPBACK:
            return True
        is_default = match[2] is None or match[2] in _DEFAULT_PORTS
        return match[0] in self._names or (is_default and match[1] in self._names)

    def admits_origin(self, origin: str) -> bool:
        """Whether an Origin value is ours (C4); `null` is not."""
        scheme, mark, authority = origin.partition("://")
        return bool(mark) and scheme.lower() in ("http", "https") and self.admits(authority)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the front checks before a request is read. `body_s`: seconds for the whole body."""

    hosts: Hosts
    trusted: tuple[Network, ...] = ()
    max_body: int = MAX_BODY
    body_s: float = BODY_S


class McpApp:
    """The ASGI app of the HTTP listener. `status` gives "ok" or "degraded"."""

    def __init__(
        self,
        handle: Handle,
        rules: Rules,
        status: Callable[[], str],
        *,
        around: Surroundings,
    ) -> None:
        self._handle = handle
        self._rules = rules
        self._status = status
        self._around = around
        self._is_draining = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; other scope types are not ours."""
        if scope["type"] != "http":
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

    def _before_body(self, scope: Any) -> Reply | None:
        """Path, Host, Origin, health (C2 to C4); None: a request for the call path."""
        path = scope["raw_path"]
        if path not in (_MCP, _ALIVE, _STATUS):
            return _NOT_FOUND  # also /.well-known/oauth-*: a 401 there would start an OAuth flow
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


def client_ip(
    peer: str, headers: Sequence[tuple[bytes, bytes]], trusted: tuple[Network, ...]
) -> str:
    """The address that policies see: the peer, or behind trusted proxies the hop they vouch for.

    The right-most address of `X-Forwarded-For` that is no trusted proxy counts; what does not read
    as an address ends the walk, for everything left of it is the client's own claim.
    """
    if not is_within(peer, trusted):
        return peer
    forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        try:
            address = str(ip_address(hop.strip()))
        except ValueError:
            return peer
        if not is_within(address, trusted):
            return address
        peer = address
    return peer


def _nobody() -> None:
    """Stands for the listener under a server that keeps no places."""


async def _respond(send: Send, reply: Reply) -> None:
    length = (b"content-length", str(len(reply.body)).encode("ascii"))
    headers = [*reply.headers, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

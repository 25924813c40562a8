"""Runs OAuth requests over the guarded HTTP client: caps, deadlines, never a second try.

Counterpart: `oauth.token` builds the forms and reads the answers.
Source: security spec, 6.6: connect 5 s, read 30 s, total 60 s; discovery at most 256 KiB and five
requests, token answers at most 64 KiB.
"""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

import msgspec
import yarl

from wicketd.domain.errors import Malformed, TimedOut
from wicketd.domain.json import JsonObject
from wicketd.net.client import Guard, GuardedClient, Response
from wicketd.oauth.answers import RawAnswer
from wicketd.oauth.token import ANSWER_BYTES_MAX, Form

READ_S: Final = 30.0
TOTAL_S: Final = 60.0
DISCOVERY_BYTES_MAX: Final = 256 * 1024
DISCOVERY_REQUESTS_MAX: Final = 5
CAP_BYTES: Final = "oauth_bytes"
CAP_REQUESTS: Final = "discovery_requests"
LOOPBACK: Final = Guard((ip_network("127.0.0.0/8"), ip_network("::1/128")), insecure_http=True)
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_GET: Final = MappingProxyType({"Accept": "application/json", "Accept-Encoding": "identity"})
_POST_JSON: Final = MappingProxyType({**_GET, "Content-Type": "application/json"})

_HELLO_HEADERS: Final = MappingProxyType(
    {**_POST_JSON, "Accept": "application/json, text/event-stream"}
)
_HELLO: Final = msgspec.json.encode(
    {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "wicket", "version": "1"},
        },
    }
)
"""Enough for a server to say that it wants a token; the session that others open is not used."""


class OAuthHttp:
    """Requests to authorization servers and for the metadata of upstreams."""

    def __init__(
        self,
        client: GuardedClient,
        *,
        loopback_http: bool = False,
        read_s: float = READ_S,
        total_s: float = TOTAL_S,
    ) -> None:
        """Takes the deadlines in seconds.

        `loopback_http`: servers on this host may be dialled, without TLS; for development.
        """
        self._client = client
        self._loopback_http = loopback_http
        self._read_s = read_s
        self._total_s = total_s

    async def get_json(
        self, url: str, cap_bytes: int = DISCOVERY_BYTES_MAX, guard: Guard | None = None
    ) -> RawAnswer:
        """Fetches a metadata document. `guard`: of the connector whose own origin `url` is on.

        Raises:
            Unreachable, TimedOut, Malformed: no whole answer; a redirect is none.
        """
        return await self._ask("GET", url, _GET, None, cap_bytes, guard)

    async def post_form(self, url: str, form: Form) -> RawAnswer:
        """Sends a form to a token or revocation endpoint, once.

        Raises:
            Unreachable: `is_written` says whether the request may have reached the server.
            TimedOut, Malformed: it may have.
        """
        return await self._ask("POST", url, form.headers, form.body, ANSWER_BYTES_MAX, None)

    async def post_json(self, url: str, document: JsonObject) -> RawAnswer:
        """Sends a JSON document, such as a client registration (RFC 7591).

        Raises:
            Unreachable, TimedOut, Malformed: no whole answer.
        """
        body = msgspec.json.encode(document)
        return await self._ask("POST", url, _POST_JSON, body, ANSWER_BYTES_MAX, None)

    async def challenge(self, url: str, guard: Guard) -> tuple[str, ...]:
        """Asks an MCP server for a session without a token; gives the challenges of its 401.

        Empty for any other answer. The body is not read.

        Raises:
            Unreachable, TimedOut, Malformed: no answer.
        """
        endpoint = self._client.endpoint(url, guard)
        try:
            async with asyncio.timeout(self._read_s):
                response = await endpoint.request("POST", _HELLO_HEADERS, _HELLO)
        except TimeoutError as error:
            raise TimedOut("The server did not answer in time.") from error
        try:
            values = response.headers.getall("WWW-Authenticate", ())
            return tuple(values) if response.status == 401 else ()
        finally:
            response.close()

    def discovery(self, guard: Guard, origin: str) -> "Discovery":
        """A run of at most five fetches; `guard` holds for the upstream's `origin` only."""
        return Discovery(self, guard, origin)

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.close()

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        cap_bytes: int,
        guard: Guard | None,
    ) -> RawAnswer:
        endpoint = self._client.endpoint(url, guard or self._guard(url))
        try:
            async with asyncio.timeout(self._total_s):
                async with asyncio.timeout(self._read_s):
                    response = await endpoint.request(method, headers, body)
                try:
                    return await self._whole(response, cap_bytes)
                finally:
                    response.close()
        except TimeoutError as error:
            raise TimedOut("The authorization server did not answer in time.") from error

    async def _whole(self, response: Response, cap_bytes: int) -> RawAnswer:
        parts: list[bytes] = []
        chunks = response.chunks(cap_bytes, CAP_BYTES)
        while True:
            async with asyncio.timeout(self._read_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return RawAnswer(response.status, MappingProxyType(headers), b"".join(parts))

    def _guard(self, url: str) -> Guard:
        if not self._loopback_http:
            return Guard()
        try:
            host = yarl.URL(url).host
        except ValueError:
            return Guard()
        return LOOPBACK if host in _LOOPBACK_HOSTS else Guard()


class Discovery:
    """One run of discovery: bounded, so that a chain of documents cannot lead on for ever."""

    def __init__(self, http: OAuthHttp, guard: Guard, origin: str) -> None:
        self._http = http
        self._guard = guard
        self._origin = origin
        self._left = DISCOVERY_REQUESTS_MAX

    async def get(self, url: str) -> RawAnswer:
        """Fetches one document of the run.

        Raises:
            Malformed: a sixth request (cap `discovery_requests`), or no whole answer.
            Unreachable, TimedOut: no answer.
        """
        if not self._left:
            raise Malformed("Discovery took more than five requests.", cap=CAP_REQUESTS)
        self._left -= 1
        return await self._http.get_json(url, guard=self._guard if self._is_own(url) else None)

    def _is_own(self, url: str) -> bool:
        try:
            return str(yarl.URL(url).origin()) == str(yarl.URL(self._origin).origin())
        except ValueError:
            return False

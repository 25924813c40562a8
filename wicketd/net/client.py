"""The one HTTP client of the daemon: guarded addresses, no redirects, hard caps.

Counterpart of `net.addresses`. Two hooks check every connection: the resolver refuses a whole
answer that names a denied address, and the socket factory checks the very address being dialled,
because a URL with an IP literal never reaches the resolver.
Source: security spec, 6.6; protocol spec, 4.1 and 4.7.
"""

import io
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from typing_extensions import override

from wicketd.domain.errors import Malformed, TimedOut, Unreachable
from wicketd.net.addresses import Network, is_denied
from wicketd.net.budget import ByteBudget

CONNECT_TIMEOUT_S: Final = 5.0
KEEPALIVE_S: Final = 15.0
HEADER_BYTES_MAX: Final = 32 * 1024
BUFFERED_BYTES_MAX: Final = 128 * 1024 * 1024
_LARGE_BODY_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Guard:
    """What a connector file opens beyond the defaults, for its own host and port only."""

    allow_networks: tuple[Network, ...] = ()
    insecure_http: bool = False

    @classmethod
    def of(cls, allow_networks: tuple[str, ...], *, insecure_http: bool) -> "Guard":
        """Reads the CIDR texts of a connector file.

        Raises:
            ValueError: a text is no network.
        """
        return cls(tuple(ip_network(text) for text in allow_networks), insecure_http)


class AddressDenied(OSError):
    """An address of the deny list was about to be dialled; surfaces as `Unreachable`."""


class _GuardedResolver(AbstractResolver):
    """Refuses a whole answer that names one denied address: a mixed answer is an attempt."""

    def __init__(self, inner: AbstractResolver, allowed: tuple[Network, ...]) -> None:
        self._inner = inner
        self._allowed = allowed

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolves through the inner resolver and judges every address."""
        answer = await self._inner.resolve(host, port, family)
        if any(is_denied(entry["host"], self._allowed) for entry in answer):
            raise AddressDenied("the name resolves to a denied address")
        return answer

    @override
    async def close(self) -> None:
        """The inner resolver belongs to the client."""


class Response:
    """An answer whose head has arrived; `close` returns or drops its connection."""

    def __init__(self, inner: aiohttp.ClientResponse, budget: ByteBudget) -> None:
        self._inner = inner
        self._budget = budget
        self._held_bytes = 0
        self._read_bytes = 0
        self.is_draining = False
        """Somebody else reads the rest and closes."""
        self.status = inner.status
        self.headers: CIMultiDictProxy[str] = inner.headers
        self.media_type = inner.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been read."""
        return self._inner.content.at_eof()

    async def read(self, cap_bytes: int, cap: str) -> bytes:
        """Reads the whole body of at most `cap_bytes`; `cap` names the limit in the error.

        Raises:
            Malformed: the body is longer or breaks off.
        """
        declared = self._inner.content_length
        if declared is not None and declared > cap_bytes:
            raise Malformed("The answer is larger than its cap.", cap=cap)
        chunk = await self._next(cap_bytes, cap)
        if self.is_complete:
            return chunk
        parts = [chunk]
        while chunk:
            chunk = await self._next(cap_bytes, cap)
            parts.append(chunk)
        return b"".join(parts)

    async def chunks(self, cap_bytes: int, cap: str) -> AsyncIterator[bytes]:
        """Gives the body as it arrives, at most `cap_bytes`; `consumed` says they are done with.

        Raises:
            Malformed: the body is longer or breaks off.
        """
        while chunk := await self._next(cap_bytes, cap):
            yield chunk

    async def _next(self, cap_bytes: int, cap: str) -> bytes:
        """What has arrived since the last look, empty at the end."""
        try:
            chunk = await self._inner.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise Malformed("The answer broke off.") from error
        self._read_bytes += len(chunk)
        if self._read_bytes > cap_bytes:
            raise Malformed("The answer is larger than its cap.", cap=cap)
        await self._budget.take(len(chunk))
        self._held_bytes += len(chunk)
        return chunk

    def consumed(self) -> None:
        """Says that no chunk given so far is buffered any more."""
        if self._held_bytes:
            self._budget.give(self._held_bytes)
            self._held_bytes = 0

    def close(self) -> None:
        """Ends the exchange: a complete answer frees its connection, an incomplete one drops it."""
        self.consumed()
        if self.is_complete:
            self._inner.release()
        else:
            self._inner.close()


class Endpoint:
    """One checked URL with its connection pool: kept, so that no call parses it again."""

    def __init__(
        self, url: yarl.URL, session: aiohttp.ClientSession, budget: ByteBudget, connect_s: float
    ) -> None:
        self._url = url
        self._session = session
        self._budget = budget
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
        self.origin = f"{url.scheme}://{_host(url)}:{url.port}"
        """`scheme://host:port`, as credentials are bound to it."""

    async def request(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Response:
        """Sends one request; gives the answer once its head is there. The caller sets deadlines.

        Raises:
            Unreachable: no connection (`is_written` False), or it ended before an answer.
            Malformed: a redirect, an encoded body, or a head that is malformed or over its cap.
        """
        data = io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY_BYTES else body
        try:
            inner = await self._session.request(
                method,
                self._url,
                headers=headers,
                data=data,
                allow_redirects=False,
                timeout=self._timeout,
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable("No connection in time.", cap="connect", is_written=False) from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise Unreachable("No connection could be made.", is_written=False) from error
        except aiohttp.ClientResponseError as error:
            raise Malformed("The head of the answer is malformed.") from error
        except TimeoutError as error:
            raise TimedOut("No answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable("The connection ended before an answer.") from error
        return self._checked(inner)

    def _checked(self, inner: aiohttp.ClientResponse) -> Response:
        fault = _fault(inner)
        if fault is not None:
            inner.close()
            raise fault
        return Response(inner, self._budget)


class GuardedClient:
    """Keeps the pools: one under the plain deny list, and one per origin that a file opens.

    Opened networks hold for one host and port: only requests to that origin use their pool.
    """

    def __init__(
        self,
        *,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        buffered_bytes_max: int = BUFFERED_BYTES_MAX,
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._budget = ByteBudget(buffered_bytes_max)
        self._pools: dict[tuple[str, Guard] | None, aiohttp.ClientSession] = {}

    def endpoint(self, url: str, guard: Guard) -> Endpoint:
        """Checks a URL once and gives its endpoint. Needs the running event loop.

        Raises:
            Unreachable: the URL has user info, a fragment, no host, or a wrong scheme.
        """
        parsed = _parsed(url, guard)
        key = (str(parsed.origin()), guard) if guard.allow_networks else None
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._pool(guard.allow_networks)
        return Endpoint(parsed, pool, self._budget, self._connect_timeout_s)

    async def close(self) -> None:
        """Closes every connection."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.close()

    def _pool(self, allowed: tuple[Network, ...]) -> aiohttp.ClientSession:
        def dial(info: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, address = info
            if is_denied(str(address[0]), allowed):
                raise AddressDenied("the address is denied")
            return socket.socket(family, kind, protocol or socket.IPPROTO_TCP)

        if self._resolver is None:
            self._resolver = aiohttp.DefaultResolver()
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(self._resolver, allowed),
            socket_factory=dial,
            ssl=self._tls if self._tls is not None else True,
            limit=0,  # calls in flight are bounded per member and service by their callers
            keepalive_timeout=KEEPALIVE_S,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept-Encoding"),
            max_field_size=HEADER_BYTES_MAX,
        )


def _fault(inner: aiohttp.ClientResponse) -> Malformed | None:
    """Why the head of an answer is refused, if it is."""
    if inner.status < 200 or 300 <= inner.status < 400:
        return Malformed("The server answered with a redirect.")
    if "Content-Encoding" in inner.headers:
        return Malformed("The server encoded its answer although identity was asked for.")
    if sum(len(name) + len(value) + 4 for name, value in inner.raw_headers) > HEADER_BYTES_MAX:
        return Malformed("The head of the answer is too large.", cap="header_bytes")
    return None


def _parsed(url: str, guard: Guard) -> yarl.URL:
    if not url.isprintable() or " " in url:
        raise Unreachable("The URL holds a space or a control character.", is_written=False)
    try:
        parsed = yarl.URL(url)
    except ValueError as error:
        raise Unreachable("The URL cannot be read.", is_written=False) from error
    admitted = parsed.scheme == "https" or (parsed.scheme == "http" and guard.insecure_http)
    if not admitted:
        raise Unreachable("Only https is admitted for this host.", is_written=False)
    if not parsed.raw_host or parsed.user or parsed.password or parsed.fragment:
        raise Unreachable(
            "The URL needs a host and may hold no user name or fragment.", is_written=False
        )
    return parsed


def _host(url: yarl.URL) -> str:
    host = (url.raw_host or "").lower()
    return f"[{host}]" if ":" in host else host

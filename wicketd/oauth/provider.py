"""Finds the authorization server of a service over the network, in the order of the specification.

Counterpart: `discovery`, whose rules decide what is believed. Invariant: a document that breaks a
rule ends the search; only one that is not there leads on to the next place.
Source: security spec, 6.1.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.catalogue import Connector, HttpTransport
from wicketd.domain.errors import Malformed, Unreachable
from wicketd.domain.ports import Clock
from wicketd.net.client import Guard
from wicketd.oauth import challenge, discovery
from wicketd.oauth.client import Discovery, OAuthHttp
from wicketd.oauth.discovery import AuthorizationServer, ProtectedResource

FRESH_S: Final = 600.0
REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class Provider:
    """A service's authorization server and the scopes that a sign-in asks for."""

    server: AuthorizationServer
    scopes: tuple[str, ...]


class Providers:
    """Asks upstreams for their provider and providers for their metadata."""

    def __init__(self, http: OAuthHttp, clock: Clock, *, loopback: bool = False) -> None:
        """`loopback`: the development setting that admits http on this machine."""
        self._http = http
        self._clock = clock
        self._loopback = loopback
        self._known: dict[str, tuple[AuthorizationServer, float]] = {}

    async def find(self, connector: Connector, bound: str | None) -> Provider:
        """The provider as upstream and issuer describe it now.

        `bound`: the issuer that the service's app belongs to; it is kept while it is offered.

        Raises:
            Unreachable, TimedOut: a server did not answer.
            Malformed: a document is missing or breaks a rule.
        """
        scopes = _configured(connector)
        fixed = discovery.pinned(connector.oauth)
        if fixed is not None:
            return Provider(fixed, discovery.wanted_scopes((), scopes, (), ()))
        url, guard = _upstream(connector)
        said = challenge.bearer(await self._http.challenge(url, guard))
        run = self._http.discovery(guard, url)
        resource = await self._resource(run, url, said.resource_metadata)
        server = await self._server(run, _issuer(connector, resource, bound))
        offered = () if resource is None else resource.scopes
        wanted = discovery.wanted_scopes(said.scope, scopes, offered, server.scopes)
        return Provider(server, wanted)

    async def server_of(self, connector: Connector, issuer: str) -> AuthorizationServer:
        """The metadata of a recorded issuer, at most ten minutes old.

        Raises:
            Unreachable, TimedOut: it did not answer.
            Malformed: its metadata is missing or breaks a rule.
        """
        fixed = discovery.pinned(connector.oauth)
        if fixed is not None and fixed.issuer == issuer:
            return fixed
        known = self._known.get(issuer)
        if known is not None and self._clock.monotonic_s() - known[1] < FRESH_S:
            return known[0]
        url, guard = _upstream(connector)
        return await self._server(self._http.discovery(guard, url), issuer)

    async def _resource(
        self, run: Discovery, upstream_url: str, named: str | None
    ) -> ProtectedResource | None:
        own = discovery.origin(upstream_url)
        for url in discovery.resource_urls(upstream_url, named):
            if discovery.origin(url) != own:
                what = "The resource metadata"
                discovery.check_endpoint(url, what, loopback=self._loopback)
            answer = await run.get(url)
            if answer.status == 200:
                return discovery.read_resource(answer.body, upstream_url, loopback=self._loopback)
        return None

    async def _server(self, run: Discovery, issuer: str) -> AuthorizationServer:
        discovery.check_issuer(issuer, loopback=self._loopback)
        for url in discovery.server_urls(issuer):
            answer = await run.get(url)
            if answer.status == 200:
                server = discovery.read_server(answer.body, issuer, loopback=self._loopback)
                self._remember(server)
                return server
        raise Malformed("The provider publishes no metadata.")

    def _remember(self, server: AuthorizationServer) -> None:
        self._known.pop(server.issuer, None)
        self._known[server.issuer] = server, self._clock.monotonic_s()
        if len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))


def _issuer(connector: Connector, resource: ProtectedResource | None, bound: str | None) -> str:
    named = connector.oauth.get("issuer")
    named = named if isinstance(named, str) else None
    if resource is None or not resource.servers:
        issuer = bound or named
        if issuer is None:
            message = f"The server of {connector.name} does not say where members sign in."
            raise Malformed(message, hint="Name the provider in oauth.issuer of its file.")
        return issuer
    if named is not None and named not in resource.servers:
        message = f"The server of {connector.name} names another provider than its connector file."
        raise Malformed(message, hint="Compare oauth.issuer of the file with the server's answer.")
    return discovery.choose_issuer(resource.servers, bound or named) or resource.servers[0]


def _upstream(connector: Connector) -> tuple[str, Guard]:
    transport = connector.transport
    if not isinstance(transport, HttpTransport):
        raise Unreachable(f"{connector.name} is not reached over HTTP.", is_written=False)
    guard = Guard.of(transport.allow_networks, insecure_http=transport.insecure_http)
    return transport.url, guard


def _configured(connector: Connector) -> tuple[str, ...]:
    scopes = connector.oauth.get("scopes", ())
    return tuple(map(str, scopes)) if isinstance(scopes, list | tuple) else ()

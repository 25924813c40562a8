"""The search for a provider over real sockets: its order, its limits, who may not be believed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.protected import META, ProtectedUpstream, serve_protected
from tests.support.state import FakeClock
from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.catalogue import Connector
from wicketd.domain.errors import Malformed, TimedOut, Unreachable
from wicketd.net.client import GuardedClient
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers

SERVER = "/.well-known/oauth-authorization-server"


@dataclass
class Scene:
    """An upstream, its provider, and the search for it."""

    server: AuthorizationServer
    upstream: ProtectedUpstream
    providers: Providers
    clock: FakeClock

    def connector(self, **oauth: str) -> Connector:
        """The upstream's connector file."""
        return parse_connector(self.upstream.connector(**oauth).encode(), "test")


@asynccontextmanager
async def scene(*, path: str = "", read_s: float = 5.0) -> AsyncIterator[Scene]:
    """Runs both servers."""
    client = GuardedClient()
    clock = FakeClock()
    http = OAuthHttp(client, loopback_http=True, read_s=read_s)
    async with (
        serve_oauth(Mode.HOSTILE, path=path) as server,
        serve_protected(server) as upstream,
    ):
        yield Scene(server, upstream, Providers(http, clock, loopback=True), clock)
        await client.close()


async def test_the_challenge_leads_to_the_resource_and_the_resource_to_its_provider() -> None:
    async with scene() as s:
        s.upstream.challenge = f'{s.upstream.challenge}, scope="read"'
        found = await s.providers.find(s.connector(), None)
        assert found.server.issuer == s.server.issuer
        assert found.server.sends_iss
        assert found.scopes == ("read", "offline_access")
        assert s.upstream.paths == ["/mcp", f"{META}/mcp"]
        assert [path for _, path in s.server.requests] == [SERVER]
        assert s.upstream.authorizations == [None]


async def test_without_a_named_place_the_path_form_comes_first_and_then_the_root_form() -> None:
    async with scene() as s:
        s.upstream.challenge = "Bearer"
        await s.providers.find(s.connector(), None)
        s.upstream.documents[f"{META}/mcp"] = web.Response(status=404)
        await s.providers.find(s.connector(), None)
        assert s.upstream.paths == ["/mcp", f"{META}/mcp", "/mcp", f"{META}/mcp", META]


async def test_an_issuer_with_a_path_is_tried_in_three_places() -> None:
    async with scene(path="/tenant") as s:
        missing = {f"{SERVER}/tenant", "/.well-known/openid-configuration/tenant"}
        s.server.documents = {place: web.Response(status=404) for place in missing}
        s.server.documents["/tenant/.well-known/openid-configuration"] = web.json_response(
            s.server.document()
        )
        found = await s.providers.find(s.connector(), None)
        assert found.server.issuer == f"{s.server.url}/tenant"
        assert len(s.server.requests) == 3


async def test_a_server_that_says_nothing_needs_the_connector_file_to_name_the_provider() -> None:
    async with scene() as s:
        s.upstream.challenge, s.upstream.resource = None, None
        with pytest.raises(Malformed, match="does not say where members sign in"):
            await s.providers.find(s.connector(), None)
        found = await s.providers.find(s.connector(), s.server.issuer)
        assert found.server.issuer == s.server.issuer


async def test_metadata_of_another_resource_is_not_believed() -> None:
    async with scene() as s:
        s.upstream.resource = {
            "resource": "https://bank.test/mcp",
            "authorization_servers": [s.server.issuer],
        }
        with pytest.raises(Malformed, match="another resource"):
            await s.providers.find(s.connector(), None)
        assert s.server.requests == []


async def test_a_swapped_issuer_is_not_believed() -> None:
    async with scene() as s:
        s.server.metadata["issuer"] = "https://evil.test"
        with pytest.raises(Malformed, match="another issuer"):
            await s.providers.find(s.connector(), None)


async def test_the_bound_issuer_is_kept_while_it_is_offered() -> None:
    async with scene() as s, serve_oauth(Mode.STRICT) as other:
        assert s.upstream.resource is not None
        s.upstream.resource["authorization_servers"] = [other.issuer, s.server.issuer]
        bound = await s.providers.find(s.connector(), s.server.issuer)
        unbound = await s.providers.find(s.connector(), None)
        assert (bound.server.issuer, unbound.server.issuer) == (s.server.issuer, other.issuer)


async def test_a_provider_that_the_file_does_not_name_is_not_believed() -> None:
    async with scene() as s:
        with pytest.raises(Malformed, match="another provider"):
            await s.providers.find(s.connector(issuer="https://as.example.test"), None)


async def test_pinned_endpoints_ask_nobody() -> None:
    async with scene() as s:
        pins = {
            "issuer": "https://as.example.test",
            "authorization_endpoint": "https://as.example.test/a",
            "token_endpoint": "https://as.example.test/t",
            "pkce": "unadvertised",
        }
        connector = s.connector(**pins)
        found = await s.providers.find(connector, None)
        again = await s.providers.server_of(connector, "https://as.example.test")
        assert found.server == again
        assert (s.upstream.paths, s.server.requests) == ([], [])


async def test_discovery_ends_after_five_documents() -> None:
    async with scene(path="/t") as s:
        s.upstream.challenge = "Bearer"
        s.upstream.documents[f"{META}/mcp"] = web.Response(status=404)
        missing = {
            f"{SERVER}/t",
            "/.well-known/openid-configuration/t",
            "/t/.well-known/openid-configuration",
        }
        s.server.documents = {place: web.Response(status=404) for place in missing}
        with pytest.raises(Malformed, match="publishes no metadata"):
            await s.providers.find(s.connector(), None)
        assert len(s.upstream.paths) - 1 + len(s.server.requests) == 5


async def test_metadata_over_256_kib_is_refused() -> None:
    async with scene() as s:
        huge = {**s.server.document(), "padding": "x" * 256 * 1024}
        s.server.documents[SERVER] = web.json_response(huge)
        with pytest.raises(Malformed):
            await s.providers.find(s.connector(), None)


async def test_metadata_that_never_comes_is_given_up() -> None:
    async with scene(read_s=0.2) as s:
        s.server.before_redeeming.clear()
        s.server.slow.add(SERVER)
        with pytest.raises(TimedOut):
            await s.providers.find(s.connector(), None)


async def test_a_redirect_to_a_link_local_address_is_not_followed() -> None:
    async with scene() as s:
        headers = {"Location": "http://169.254.169.254/latest/meta-data"}
        s.server.documents[SERVER] = web.Response(status=302, headers=headers)
        with pytest.raises(Malformed):
            await s.providers.find(s.connector(), None)


@pytest.mark.parametrize(
    "place",
    [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[fd00:ec2::254]/x",
        "https://2130706433/x",
    ],
)
async def test_a_named_place_at_a_denied_address_is_not_dialled(place: str) -> None:
    async with scene() as s:
        s.upstream.challenge = f'Bearer resource_metadata="{place}"'
        with pytest.raises(Unreachable):
            await s.providers.find(s.connector(), None)


@pytest.mark.parametrize("place", ["http://evil.test/x", "javascript:alert(1)", "/relative"])
async def test_a_named_place_that_is_no_https_url_is_not_asked(place: str) -> None:
    async with scene() as s:
        s.upstream.challenge = f'Bearer resource_metadata="{place}"'
        with pytest.raises(Malformed):
            await s.providers.find(s.connector(), None)


async def test_the_metadata_of_an_issuer_is_remembered_for_ten_minutes() -> None:
    async with scene() as s:
        connector = s.connector()
        for _ in range(3):
            await s.providers.server_of(connector, s.server.issuer)
        assert len(s.server.requests) == 1
        s.clock.pass_s(601)
        await s.providers.server_of(connector, s.server.issuer)
        assert len(s.server.requests) == 2


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with scene() as s:
        text = s.upstream.connector()
        gone = text.replace(s.upstream.url, "http://127.0.0.1:1/mcp")
        with pytest.raises(Unreachable):
            await s.providers.find(parse_connector(gone.encode(), "test"), None)

"""DNS rebinding: the name of a provider turns private after its issuer was believed.

Removal tried: without both checks of `net.client`, in the resolver and in the socket factory, the
loopback address is dialled.
"""

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from tests.support.oauth_server import Mode, serve_oauth
from tests.support.protected import serve_protected
from tests.support.state import FakeClock
from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.errors import Unreachable
from wicketd.net.client import GuardedClient
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers


class Rebinding(AbstractResolver):
    """A name server in the hands of an attacker."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of the moment."""
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=_family(ip), proto=0, flags=0)
            for ip in self.answers
        ]

    @override
    async def close(self) -> None:
        """Nothing to close."""


def _family(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


@pytest.mark.requirement("dns-rebinding")
@pytest.mark.parametrize(
    "answers",
    [
        ("127.0.0.1",),
        ("10.1.2.3",),
        ("169.254.169.254",),
        ("93.184.216.34", "127.0.0.1"),
        ("64:ff9b::7f00:1",),
        ("2002:7f00:1::",),
        ("::ffff:127.0.0.1",),
        ("::1",),
    ],
)
async def test_a_provider_whose_name_turns_private_is_not_dialled(answers: tuple[str, ...]) -> None:
    resolver = Rebinding(*answers)
    client = GuardedClient(resolver=resolver)
    providers = Providers(OAuthHttp(client, loopback_http=True), FakeClock(), loopback=True)
    dialled: list[object] = []

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(writer.get_extra_info("peername"))
        writer.close()

    private = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = private.sockets[0].getsockname()[1]
    async with private, serve_oauth(Mode.HOSTILE) as server, serve_protected(server) as upstream:
        assert upstream.resource is not None
        upstream.resource["authorization_servers"] = [f"https://as.test:{port}"]
        connector = parse_connector(upstream.connector().encode(), "test")
        with pytest.raises(Unreachable):
            await providers.find(connector, None)
        assert set(resolver.asked) == {"as.test"}
    await client.close()
    assert dialled == []

"""P20: TLS everywhere: towards clients unless bound to loopback, towards upstreams always.

Removals tried by hand, each turned a test here red: the check of the bind in `config._check`; the
https rule of `connectors.rules`; `allow_redirects=False` and certificate verification of
`net.client`. Private addresses and rebinding names: tests/net/test_client.py, FC11.
"""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.certificates import Certificate, self_signed
from tests.support.daemon import RunningDaemon, free_port
from tests.support.upstreams import Seen, serve
from wicketd.domain.errors import Unreachable, Upstream
from wicketd.net.client import Guard, GuardedClient

CONFIGURATION = 78
LOOPBACK = Guard.of(("127.0.0.0/8",), insecure_http=True)


def refused_start(daemon: RunningDaemon, text: str) -> str:
    """What `wicketd serve` says about a configuration that it refuses."""
    daemon.config.write_text(f'state_dir = "{daemon.directory}"\n{text}')
    done = subprocess.run(
        [sys.executable, "-m", "wicketd", "serve", "--config", str(daemon.config)],
        capture_output=True,
        text=True,
        check=False,
        env=daemon.environment(),
        timeout=60,
    )
    assert done.returncode == CONFIGURATION, done.stderr
    return done.stderr


@asynccontextmanager
async def tls_daemon(directory: Path, files: Certificate) -> AsyncIterator[RunningDaemon]:
    """A daemon whose listener has a certificate."""
    directory.mkdir()
    daemon = RunningDaemon(directory, free_port())
    daemon.prepare()
    daemon.config.write_text(
        f'state_dir = "{directory}"\n[server]\nport = {daemon.port}\n'
        f'tls_cert = "{files.certificate}"\ntls_key = "{files.key}"\n'
    )
    try:
        await daemon.start()
        yield daemon
    finally:
        daemon.kill()


@pytest.mark.requirement("P20")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('host = "0.0.0.0"\n', "needs TLS"),
        ('host = "::"\n', "needs TLS"),
        ('host = "0.0.0.0"\npublic_url = "https://a.example"\n', "needs TLS"),
        ('host = "0.0.0.0"\n[http]\ntrusted_proxies = ["10.0.0.1"]\n', "needs TLS"),
        ('public_url = "http://mcp.example"\n', "must be https"),
        ('tls_cert = "/nowhere/cert.pem"\n', "belong together"),
        ('[portal]\nmail = "console"\n[server]\nhost = "0.0.0.0"\n', "for development"),
    ],
)
def test_a_daemon_that_would_carry_keys_in_the_clear_does_not_start(
    tmp_path: Path, text: str, said: str
) -> None:
    daemon = RunningDaemon(tmp_path, free_port())
    daemon.prepare()
    section = text if text.startswith("[") else f"[server]\nport = {daemon.port}\n{text}"
    assert said in refused_start(daemon, section)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", daemon.port)) != 0
    assert not daemon.socket.exists()


@pytest.mark.requirement("P20")
@pytest.mark.parametrize(
    "transport",
    [
        '{ kind = "streamable-http", url = "http://mcp.example/mcp" }',
        '{ kind = "streamable-http", url = "http://mcp.example/mcp", insecure_http = true }',
        '{ kind = "streamable-http", url = "http://10.0.0.7/", allow_networks = ["10.0.0.0/8"] }',
    ],
)
def test_an_upstream_over_plain_http_must_be_named_twice(tmp_path: Path, transport: str) -> None:
    daemon = RunningDaemon(tmp_path, free_port())
    daemon.prepare()
    (tmp_path / "connectors.d" / "plain.toml").write_text(
        f'key = "plain"\nname = "Plain"\ntransport = {transport}\n'
        'credential = { kind = "none" }\n'
    )
    directory = tmp_path / "connectors.d"
    said = refused_start(daemon, f'[services]\nconnectors_dir = "{directory}"\n')
    assert "must be https" in said


@pytest.mark.requirement("P20")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_a_listener_with_a_certificate_speaks_tls_and_nothing_else(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    async with tls_daemon(tmp_path / "state", files) as daemon:
        trusting = ssl.create_default_context(cafile=str(files.certificate))
        url = f"https://127.0.0.1:{daemon.port}/alive"
        async with aiohttp.ClientSession() as browser:
            async with browser.get(url, ssl=trusting) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await browser.get(url)
            with pytest.raises(aiohttp.ClientError):
                await browser.get(url.replace("https", "http"))
        old = ssl.create_default_context(cafile=str(files.certificate))
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", daemon.port, ssl=old)


@pytest.mark.requirement("P20")
@pytest.mark.parametrize("days", [1, -1])
async def test_an_upstream_whose_certificate_nobody_vouches_for_gets_nothing(
    tmp_path: Path, days: int
) -> None:
    files = self_signed(tmp_path, days=days)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    client = GuardedClient()
    try:
        endpoint = client.endpoint(f"https://127.0.0.1:{port}/mcp", LOOPBACK)
        with pytest.raises(Unreachable) as refused:
            await endpoint.request("POST", {"Authorization": "Bearer canary"}, b"{}")
        assert not refused.value.is_written
    finally:
        await client.close()
        server.close()
    assert not any(heard)


@pytest.mark.requirement("P20")
@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:{port}/caught", "/caught"],
)
async def test_a_redirect_is_never_followed(location: str) -> None:
    async def redirect(seen: Seen, request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=302, headers={"Location": location.format(port=request.url.port)}
        )

    client = GuardedClient()
    async with serve(redirect) as upstream:
        endpoint = client.endpoint(upstream.url, LOOPBACK)
        with pytest.raises(Upstream):
            await endpoint.request("POST", {"Authorization": "Bearer canary"}, b"{}")
        assert len(upstream.seen) == 1
    await client.close()

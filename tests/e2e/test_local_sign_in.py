"""A local member signs in from a shell without a browser, and an agent's call carries the token.

The daemon, the command and the servers are processes and sockets of their own; the browser is one
request that consents at the provider. The provider checks the resource in all three requests.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.mcp_client import McpClient
from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.protected import ProtectedUpstream, serve_protected
from tests.support.sign_ins import at_provider
from wicketd.domain.calls import Era

LOOPBACK = "[oauth]\nloopback_http = true\n"


@dataclass
class Host:
    """A daemon with agent `home`, service `notes` and local member `me`."""

    daemon: RunningDaemon
    server: AuthorizationServer
    upstream: ProtectedUpstream

    async def connect(self, *, stdin: str | None = None) -> tuple[int, str, str]:
        """`wicket connection connect`: opens what it prints, pastes what the browser shows."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wicket_tui", "connection", "connect", "home", "me", "notes",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=self.daemon.environment(),
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout is not None
        said = b""
        async with asyncio.timeout(30):
            while b"address bar" not in said and (line := await process.stderr.readline()):
                said += line
            if b"address bar" in said:
                link = re.search(rb"^http\S+$", said, re.MULTILINE)
                assert link is not None, said
                query = (await at_provider(link[0].decode())).decode()
                origin = self.daemon.url.removesuffix("/mcp")
                address = f"{origin}/oauth/callback/notes?{query}"
                process.stdin.write((address if stdin is None else stdin).encode() + b"\n")
                process.stdin.close()
            out, err = await process.stdout.read(), await process.stderr.read()
            code = await process.wait()
        return code, out.decode(), (said + err).decode()


@asynccontextmanager
async def host(directory: Path, settings: str = LOOPBACK) -> AsyncIterator[Host]:
    """Runs everything and admits the member."""
    async with serve_oauth(Mode.ROTATING) as server, serve_protected(server) as upstream:
        connectors = {"notes": upstream.connector()}
        async with running_daemon(directory, settings=settings, connectors=connectors) as daemon:
            await asyncio.to_thread(admit, daemon)
            yield Host(daemon, server, upstream)


def admit(daemon: RunningDaemon) -> None:
    """Agent, service, member."""
    daemon.wicket("agent", "create", "home", "--name", "Home")
    daemon.wicket("service", "enable", "home", "notes", "--allow", "all")
    daemon.wicket("member", "add", "home", "me", "--local")


@pytest.mark.requirement("CVE-2025-69196")
async def test_the_resource_is_named_three_times_on_the_way_to_a_call(tmp_path: Path) -> None:
    async with host(tmp_path) as here:
        here.server.lifetime_s = 1  # the first call refreshes
        code, out, err = await here.connect()
        assert code == 0, err
        assert "me is connected to an account of notes" in err
        issued = await asyncio.to_thread(here.daemon.wicket, "key", "issue", "home", "me")
        here.server.lifetime_s = 3600
        client = McpClient(here.daemon.port, issued["text"], Era.MODERN)
        await client.ask("tools/list")
        answer = await client.call("notes__search_notes", {})
        assert answer.result["content"] == [{"type": "text", "text": "found"}], answer
        grants = [one.grant_type for one in here.server.token_requests]
        assert grants[0] == "authorization_code"
        assert "refresh_token" in grants
        resources = [one.form["resource"] for one in here.server.token_requests]
        resources += [asked["resource"] for asked in here.server.authorized]
        assert set(resources) == {here.upstream.url}
        assert here.server.revoked_grants == []
        shown = out + err + here.daemon.log
        for grant in here.server.grants:
            for token in (grant.refresh_token, *grant.access_tokens, *grant.used):
                assert token not in shown


async def test_what_is_no_redirect_is_refused_with_the_next_step(tmp_path: Path) -> None:
    async with host(tmp_path) as here:
        code, out, err = await here.connect(stdin="https://evil.test/oauth/callback/notes?code=c")
        assert (code, out) == (6, "")
        assert "Paste it whole" in err
        assert here.server.token_requests == []


async def test_a_member_that_is_not_there_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    async with host(tmp_path) as here:
        await asyncio.to_thread(here.daemon.wicket, "member", "remove", "home", "me", "--yes")
        code, out, err = await here.connect()
        assert (code, out) == (3, "")
        assert "has no member" in err


async def test_providers_on_this_machine_need_the_development_setting(tmp_path: Path) -> None:
    async with host(tmp_path, settings="") as here:
        code, _, err = await here.connect()
        assert code == 5, err
        assert "not https" in err
        assert here.server.requests == []

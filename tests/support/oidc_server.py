"""oidc-provider, another maker's authorization server with rotation and revocation of grants.

A node program of `tests/clients`, installed by `tools/packages.sh npm`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from tests.support.npm import CLIENTS, NODE, require_npm
from wicketd.services.tokens import TokenRecord

CLIENT_ID: Final = "wicket"


class OidcProvider:
    """The running server and its control endpoints."""

    def __init__(self, issuer: str, http: aiohttp.ClientSession) -> None:
        self.issuer = issuer
        self._http = http

    async def _ask(self, path: str, **body: str) -> Any:
        async with self._http.post(f"{self.issuer}/test/{path}", json=body) as answer:
            assert answer.status == 200
            return msgspec.json.decode(await answer.read())

    async def whose(self, token: str) -> str | None:
        """Whose good access token this is."""
        owner = (await self._ask("owner", token=token))["owner"]
        return None if owner is None else str(owner)

    async def sign_in(self, member: str, resource: str) -> TokenRecord:
        """The record of a new consent."""
        tokens = await self._ask("sign-in", member=member, resource=resource)
        at_ms = time.time_ns() // 1_000_000
        return TokenRecord(
            v=1,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
            token_type="Bearer",
            scope=tokens["scope"],
            expires_at=at_ms + tokens["expires_in"] * 1000,
            obtained_at=at_ms,
            issuer=self.issuer,
            resource=resource,
            token_endpoint=f"{self.issuer}/token",
            client_id=CLIENT_ID,
            auth_method="none",
        )

    async def posts(self) -> int:
        """Requests that arrived at the token endpoint."""
        return int((await self._ask("counts"))["posts"])

    async def lost(self) -> int:
        """Grants that it revoked."""
        return int((await self._ask("counts"))["revoked"])

    async def expire(self) -> None:
        """No access token issued so far is good any more."""
        await self._ask("expire")


@asynccontextmanager
async def oidc_provider() -> AsyncIterator[OidcProvider]:
    """Runs it until the block ends."""
    require_npm()
    process = await asyncio.create_subprocess_exec(
        NODE,
        "oidc_server.mjs",
        cwd=CLIENTS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            port = (await process.stdout.readline()).strip()
            while not port.isdigit():
                assert port, "the server did not start"
                port = (await process.stdout.readline()).strip()
        async with aiohttp.ClientSession() as http:
            yield OidcProvider(f"http://127.0.0.1:{port.decode()}", http)
    finally:
        process.kill()
        await process.wait()

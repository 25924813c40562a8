"""The official SDK's own server, in both eras or held to the legacy one.

`python -m tests.support.sdk_upstream ERA PORT`: as a process of its own, which can be killed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.mcpserver import Context, MCPServer

from tests.support.upstreams import serve_asgi

_REFUSAL = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,'
    b'"message":"Bad Request: Unsupported protocol version"}}'
)


def _server() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("sdk", log_level="ERROR")

    @server.tool()
    async def echo(text: str) -> str:
        """Gives its argument back."""
        return text

    @server.tool()
    async def count(to: int, ctx: Context[Any, Any]) -> str:
        """Reports progress, then answers."""
        for done in range(to):
            await ctx.report_progress(done, to, "counting")
            await asyncio.sleep(0)
        return "done"

    return server


@asynccontextmanager
async def serve_sdk(*, is_legacy: bool, port: int = 0) -> AsyncIterator[str]:
    """Serves the SDK's server; a legacy one refuses modern requests as older releases do."""
    app = _server().streamable_http_app()

    async def legacy(scope: Any, receive: Any, send: Any) -> None:
        headers = scope.get("headers", ())
        if (b"mcp-protocol-version", b"2026-07-28") not in headers:
            await app(scope, receive, send)
            return
        await receive()
        start = {"type": "http.response.start", "status": 400}
        await send({**start, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": _REFUSAL})

    async with serve_asgi(legacy if is_legacy else app, port) as url:
        yield url


async def _main(era: str, port: int) -> None:
    async with serve_sdk(is_legacy=era == "legacy", port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))

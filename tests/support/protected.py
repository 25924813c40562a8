"""An MCP server that wants a token: it says where to sign in and admits who signed in there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.oauth_server import AuthorizationServer

META = "/.well-known/oauth-protected-resource"


@dataclass
class ProtectedUpstream:
    """The server's switches. `resource`: its metadata, of which None answers 404."""

    url: str = ""
    server: AuthorizationServer | None = None
    """Whose tokens it takes."""
    resource: dict[str, Any] | None = None
    challenge: str | None = ""
    """`WWW-Authenticate` of its 401; None: it wants no token."""
    documents: dict[str, web.StreamResponse] = field(default_factory=dict)
    """Paths answered from here before anything else."""
    paths: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    """`Authorization` of every request to the endpoint itself."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any request."""
        self.paths.append(request.path)
        if request.path in self.documents:
            return self.documents[request.path]
        if request.path.startswith(META):
            if self.resource is None:
                return web.Response(status=404)
            return web.json_response(self.resource)
        authorization = request.headers.get("Authorization")
        self.authorizations.append(authorization)
        if self.server is not None and self.server.admits(authorization):
            return _served(await request.json())
        if self.challenge is None:
            return web.json_response({"jsonrpc": "2.0", "id": 0, "result": {}})
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        return web.Response(status=401, headers=headers)

    def connector(self, **oauth: str) -> str:
        """A connector file `notes` of this server, with an `oauth` table of these fields."""
        table = "".join(f'{name} = "{value}"\n' for name, value in oauth.items())
        return (
            'key = "notes"\nname = "Notes"\n'
            f'transport = {{ kind = "streamable-http", url = "{self.url}",'
            ' allow_networks = ["127.0.0.0/8"], insecure_http = true }\n'
            'credential = { kind = "oauth" }\n'
            'revoke_url = "https://provider.example.test/grants"\n'
            + (f"[oauth]\n{table}" if table else "")
            + '[tools]\nread = ["search_notes"]\n'
        )


@asynccontextmanager
async def serve_protected(server: AuthorizationServer) -> AsyncIterator[ProtectedUpstream]:
    """Runs an upstream that names `server` as its provider."""
    upstream = ProtectedUpstream(server=server)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", upstream.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    upstream.url = f"{root}/mcp"
    upstream.resource = {"resource": upstream.url, "authorization_servers": [server.issuer]}
    upstream.challenge = f'Bearer resource_metadata="{root}{META}/mcp"'
    try:
        yield upstream
    finally:
        await runner.cleanup()


def _served(message: dict[str, Any]) -> web.StreamResponse:
    """What the server does for who signed in: one tool that greets."""
    answers: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        },
        "tools/list": {
            "tools": [{"name": "search_notes", "inputSchema": {"type": "object"}}],
        },
        "tools/call": {"content": [{"type": "text", "text": "found"}]},
    }
    if "id" not in message:
        return web.Response(status=202)
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    result = answers.get(message["method"])
    if result is None:
        error = {"code": -32601, "message": "Method not found"}
        return web.json_response({**reply, "error": error})
    return web.json_response({**reply, "result": result})

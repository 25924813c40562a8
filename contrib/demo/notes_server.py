"""A small MCP server over Streamable HTTP, built on the official SDK: the upstream of `make demo`.

Three tools of three tiers on an in-memory notebook. Every request needs the bearer token given in
NOTES_TOKEN, so that the demo shows a credential that the client never holds.
Usage: NOTES_TOKEN=... python contrib/demo/notes_server.py PORT
"""

import hmac
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def notebook() -> MCPServer[Any]:
    """The server with its tools."""
    server: MCPServer[Any] = MCPServer("notes", version="1.0.0", log_level="WARNING")
    notes = {"welcome": "Wicket decides every call before a byte goes upstream."}

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def search_notes(query: str) -> list[str]:
        """Names of the notes whose text or name contains the query."""
        return [name for name, text in notes.items() if query.lower() in f"{name} {text}".lower()]

    @server.tool(annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
    def create_note(name: str, text: str) -> str:
        """Stores a note under a name."""
        notes[name] = text
        return f"stored {name}"

    @server.tool(annotations=ToolAnnotations(destructive_hint=True, open_world_hint=False))
    def delete_note(name: str) -> str:
        """Removes a note for good."""
        notes.pop(name, None)
        return f"deleted {name}"

    return server


def guarded(app: App, token: str) -> App:
    """The app behind a bearer token."""
    expected = f"Bearer {token}".encode()

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(sent, expected):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"unauthorized"})

    return guard


def main() -> None:
    """Serves on the loopback port named on the command line until it is told to stop."""
    app = guarded(notebook().streamable_http_app(), os.environ["NOTES_TOKEN"])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()

"""An MCP server that answers at once, so that what is measured is the way to it.

Run as a process: `python -m benchmarks.upstream PORT`. Speaks the legacy era with a session over
bare asyncio: 20 tools, each of which answers 1 KB of JSON.
"""

import asyncio
import socket
import sys
from typing import Any, Final

import msgspec
import uvloop
from typing_extensions import override

TOOLS: Final = 20
ANSWER: Final = "x" * 960
_VERSION: Final = "2025-11-25"
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


def tool_name(number: int) -> str:
    """The tools take turns between reading and writing."""
    return f"{'read' if number % 2 else 'update'}_item_{number:02d}"


class _Message(msgspec.Struct):
    method: str
    id: int | None = None


def definition(number: int) -> dict[str, Any]:
    """One tool as the list holds it."""
    properties = {
        "name": {"type": "string"},
        "folder": {"type": "string"},
        "count": {"type": "integer"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "force": {"type": "boolean"},
    }
    return {
        "name": tool_name(number),
        "description": f"Tool number {number} of the benchmark.",
        "inputSchema": {"type": "object", "properties": properties, "required": ["name"]},
        "annotations": {"readOnlyHint": bool(number % 2), "destructiveHint": False},
    }


_INITIALIZED: Final = {
    "protocolVersion": _VERSION,
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bench", "version": "1"},
}
_RESULTS: Final = {
    "initialize": msgspec.json.encode(_INITIALIZED),
    "tools/list": msgspec.json.encode({"tools": [definition(n) for n in range(TOOLS)]}),
    "tools/call": msgspec.json.encode(
        {"content": [{"type": "text", "text": ANSWER}], "isError": False}
    ),
}
_DECODER: Final = msgspec.json.Decoder(_Message)


def _answer(body: bytes) -> bytes:
    message = _DECODER.decode(body)
    if message.id is None:
        return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
    result = _RESULTS.get(message.method)
    said = b'"error":{"code":-32601,"message":"Method not found"}'
    if result is not None:
        said = b'"result":' + result
    text = b'{"jsonrpc":"2.0","id":%d,%b}' % (message.id, said)
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: bench\r\n"
        b"content-length: %d\r\n\r\n"
    )
    return head % len(text) + text


class _Connection(asyncio.Protocol):
    """Reads requests with a Content-Length, one behind the other."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._held += data
        while self._transport is not None:
            end = self._held.find(_HEAD_END) + 4
            if end == 3:
                return
            head = self._held[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) : head.index(b"\r", at)]) if at >= 0 else 0
            if len(self._held) < end + length:
                return
            body, self._held = self._held[end : end + length], self._held[end + length :]
            self._transport.write(_answer(body))


async def _serve(port: int) -> None:
    # Without the protocol number asyncio leaves Nagle's algorithm on.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server = await asyncio.get_running_loop().create_server(_Connection, sock=listener)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))

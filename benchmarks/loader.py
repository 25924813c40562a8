"""Sends one call after the other on each of its connections and keeps every latency.

Run as a process of its own: a `Load` as JSON on stdin, a `Measured` on stdout. Every answer is
checked for its payload; a wrong one is counted, not timed. Counterpart of `upstream`.
"""

import asyncio
import sys
import time
from typing import Any, Final

import msgspec
import uvloop
from typing_extensions import override

from benchmarks.upstream import ANSWER, TOOLS, tool_name

ARGUMENTS: Final = {
    "name": "quarterly-report",
    "folder": "/shared/finance/2026/q4",
    "count": 12,
    "labels": ["finance", "internal", "draft"],
    "force": False,
}
_MARK: Final = ANSWER.encode()
_FIRST_ID: Final = 1_000_000
_MODERN: Final = "2026-07-28"


class Load(msgspec.Struct, kw_only=True):
    """What to send where. `heads`: header lines of each connection, without the common ones.

    A connection ends after `seconds` and no sooner than after `at_least` calls.
    """

    port: int
    seconds: float
    heads: list[list[str]]
    prefix: str = ""
    is_modern: bool = False
    at_least: int = 0


class Measured(msgspec.Struct, kw_only=True):
    """Latencies in ms, calls a second, and what was answered wrongly."""

    calls: int
    per_s: float
    p50_ms: float
    p99_ms: float
    wrong: int
    sample: str = ""
    """The first wrong answer."""
    cpu_us: float = 0.0
    """CPU time of the daemon for each call, filled in by who can see it."""


def body(request_id: int, name: str, *, is_modern: bool) -> bytes:
    """A `tools/call` as a client of the era writes it."""
    params: dict[str, Any] = {"name": name, "arguments": ARGUMENTS}
    if is_modern:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": _MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return msgspec.json.encode(message)


def request(load: Load, head: list[str], number: int) -> bytes:
    """The bytes of one request; every 20th of a connection calls the same tool."""
    name = load.prefix + tool_name(number % TOOLS)
    content = body(_FIRST_ID + number, name, is_modern=load.is_modern)
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{load.port}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {len(content)}",
        *head,
    ]
    if load.is_modern:
        lines += [f"MCP-Protocol-Version: {_MODERN}", "Mcp-Method: tools/call", f"Mcp-Name: {name}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class _Client(asyncio.Protocol):
    """One connection: the next request leaves when the last answer is whole."""

    def __init__(self, load: Load, head: list[str], until: float) -> None:
        self._load = load
        self._head = head
        self._until = until
        self._number = 0
        self._held = b""
        self._next = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies: list[float] = []
        self.wrong: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._prepare()
        self._send()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.wrong.append(b"the connection was closed")
            self.done.set_result(None)

    @override
    def data_received(self, data: bytes) -> None:
        held = self._held = self._held + data
        end = held.find(b"\r\n\r\n") + 4
        if end == 3:
            return
        head = held[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.index(b"\r", at)]) if at >= 0 else 0
        if len(held) < end + length:
            return
        now = time.perf_counter()
        if _MARK in held:
            self.latencies.append(now - self._sent_at)
        else:
            self.wrong.append(held)
        self._held = b""
        if now >= self._until and self._number > self._load.at_least:
            self.done.set_result(None)
            assert self._transport is not None
            self._transport.close()
            return
        self._send()

    def _prepare(self) -> None:
        self._next = request(self._load, self._head, self._number)
        self._number += 1

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._next)
        self._prepare()  # while the server works


async def measure(load: Load) -> Measured:
    """Runs the load to its end."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [_Client(load, head, began + load.seconds) for head in load.heads]
    for client in clients:
        await loop.create_connection(lambda one=client: one, "127.0.0.1", load.port)  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - began
    latencies = sorted(one for client in clients for one in client.latencies) or [0.0]
    wrong = [one for client in clients for one in client.wrong]
    return Measured(
        calls=len(latencies),
        per_s=len(latencies) / took,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
        wrong=len(wrong),
        sample=wrong[0][:500].decode("latin-1") if wrong else "",
    )


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(asked))))

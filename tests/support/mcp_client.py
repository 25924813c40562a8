"""A bare MCP client over a plain socket: what goes out is what a test wrote, byte for byte."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from wicketd.domain.calls import Era

LEGACY_VERSION: Final = "2025-11-25"
MODERN_VERSION: Final = "2026-07-28"
_META: Final = "io.modelcontextprotocol/"
_ACCEPT: Final = "application/json, text/event-stream"

Headers = Mapping[str, str | None]
"""Header name to value; None takes a usual header away."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, or the last event of a stream."""
        if self.headers.get("content-type") != "text/event-stream":
            return msgspec.json.decode(self.body)
        data = [line[6:] for line in self.body.splitlines() if line.startswith(b"data: {")]
        return msgspec.json.decode(data[-1])

    @property
    def error(self) -> Any:
        """The JSON-RPC error."""
        return self.json["error"]

    @property
    def result(self) -> Any:
        """The JSON-RPC result; fails with the error where there is none."""
        assert "result" in self.json, self.json
        return self.json["result"]

    @property
    def ref(self) -> str:
        """The call reference of a refusal."""
        return str(self.error["data"]["wicket"]["ref"])


def request(
    body: bytes,
    headers: list[tuple[str, str]],
    *,
    method: str = "POST",
    path: str = "/mcp",
    host: str = "127.0.0.1",
) -> bytes:
    """One HTTP/1.1 request that closes its connection; header values are UTF-8."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(
    port: int, payload: bytes, *, source: str = "127.0.0.1", within_s: float = 20.0
) -> Answer:
    """Sends bytes from the loopback address `source` and reads one answer to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(within_s):
            writer.write(payload)
            return await read_answer(reader)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The one answer of a connection that the server closes."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        return Answer(int(first.split()[1]), headers, await _chunks(reader))
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body


@dataclass
class McpClient:
    """One member's client in one era. `session`: of an opened legacy client."""

    port: int
    key: str
    era: Era
    source: str = "127.0.0.1"
    session: str | None = None
    conversation: str | None = None
    """The tool session it claims to be in."""
    _last_id: int = field(default=0)

    async def open(self) -> "McpClient":
        """Shakes hands where the era wants it."""
        if self.era is Era.LEGACY:
            answer = await self.ask(
                "initialize",
                {
                    "protocolVersion": LEGACY_VERSION,
                    "capabilities": {},
                    "clientInfo": {"name": "bare", "version": "1"},
                },
            )
            self.session = answer.headers["mcp-session-id"]
        return self

    async def ask(
        self, method: str, params: dict[str, Any] | None = None, *, headers: Headers | None = None
    ) -> Answer:
        """One request. `headers`: replace or take away what the client would send."""
        text = msgspec.json.encode({**(params or {}), **self._meta()})
        name = str((params or {}).get("name", "")) or None
        return await self.post(self.message(method, text), method, name, headers=headers)

    async def call(
        self,
        name: str,
        arguments: dict[str, Any] | bytes | None = None,
        *,
        headers: Headers | None = None,
    ) -> Answer:
        """`tools/call`; `arguments` as bytes are sent as they are."""
        text = arguments if isinstance(arguments, bytes) else msgspec.json.encode(arguments or {})
        params = {"name": name, "arguments": msgspec.Raw(text), **self._meta()}
        body = self.message("tools/call", msgspec.json.encode(params))
        return await self.post(body, "tools/call", name, headers=headers)

    def message(self, method: str, params: bytes) -> bytes:
        """A request under the next id."""
        self._last_id += 1
        head = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        return msgspec.json.encode({**head, "params": msgspec.Raw(params)})

    async def post(
        self, body: bytes, method: str, name: str | None = None, *, headers: Headers | None = None
    ) -> Answer:
        """Sends a body under the headers of `method`."""
        payload = request(body, self.headers(method, name, headers))
        return await exchange(self.port, payload, source=self.source)

    def headers(
        self, method: str, name: str | None = None, changes: Headers | None = None
    ) -> list[tuple[str, str]]:
        """The headers of a well-behaved client, with changes."""
        usual: dict[str, str | None] = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Accept": _ACCEPT,
            "X-Claude-Code-Session-Id": self.conversation,
        }
        if self.era is Era.MODERN:
            usual |= {
                "MCP-Protocol-Version": MODERN_VERSION,
                "Mcp-Method": method,
                "Mcp-Name": name,
            }
        else:
            usual["Mcp-Session-Id"] = self.session
        usual |= changes or {}
        return [(key, value) for key, value in usual.items() if value is not None]

    def _meta(self) -> dict[str, Any]:
        if self.era is Era.LEGACY:
            return {}
        return {
            "_meta": {
                f"{_META}protocolVersion": MODERN_VERSION,
                f"{_META}clientCapabilities": {},
            }
        }

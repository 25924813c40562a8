"""A hostile MCP server over bare sockets: each of its tools is a mischief, played by seed.

`python -m tests.support.chaos SEED [PORT]`: as a process of its own, which can be killed.

Handshakes and lists are good, so that a mischief meets a call that was decided and stored; chance
is of the seed and the tool's name alone. Counterpart of `mischiefs`.
"""

import asyncio
import random
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tests.support.mischiefs import JSON, MISCHIEFS, Scene

TOOLS: Final = ("echo", *MISCHIEFS)


@dataclass
class Chaos:
    """The running server. `/legacy` and `/modern` speak their era; `/future` none of ours."""

    seed: int
    port: int = 0
    resumes: list[str] = field(default_factory=list)
    """Event ids that clients came back with."""
    session: str = field(default_factory=lambda: secrets.token_hex(8))
    """Of all legacy clients, for as long as this server runs."""
    playing: Counter[str] = field(default_factory=Counter)
    """Mischiefs under way, by name."""

    def url(self, era: str) -> str:
        """Where the server of an era listens."""
        return f"http://127.0.0.1:{self.port}/{era}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, until a mischief ends it."""
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can go on."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): text for name, _, text in (one.partition(": ") for one in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = msgspec.json.decode(body) if body else {}
        if method == "GET":
            name = headers.get("last-event-id", "")
            self.resumes.append(name)
            asked = {"id": 0, "method": "tools/call", "params": {"name": name}}
        name = asked.get("params", {}).get("name", "")
        scene = Scene(asked, reader, writer, self._chance(name), resumed=method == "GET")
        if asked.get("method") == "tools/call" and name in MISCHIEFS:
            self.playing[name] += 1
            try:
                await MISCHIEFS[name](scene)
            finally:
                self.playing[name] -= 1
            return False
        era = path.strip("/")
        known = headers.get("mcp-session-id", self.session) == self.session
        if era == "legacy" and not known:
            await scene.document(b"{}", status=404)
            return False
        await _behave(scene, era, self.session)
        return True

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")  # noqa: S311  # chance, not secrecy


async def _behave(scene: Scene, era: str, session: str) -> None:
    """The answer of a good server."""
    if not {"id", "method"} <= scene.asked.keys():
        await scene.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        return
    match scene.asked["method"]:
        case "server/discover" if era == "modern":
            said: Any = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        case "server/discover" if era == "future":
            error = {"code": -32022, "message": "no", "data": {"supported": ["2099-01-01"]}}
            await _say(scene, error=error)
            return
        case "initialize" if era != "modern":
            version = "2099-01-01" if era == "future" else "2025-11-25"
            info = {"name": "chaos", "version": "1"}
            said = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            schema = {"type": "object"}
            said = {"tools": [{"name": name, "inputSchema": schema} for name in TOOLS]}
        case "tools/call":
            text = msgspec.json.encode(scene.asked["params"].get("arguments")).decode()
            said = {"content": [{"type": "text", "text": text}]}
        case _:
            await _say(scene, error={"code": -32601, "message": "Method not found"})
            return
    opened = {"Mcp-Session-Id": session} if scene.asked["method"] == "initialize" else {}
    await _say(scene, opened, result={**said, "resultType": "complete"})


async def _say(scene: Scene, headers: dict[str, str] | None = None, **said: Any) -> None:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": scene.id, **said})
    named = {"Content-Type": JSON, "Content-Length": str(len(body)), **(headers or {})}
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    await scene.write("\r\n".join(lines).encode() + body)


@asynccontextmanager
async def serve_chaos(seed: int, port: int = 0) -> AsyncIterator[Chaos]:
    """Serves until the block ends; a talk ends with its client. Port 0: a free one."""
    chaos = Chaos(seed)
    server = await asyncio.start_server(chaos.handle, "127.0.0.1", port)
    chaos.port = server.sockets[0].getsockname()[1]
    try:
        yield chaos
    finally:
        server.close()


async def main(seed: int, port: int = 0) -> None:
    """Serves until the process is killed; prints the port."""
    async with serve_chaos(seed, port) as chaos:
        print(chaos.port, flush=True)  # for the process that started this one
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))

"""The least that a Python proxy can do: uvicorn in front, aiohttp behind, nothing in between.

Run as a process: `python -m benchmarks.passthrough PORT UPSTREAM_PORT`. What wicketd costs beyond
it is authentication, decision, audit and the protocol's rules.
"""

import sys
from typing import Any, Final

import aiohttp
import uvicorn

_DROPPED: Final = frozenset({b"host", b"content-length"})


class App:
    """Sends every body on and its answer back."""

    def __init__(self, upstream_port: int) -> None:
        self._url = f"http://127.0.0.1:{upstream_port}/mcp"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        message = await receive()
        body = message["body"]
        while message.get("more_body", False):
            message = await receive()
            body += message["body"]
        headers = {
            name.decode(): value.decode()
            for name, value in scope["headers"]
            if name not in _DROPPED
        }
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            content = await answer.read()
            status = answer.status
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(
        App(int(sys.argv[2])),
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
    )

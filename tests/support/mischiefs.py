"""What a hostile MCP server does with a call: one function each, over bare sockets, by chance.

Counterpart of `chaos`, which serves them as tools. Where an answer is cut, how it is split and what
it is filled with comes from the scene's generator alone: a failure seen once is seen again.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec

CAP_BYTES: Final = 64 * 1024
"""The `max_result_bytes` that the mischiefs overstep."""
EVENTS: Final = "text/event-stream"
JSON: Final = "application/json"
FOREVER: Final = 10**10
METADATA: Final = "http://169.254.169.254/latest/meta-data/"
_LINGER_OFF: Final = struct.pack("ii", 1, 0)


@dataclass
class Scene:
    """One call as the server has it: what was asked, where the answer goes, and chance."""

    asked: dict[str, Any]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chance: random.Random
    resumed: bool = False
    """It is a GET that asks for the rest of a stream."""

    @property
    def id(self) -> int:
        """The request's id."""
        request_id: int = self.asked["id"]
        return request_id

    def result(self, text: str = "ok", request_id: Any = None) -> bytes:
        """An answer that would be good, under our id or another."""
        content = {"content": [{"type": "text", "text": text}], "resultType": "complete"}
        named = self.id if request_id is None else request_id
        return msgspec.json.encode({"jsonrpc": "2.0", "id": named, "result": content})

    async def head(
        self, kind: str = JSON, length: int | None = None, status: int = 200, **more: str
    ) -> None:
        """The head of an answer; without a length it ends with its connection."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        if length is not None:
            named["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {status} Chaos", f"Content-Type: {kind}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in named.items()]
        await self.write("\r\n".join([*lines, "", ""]).encode())

    async def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def document(self, body: bytes, kind: str = JSON, **more: Any) -> None:
        """A whole answer."""
        await self.head(kind, len(body), **more)
        await self.write(body)

    async def event(self, data: bytes, event_id: str = "") -> None:
        """One event of a stream."""
        named = f"id: {event_id}\n".encode() if event_id else b""
        await self.write(b"event: message\n" + named + b"data: " + data + b"\n\n")

    async def repeat(self, data: bytes) -> None:
        """A stream of the same bytes now and then, without end."""
        await self.head(EVENTS)
        while True:
            await self.write(data)
            await asyncio.sleep(self.chance.uniform(0.01, 0.05))

    async def hang(self) -> None:
        """Says nothing more until the client has gone."""
        await self.reader.read()

    def reset(self) -> None:
        """Ends the connection by RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        self.writer.transport.abort()

    def part(self, body: bytes) -> bytes:
        """The beginning of a body: at least a byte, never all of it."""
        return body[: self.chance.randrange(1, len(body))]

    def filler(self, size: int) -> str:
        """At least `size` letters."""
        return "".join(self.chance.choices("abcdefgh", k=64)) * (size // 64 + 1)


_SMALL: Final = b"[]," * (5 * 2**20)
Play = Callable[[Scene], Awaitable[None]]
MISCHIEFS: Final[dict[str, Play]] = {}


def mischief(play: Play) -> Play:
    """Makes a tool of a function."""
    MISCHIEFS[getattr(play, "__name__", "")] = play
    return play


# what never comes to an end


@mischief
async def hangs_before_its_head(scene: Scene) -> None:
    """Takes the request and is silent."""
    await scene.hang()


@mischief
async def hangs_after_its_head(scene: Scene) -> None:
    """A head, and no body."""
    await scene.head(scene.chance.choice([JSON, EVENTS]))
    await scene.hang()


@mischief
async def hangs_within_an_event(scene: Scene) -> None:
    """A part of the answer's event."""
    await scene.head(EVENTS)
    await scene.write(b"data: " + scene.part(scene.result()))
    await scene.hang()


@mischief
async def drips(scene: Scene) -> None:
    """One byte now and then: it is alive, but it will not be done today."""
    await scene.repeat(b":")


@mischief
async def comments_without_end(scene: Scene) -> None:
    """A stream that is kept alive and never says anything."""
    await scene.repeat(b": still here\n\n")


@mischief
async def logs_without_end(scene: Scene) -> None:
    """A stream of log messages, which are no sign of life either."""
    await scene.head(EVENTS)
    while True:
        params = {"level": "info", "data": scene.filler(64)}
        await scene.event(_message("notifications/message", params))
        await asyncio.sleep(scene.chance.uniform(0.005, 0.02))


@mischief
async def reports_in_a_flood(scene: Scene) -> None:
    """Far more progress than anybody can read, then silence."""
    token = scene.asked["params"]["_meta"]["progressToken"]
    await scene.head(EVENTS)
    for step in range(scene.chance.randrange(1000, 2000)):
        params = {"progressToken": token, "progress": step, "message": scene.filler(64)}
        await scene.event(_message("notifications/progress", params))
    await scene.hang()


@mischief
async def asks_without_end(scene: Scene) -> None:
    """Questions to the client, none of which was declared."""
    await scene.head(EVENTS)
    methods = ["sampling/createMessage", "roots/list", "elicitation/create", "no/such"]
    for number in count():
        await scene.event(_message(scene.chance.choice(methods), {}, id=f"q{number}"))
        await asyncio.sleep(scene.chance.uniform(0, 0.01))


@mischief
async def floods(scene: Scene) -> None:
    """A stream of comments as fast as it can: no event is too large, all of them are."""
    await scene.head(EVENTS)
    block = b": " + scene.filler(CAP_BYTES // 2).encode() + b"\n\n"
    while True:
        await scene.write(block)


# what breaks off


@mischief
async def resets_before_its_head(scene: Scene) -> None:
    """RST instead of an answer."""
    scene.reset()


@mischief
async def resets_within_its_body(scene: Scene) -> None:
    """RST in the middle of the answer."""
    body = scene.result()
    await scene.head(length=len(body))
    await scene.write(scene.part(body))
    scene.reset()


@mischief
async def truncates_its_body(scene: Scene) -> None:
    """Promises more than it sends."""
    body = scene.result()
    await scene.head(length=len(body) + scene.chance.randrange(1, 100))
    await scene.write(body)


@mischief
async def truncates_its_head(scene: Scene) -> None:
    """Ends within the head."""
    await scene.write(b"HTTP/1.1 200 Chaos\r\nContent-Ty")


@mischief
async def ends_its_stream_early(scene: Scene) -> None:
    """A stream without the answer, and without an id to go on from."""
    await scene.head(EVENTS)
    await scene.write(b"data: " + scene.part(scene.result()))


@mischief
async def answers_401_within_a_stream(scene: Scene) -> None:
    """A stream breaks off; who comes back for the rest is told to sign in."""
    await _breaks_off(scene, 401, WWW_Authenticate='Bearer error="invalid_token"')


@mischief
async def answers_403_within_a_stream(scene: Scene) -> None:
    """Likewise, but it is forbidden by then."""
    await _breaks_off(scene, 403)


async def _breaks_off(scene: Scene, status: int, **headers: str) -> None:
    if scene.resumed:
        await scene.document(b'{"error": "no"}', status=status, **headers)
        return
    await scene.head(EVENTS)
    await scene.write(b"retry: 1\n")
    await scene.event(b"", event_id=scene.asked["params"]["name"])


# what is said wrongly


@mischief
async def answers_another_id(scene: Scene) -> None:
    """An answer to somebody else."""
    other = scene.chance.choice([scene.id + 1, str(scene.id), f"{scene.id}.0", -scene.id])
    await scene.document(scene.result(request_id=other))


@mischief
async def answers_another_id_on_a_stream(scene: Scene) -> None:
    """Likewise, as an event."""
    await scene.head(EVENTS)
    await scene.event(scene.result(request_id=scene.id + scene.chance.randrange(1, 1000)))


@mischief
async def answers_twice(scene: Scene) -> None:
    """Two answers to one request."""
    await scene.head(EVENTS)
    first, second = scene.result("one"), scene.result("two")
    await scene.write(b"data: " + first + b"\n\ndata: " + second + b"\n\n")


@mischief
async def answers_without_id(scene: Scene) -> None:
    """A result that belongs to nobody."""
    await scene.document(b'{"jsonrpc":"2.0","result":{"content":[]}}')


@mischief
async def answers_in_an_array(scene: Scene) -> None:
    """A batch, which its revision does not have."""
    await scene.document(b"[" + scene.result() + b"]")


@mischief
async def answers_in_bad_utf8(scene: Scene) -> None:
    """Bytes that are no text."""
    await scene.document(scene.result("bad-here").replace(b"bad-here", b"\xff\xfe\x80"))


@mischief
async def answers_in_html(scene: Scene) -> None:
    """A page for people."""
    await scene.document(b"<html>Sign in</html>", "text/html")


@mischief
async def zips_its_answer(scene: Scene) -> None:
    """An encoding that nobody asked for; its content is a small part of what it unfolds to."""
    await scene.document(b"\x1f\x8b\x08\x00\x00", Content_Encoding="gzip")


@mischief
async def redirects(scene: Scene) -> None:
    """Sends the client to the metadata service of a cloud."""
    status = scene.chance.choice([301, 302, 303, 307, 308])
    await scene.document(b"", status=status, Location=METADATA)


# what is too much


@mischief
async def sends_a_large_body(scene: Scene) -> None:
    """One byte or many beyond the cap of a result."""
    await scene.document(scene.result(scene.filler(CAP_BYTES)))


@mischief
async def promises_ten_gigabytes(scene: Scene) -> None:
    """A length that nobody can hold."""
    await scene.head(length=FOREVER)
    await scene.write(scene.part(scene.result()))
    await scene.hang()


@mischief
async def sends_a_body_without_end(scene: Scene) -> None:
    """No length, and no last byte."""
    await scene.head()
    while True:
        await scene.write(scene.filler(4096).encode())


@mischief
async def sends_a_large_event(scene: Scene) -> None:
    """The answer is one event beyond the cap."""
    await scene.head(EVENTS)
    await scene.event(scene.result(scene.filler(CAP_BYTES)))


@mischief
async def sends_a_large_head(scene: Scene) -> None:
    """Headers beyond 32 KiB, no single one of which is."""
    await scene.document(
        scene.result(), **{f"X_Filler_{n}": scene.filler(4000)[:4000] for n in range(9)}
    )


@mischief
async def sends_many_small_values(scene: Scene) -> None:
    """Within the cap as bytes, a hundred times it as values."""
    await scene.document(b'{"jsonrpc":"2.0","id":%d,"result":{"x":[%b0]}}' % (scene.id, _SMALL))


@mischief
async def sends_many_small_lines(scene: Scene) -> None:
    """Line ends, empty comments and fields, as fast as it can."""
    await scene.head(EVENTS)
    lines = scene.chance.choices([b"\n", b":\n", b"x\n", b"id\n", b"\r\n"], k=30_000)
    while True:
        await scene.write(b"".join(lines))


@mischief
async def nests_without_end(scene: Scene) -> None:
    """A result that is deeper than any stack."""
    deep = b"[" * 20_000 + b"]" * 20_000
    await scene.document(b'{"jsonrpc":"2.0","id":%d,"result":{"x":%b}}' % (scene.id, deep))


def _message(method: str, params: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params, **more})

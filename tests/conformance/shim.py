"""Stands between the conformance suite and the daemon: adds the bearer key and the service prefix.

The suite has no option for headers and calls tools, prompts and resources by fixed bare names. The
shim passes Host and Origin through, streams unbuffered, and works on parsed JSON only.
"""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web

SERVICE: Final = "c"
_NAME: Final = f"{SERVICE}__"
_URI: Final = f"{SERVICE}+"
_NAMED: Final = frozenset({"tools/call", "prompts/get"})
_HOP: Final = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
_SENTINEL: Final = ("=?base64?", "?=")


@asynccontextmanager
async def shim(upstream: str, key: str) -> AsyncIterator[str]:
    """Serves the shim in front of `upstream` and gives its URL."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as client:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _forward(client, upstream, key, request)

        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/mcp", handle)
        # a client that hangs up must be heard of upstream: closing the stream cancels the call
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        finally:
            await runner.cleanup()


async def _forward(
    client: aiohttp.ClientSession, upstream: str, key: str, request: web.Request
) -> web.StreamResponse:
    body, name = _prefixed(await request.read())
    headers = [(one, value) for one, value in request.headers.items() if one.lower() not in _HOP]
    if "Authorization" not in request.headers:
        headers.append(("Authorization", f"Bearer {key}"))
    if name is not None:
        headers = [(one, _mirrored(one, value, name)) for one, value in headers]
    async with client.request(
        request.method, upstream, data=body or None, headers=headers, allow_redirects=False
    ) as answer:
        kept = [(one, value) for one, value in answer.headers.items() if one.lower() not in _HOP]
        response = web.StreamResponse(status=answer.status, headers=dict(kept))
        if answer.content_type != "text/event-stream":
            whole = await answer.read()
            response.content_length = len(stripped := _stripped(whole))
            await response.prepare(request)
            await response.write(stripped)
            return response
        await response.prepare(request)
        async for line in answer.content:
            data = line.removeprefix(b"data: ")
            is_message = data is not line and data.startswith(b"{")
            await response.write(b"data: " + _stripped(data) + b"\n" if is_message else line)
        return response


def _prefixed(body: bytes) -> tuple[bytes, str | None]:
    """The request for the daemon, and the prefix that its `Mcp-Name` needs, if any."""
    try:
        message = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body, None
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(params, dict):
        return body, None
    method = message.get("method")
    if method in _NAMED:
        _add(params, "name", _NAME)
    _add(params, "uri", _URI)
    ref = params.get("ref")
    if isinstance(ref, dict):
        _add(ref, "name", _NAME)
        _add(ref, "uri", _URI)
    notifications = params.get("notifications")
    if isinstance(notifications, dict) and isinstance(
        uris := notifications.get("resourceSubscriptions"), list
    ):
        notifications["resourceSubscriptions"] = [f"{_URI}{uri}" for uri in uris]
    prefix = _NAME if method in _NAMED else _URI if method == "resources/read" else None
    return msgspec.json.encode(message), prefix


def _add(holder: dict[str, Any], field: str, prefix: str) -> None:
    if isinstance(holder.get(field), str):
        holder[field] = prefix + holder[field]


def _mirrored(header: str, value: str, prefix: str) -> str:
    """`Mcp-Name` with the prefix; a sentinel is decoded and coded again."""
    if header.lower() != "mcp-name":
        return value
    head, tail = _SENTINEL
    if not (value.startswith(head) and value.endswith(tail)):
        return prefix + value
    try:
        name = base64.b64decode(value[len(head) : -len(tail)], validate=True)
    except binascii.Error:
        return value
    return head + base64.b64encode(prefix.encode() + name).decode() + tail


def _stripped(body: bytes) -> bytes:
    """The reply for the suite: names and URIs without the prefix."""
    try:
        message = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if not isinstance(message, dict):
        return body
    result = message.get("result")
    if isinstance(result, dict):
        for kind in ("tools", "prompts", "resources", "resourceTemplates", "contents"):
            for item in result.get(kind) or ():
                _remove(item)
        for block in result.get("content") or ():
            _remove_block(block)
        for said in result.get("messages") or ():
            _remove_block(said.get("content"))
    for place in (message.get("params"), (message.get("error") or {}).get("data")):
        if isinstance(place, dict) and isinstance(place.get("uri"), str):
            place["uri"] = place["uri"].removeprefix(_URI)
    return msgspec.json.encode(message)


def _remove_block(block: Any) -> None:
    if isinstance(block, dict):
        if block.get("type") == "resource_link":
            _remove(block)
        if isinstance(block.get("resource"), dict):
            _remove(block["resource"])


def _remove(item: Any) -> None:
    for field, prefix in (("name", _NAME), ("uri", _URI), ("uriTemplate", _URI)):
        if isinstance(item, dict) and isinstance(item.get(field), str):
            item[field] = item[field].removeprefix(prefix)

"""The suite's counterpart: an MCP server with every tool, prompt and resource that it asks for.

    python -m tests.conformance.fixture [--port N] [--eras both|legacy|modern]

Counterpart of `fixture_tools`, which does the work; on the official SDK's low-level server. Prints
its URL once it listens.
"""

import argparse
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp_types import (
    CallToolResult,
    CompleteResult,
    EmptyResult,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    ReadResourceResult,
    SetLevelRequestParams,
)
from typing_extensions import override

from tests.conformance import fixture_tools as tools

_OBJECT: Final[dict[str, Any]] = {"type": "object", "properties": {}}
_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "test_sampling": {
        "type": "object",
        "properties": {"prompt": {"type": "string"}},
        "required": ["prompt"],
    },
    "test_elicitation": {
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
    },
    "test_x_mcp_header": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}
_EXTRA: Final = "test_extra_entry"
"""What the two triggers add and take away."""
_PROMPTS: Final[dict[str, tuple[str, ...]]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
_RESOURCES: Final[dict[str, dict[str, str]]] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": tools.PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content."},
}
_TEMPLATE: Final = ("test://template/", "/data")


class Events(EventStore):
    """Keeps what streams have carried, so that they can be resumed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    @override
    async def store_event(self, stream_id: str, message: Any) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    @override
    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        at = int(last_event_id)
        stream_id = self._events[at][0]
        for number, (stream, message) in enumerate(self._events):
            if stream == stream_id and number > at and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


class Fixture:
    """The handlers of the server, over two lists that change."""

    def __init__(self) -> None:
        self.extras: set[str] = set()
        self.bus = InMemorySubscriptionBus()

    def schema_of(self, name: str) -> dict[str, Any] | None:
        """The inputSchema of a tool; None for an unknown one."""
        return _SCHEMAS.get(name, _OBJECT) if name in tools.TOOLS else None

    async def list_tools(self, _: Any, __: Any) -> ListToolsResult:
        """Every tool, with the extra one now and then."""
        names = [*tools.TOOLS, *([_EXTRA] if "tools" in self.extras else [])]
        listed = [
            {
                "name": name,
                "description": f"{(tools.TOOLS.get(name) or tools.simple_text).__doc__}",
                "inputSchema": _SCHEMAS.get(name, _OBJECT),
            }
            for name in names
        ]
        return ListToolsResult.model_validate({"tools": listed})

    async def call_tool(self, context: Any, params: Any) -> CallToolResult | InputRequiredResult:
        """Runs a tool."""
        tool = tools.TOOLS.get(params.name)
        if tool is None:
            raise MCPError(-32602, f"Unknown tool: {params.name}")

        async def toggle(what: str) -> None:
            await self._toggle(context, what)

        answers = params.input_responses
        visit = tools.Visit(context, params.arguments or {}, answers, params.request_state, toggle)
        return await tool(visit)

    async def _toggle(self, context: Any, what: str) -> None:
        if what in _RESOURCES:
            await self.bus.publish(ResourceUpdated(uri=what))
            if context.protocol_version < "2026":
                await context.session.send_resource_updated(what)
            return
        self.extras ^= {what}
        if what == "tools":
            await self.bus.publish(ToolsListChanged())
            tell = context.session.send_tool_list_changed
        else:
            await self.bus.publish(PromptsListChanged())
            tell = context.session.send_prompt_list_changed
        if context.protocol_version < "2026":
            await tell()

    async def list_prompts(self, _: Any, __: Any) -> ListPromptsResult:
        """Every prompt, with the extra one now and then."""
        extra: dict[str, tuple[str, ...]] = {_EXTRA: ()} if "prompts" in self.extras else {}
        listed = [
            {
                "name": name,
                "description": f"The prompt {name}.",
                "arguments": [{"name": one, "required": True} for one in arguments],
            }
            for name, arguments in (_PROMPTS | extra).items()
        ]
        return ListPromptsResult.model_validate({"prompts": listed})

    async def get_prompt(self, _: Any, params: Any) -> GetPromptResult | InputRequiredResult:
        """Fills a prompt in."""
        given = params.arguments or {}
        blocks: list[dict[str, Any]]
        match params.name:
            case "test_prompt_with_arguments":
                said = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
                blocks = [_words(said)]
            case "test_prompt_with_embedded_resource":
                uri = given["resourceUri"]
                body = {"uri": uri, "mimeType": "text/plain", "text": "Embedded resource content."}
                blocks = [
                    {"type": "resource", "resource": body},
                    _words("Please process the embedded resource above."),
                ]
            case "test_prompt_with_image":
                picture = {"type": "image", "data": tools.PNG, "mimeType": "image/png"}
                blocks = [picture, _words("Please analyze the image above.")]
            case "test_input_required_result_prompt" if not params.input_responses:
                return tools.input_required({"user_context": tools.form("Why?", context="string")})
            case name if name in _PROMPTS:
                blocks = [_words("This is a simple prompt for testing.")]
            case _:
                raise MCPError(-32602, f"Unknown prompt: {params.name}")
        messages = [{"role": "user", "content": block} for block in blocks]
        return GetPromptResult.model_validate({"messages": messages})

    async def list_resources(self, _: Any, __: Any) -> ListResourcesResult:
        """Every resource."""
        listed = [
            {
                "uri": uri,
                "name": uri.removeprefix("test://"),
                "description": f"The resource {uri}.",
                "mimeType": body["mimeType"],
            }
            for uri, body in _RESOURCES.items()
        ]
        return ListResourcesResult.model_validate({"resources": listed})

    async def list_templates(self, _: Any, __: Any) -> ListResourceTemplatesResult:
        """The one template."""
        one = {
            "uriTemplate": "{id}".join(_TEMPLATE),
            "name": "template",
            "description": "A resource by its number.",
            "mimeType": "application/json",
        }
        return ListResourceTemplatesResult.model_validate({"resourceTemplates": [one]})

    async def read_resource(self, _: Any, params: Any) -> ReadResourceResult:
        """Reads a resource, or what the template names."""
        head, tail = _TEMPLATE
        body = _RESOURCES.get(params.uri)
        if body is None and params.uri.startswith(head) and params.uri.endswith(tail):
            number = params.uri.removeprefix(head).removesuffix(tail)
            said = f'{{"id":"{number}","templateTest":true,"data":"Data for ID: {number}"}}'
            body = {"mimeType": "application/json", "text": said}
        if body is None:
            raise MCPError(-32602, "Resource not found", {"uri": params.uri})
        return ReadResourceResult.model_validate({"contents": [{"uri": params.uri, **body}]})

    async def complete(self, _: Any, params: Any) -> CompleteResult:
        """Completes the first argument of the prompt with arguments."""
        known = ("testValue1", "testValue2", "paris", "park")
        values = [value for value in known if value.startswith(params.argument.value)]
        completion = {"values": values, "total": len(values), "hasMore": False}
        return CompleteResult.model_validate({"completion": completion})

    async def nothing(self, _: Any, __: Any) -> EmptyResult:
        """Takes note."""
        return EmptyResult()


def _words(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def server() -> Server[Any]:
    """The fixture as an SDK server."""
    fixture = Fixture()
    made: Server[Any] = Server(
        "fixture",
        version="1",
        get_tool_input_schema=fixture.schema_of,
        on_list_tools=fixture.list_tools,
        on_call_tool=fixture.call_tool,
        on_list_prompts=fixture.list_prompts,
        on_get_prompt=fixture.get_prompt,
        on_list_resources=fixture.list_resources,
        on_list_resource_templates=fixture.list_templates,
        on_read_resource=fixture.read_resource,
        on_subscribe_resource=fixture.nothing,
        on_unsubscribe_resource=fixture.nothing,
        on_subscriptions_listen=ListenHandler(fixture.bus),
        on_completion=fixture.complete,
    )
    made.add_request_handler("logging/setLevel", SetLevelRequestParams, fixture.nothing)
    return made


def app(eras: str = "both") -> Callable[..., Any]:
    """The fixture as an ASGI application. `eras`: both, legacy or modern."""
    whole = server().streamable_http_app(event_store=Events(), retry_interval=500)

    async def one_era(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await whole(scope, receive, send)
            return
        versions = [value for name, value in scope["headers"] if name == b"mcp-protocol-version"]
        is_modern = versions == [b"2026-07-28"]
        if is_modern is (eras == "modern"):
            await whole(scope, receive, send)
            return
        await _refuse(receive, send, is_modern=is_modern)

    return whole if eras == "both" else one_era


_FOREIGN: Final = b"Bad Request: Unsupported protocol version"


async def _refuse(receive: Any, send: Any, *, is_modern: bool) -> None:
    """What servers of one era say to the other one's requests."""
    while (await receive()).get("more_body"):
        pass
    code, data = (
        (b"-32000", b"")
        if is_modern
        else (
            b"-32022",
            b',"data":{"supported":["2026-07-28"],"requested":"2025-11-25"}',
        )
    )
    body = (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":' + code
        + b',"message":"' + _FOREIGN + b'"' + data + b"}}"
    )  # fmt: skip
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Announced(uvicorn.Server):
    """Prints its URL once it listens."""

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"http://127.0.0.1:{self.config.port}/mcp", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8730)
    parser.add_argument("--eras", choices=("both", "legacy", "modern"), default="both")
    given = parser.parse_args()
    config = uvicorn.Config(
        app(given.eras), host="127.0.0.1", port=given.port, log_level="error", ws="none"
    )
    _Announced(config).run()

"""What the fixture server's tools and prompts do, one function each, as the suite describes them.

Counterpart of `fixture`, which lists and serves them. A tool gets a `Visit` and gives the result of
its call; `input_required` makes the answer of a multi-round-trip call.
"""

import asyncio
import base64
import hashlib
import hmac
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    CallToolResult,
    ClientCapabilities,
    ElicitationCapability,
    InputRequiredResult,
    SamplingCapability,
    SamplingMessage,
    TextContent,
)

Result: TypeAlias = CallToolResult | InputRequiredResult

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dw"
    "HwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
WAV: Final = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
_STATE_KEY: Final = b"the fixture's own"
_STEP_S: Final = 0.05


@dataclass(frozen=True)
class Visit:
    """One call: the SDK's context, the arguments, and what a retry brought."""

    context: ServerRequestContext[Any, Any]
    arguments: dict[str, Any]
    answers: dict[str, Any] | None
    state: str | None
    toggle: Callable[[str], Awaitable[None]]
    """Adds the extra entry of `tools` or `prompts`, or takes it away; a URI: tells of it."""

    @property
    def is_modern(self) -> bool:
        """Whether questions are answers, and not requests of the server."""
        return self.context.protocol_version >= "2026"

    @property
    def capabilities(self) -> ClientCapabilities:
        """What the client declared."""
        return self.context.session.client_capabilities or ClientCapabilities()


Tool: TypeAlias = Callable[[Visit], Awaitable[Result]]


def text(words: str, *, is_error: bool = False) -> CallToolResult:
    """A result of one text."""
    return CallToolResult(content=[TextContent(type="text", text=words)], is_error=is_error)


def content(*blocks: dict[str, Any]) -> CallToolResult:
    """A result of the given blocks."""
    return CallToolResult.model_validate({"content": list(blocks)})


def input_required(requests: dict[str, Any], state: str | None = None) -> InputRequiredResult:
    """The client has to answer `requests`, a wire object, before the call can end."""
    body = {"resultType": "input_required", "inputRequests": requests}
    with_state = {} if state is None else {"requestState": state}
    return InputRequiredResult.model_validate(body | with_state)


def form(message: str, **properties: str) -> dict[str, Any]:
    """An elicitation of required fields; name to JSON type."""
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    params = {"message": message, "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


def question(words: str, max_tokens: int) -> dict[str, Any]:
    """A sampling request."""
    message = {"role": "user", "content": {"type": "text", "text": words}}
    params = {"messages": [message], "maxTokens": max_tokens}
    return {"method": "sampling/createMessage", "params": params}


ROOTS: Final = {"method": "roots/list", "params": {}}


def sealed(words: str) -> str:
    """A state that the client cannot change."""
    mac = hmac.digest(_STATE_KEY, words.encode(), hashlib.sha256).hex()
    return f"{words}.{mac}"


def unsealed(state: str | None) -> str:
    """What `sealed` took.

    Raises:
        MCPError: it is not what was given out.
    """
    words, _, _ = (state or "").rpartition(".")
    if state is None or not hmac.compare_digest(sealed(words), state):
        raise MCPError(-32602, "Invalid requestState")
    return words


def answered(visit: Visit, key: str) -> Any:
    """The client's answer under `key`; None if there is none."""
    answer = (visit.answers or {}).get(key)
    return None if answer is None else answer.model_dump(by_alias=True, exclude_none=True)


def elicited(visit: Visit, key: str, field: str) -> Any:
    """A field of an accepted form."""
    return ((answered(visit, key) or {}).get("content") or {}).get(field)


@contextmanager
def _deprecated() -> Iterator[None]:
    """Logging and sampling are served as long as there are clients that know them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        yield


async def simple_text(_: Visit) -> Result:
    """One text."""
    return text("This is a simple text response for testing.")


async def image(_: Visit) -> Result:
    """One image."""
    return content({"type": "image", "data": PNG, "mimeType": "image/png"})


async def audio(_: Visit) -> Result:
    """One sound."""
    return content({"type": "audio", "data": WAV, "mimeType": "audio/wav"})


async def embedded(_: Visit) -> Result:
    """One embedded resource."""
    words = "This is an embedded resource content."
    resource = {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": words}
    return content({"type": "resource", "resource": resource})


async def mixed(_: Visit) -> Result:
    """A text, an image, a resource."""
    resource = {
        "uri": "test://mixed-content-resource",
        "mimeType": "application/json",
        "text": '{"test":"data","value":123}',
    }
    return content(
        {"type": "text", "text": "Multiple content types test:"},
        {"type": "image", "data": PNG, "mimeType": "image/png"},
        {"type": "resource", "resource": resource},
    )


async def failing(_: Visit) -> Result:
    """A tool error."""
    return text("This tool intentionally returns an error for testing", is_error=True)


async def logging(visit: Visit) -> Result:
    """Three log messages."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        session, request_id = visit.context.session, visit.context.request_id
        with _deprecated():
            said = session.send_log_message("info", words, related_request_id=request_id)
        await said
        await asyncio.sleep(_STEP_S)
    return text("Logged three times.")


async def progress(visit: Visit) -> Result:
    """Three reports."""
    for done in (0, 50, 100):
        await visit.context.session.report_progress(done, 100)
        await asyncio.sleep(_STEP_S)
    return text("Reported three times.")


async def sampling(visit: Visit) -> Result:
    """Asks the client's model: a modern one in the result, a legacy one by a request of its own."""
    if visit.is_modern:
        answer = answered(visit, "model")
        if answer is None:
            prompt = str(visit.arguments.get("prompt", ""))
            return input_required({"model": question(prompt, max_tokens=100)})
        return text(f"LLM response: {answer['content']}")
    words = TextContent(type="text", text=str(visit.arguments.get("prompt", "")))
    with _deprecated():
        asked = visit.context.session.create_message(
            [SamplingMessage(role="user", content=words)],
            max_tokens=100,
            related_request_id=visit.context.request_id,
        )
    said = await asked
    return text(f"LLM response: {said.content}")


async def elicitation(visit: Visit) -> Result:
    """Asks the user."""
    schema = {
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    }
    return await _asked(visit, str(visit.arguments.get("message", "")), schema)


async def elicitation_defaults(visit: Visit) -> Result:
    """Asks with a default in each field."""
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    }
    return await _asked(visit, "Please check", {"type": "object", "properties": properties})


def _titled(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"const": value, "title": title} for value, title in pairs]


async def elicitation_enums(visit: Visit) -> Result:
    """Asks with each kind of choice."""
    options = ["option1", "option2", "option3"]
    values = ("value1", "First"), ("value2", "Second"), ("value3", "Third")
    properties = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": _titled(*values)},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled(*values)}},
    }
    return await _asked(visit, "Please choose", {"type": "object", "properties": properties})


async def _asked(visit: Visit, message: str, schema: dict[str, Any]) -> Result:
    if visit.is_modern:
        given = answered(visit, "form")
        if given is None:
            params = {"message": message, "requestedSchema": schema}
            return input_required({"form": {"method": "elicitation/create", "params": params}})
        action, filled = given["action"], given.get("content")
        return text(f"Elicitation completed: action={action}, content={filled}")
    answer = await visit.context.session.elicit_form(message, schema, visit.context.request_id)
    return text(f"Elicitation completed: action={answer.action}, content={answer.content}")


async def x_mcp_header(visit: Visit) -> Result:
    """Gives back the argument that a header mirrors."""
    return text(str(visit.arguments.get("region", "")))


async def missing_capability(visit: Visit) -> Result:
    """Cannot work without sampling."""
    wanted = ClientCapabilities(sampling=SamplingCapability())
    if not visit.context.session.check_client_capability(wanted):
        raise MCPError(
            -32021,
            "Missing required client capability",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return text("The client can sample.")


async def reconnection(visit: Visit) -> Result:
    """Ends its stream in the middle of the call: the client has to come back for the answer."""
    if visit.context.close_sse_stream is not None:
        await visit.context.close_sse_stream()
    await asyncio.sleep(_STEP_S)
    return text("Reconnection test completed")


async def toggle_tools(visit: Visit) -> Result:
    """Changes the list of tools."""
    await visit.toggle("tools")
    return text("The list of tools has changed.")


async def touch_resource(visit: Visit) -> Result:
    """Says that the watched resource has changed."""
    await visit.toggle("test://watched-resource")
    return text("The resource has changed.")


async def toggle_prompts(visit: Visit) -> Result:
    """Changes the list of prompts."""
    await visit.toggle("prompts")
    return text("The list of prompts has changed.")


async def input_elicitation(visit: Visit) -> Result:
    """One question."""
    name = elicited(visit, "user_name", "name")
    if name is None:
        return input_required({"user_name": form("What is your name?", name="string")})
    return text(f"Hello, {name}!")


async def input_sampling(visit: Visit) -> Result:
    """One question to the model."""
    answer = answered(visit, "capital_question")
    if answer is None:
        return input_required({"capital_question": question("What is the capital of France?", 100)})
    return text(f"The model says: {answer['content']}")


async def input_roots(visit: Visit) -> Result:
    """Asks for the roots."""
    answer = answered(visit, "client_roots")
    if answer is None:
        return input_required({"client_roots": ROOTS})
    return text(f"Roots: {[root['uri'] for root in answer['roots']]}")


async def input_request_state(visit: Visit) -> Result:
    """A question with a state."""
    if visit.state is None:
        return input_required({"confirm": form("Please confirm", ok="boolean")}, sealed("confirm"))
    unsealed(visit.state)
    return text("state-ok")


async def input_multiple(visit: Visit) -> Result:
    """Three questions at once."""
    if visit.state is None:
        requests = {
            "user_name": form("What is your name?", name="string"),
            "greeting": question("Generate a greeting", 50),
            "client_roots": ROOTS,
        }
        return input_required(requests, sealed("multiple"))
    unsealed(visit.state)
    return text(f"Answered: {sorted(visit.answers or {})}")


async def input_multi_round(visit: Visit) -> Result:
    """Two questions, one after the other."""
    if visit.state is None:
        first = {"step1": form("Step 1: What is your name?", name="string")}
        return input_required(first, sealed("round-1"))
    step, _, name = unsealed(visit.state).partition(":")
    if step == "round-1":
        given = elicited(visit, "step1", "name")
        second = {"step2": form("Step 2: What is your favorite color?", color="string")}
        return input_required(second, sealed(f"round-2:{given}"))
    return text(f"{name} likes {elicited(visit, 'step2', 'color')}.")


async def input_capabilities(visit: Visit) -> Result:
    """Asks only for what the client declared."""
    requests: dict[str, Any] = {}
    if visit.capabilities.sampling is not None:
        requests["sample"] = question("Say hello", 50)
    if visit.capabilities.elicitation is not None:
        requests["ask"] = form("Please confirm", ok="boolean")
    if not requests or visit.answers:
        return text(f"Answered: {sorted(visit.answers or {})}")
    return input_required(requests)


async def streaming_elicitation(visit: Visit) -> Result:
    """A report of progress, then a question."""
    await visit.context.session.report_progress(1, 2)
    wanted = ClientCapabilities(elicitation=ElicitationCapability())
    if visit.answers or not visit.context.session.check_client_capability(wanted):
        return text("No question is open.")
    return input_required({"confirm": form("Please confirm", ok="boolean")})


TOOLS: Final[dict[str, Tool]] = {
    "test_simple_text": simple_text,
    "test_image_content": image,
    "test_audio_content": audio,
    "test_embedded_resource": embedded,
    "test_multiple_content_types": mixed,
    "test_error_handling": failing,
    "test_tool_with_logging": logging,
    "test_tool_with_progress": progress,
    "test_sampling": sampling,
    "test_elicitation": elicitation,
    "test_elicitation_sep1034_defaults": elicitation_defaults,
    "test_elicitation_sep1330_enums": elicitation_enums,
    "test_x_mcp_header": x_mcp_header,
    "test_missing_capability": missing_capability,
    "json_schema_2020_12_tool": simple_text,
    "test_reconnection": reconnection,
    "test_trigger_tool_change": toggle_tools,
    "test_trigger_prompt_change": toggle_prompts,
    "test_touch_resource": touch_resource,
    "test_input_required_result_elicitation": input_elicitation,
    "test_input_required_result_sampling": input_sampling,
    "test_input_required_result_list_roots": input_roots,
    "test_input_required_result_request_state": input_request_state,
    "test_input_required_result_multiple_inputs": input_multiple,
    "test_input_required_result_multi_round": input_multi_round,
    "test_input_required_result_tampered_state": input_request_state,
    "test_input_required_result_capabilities": input_capabilities,
    "test_streaming_elicitation": streaming_elicitation,
    "test_logging_tool": logging,
}
"""Every tool by its name."""

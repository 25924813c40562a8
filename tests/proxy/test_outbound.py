from typing import Any

import msgspec

from tests.support.upstreams import call
from wicketd.domain.calls import Subject
from wicketd.domain.json import JsonObject
from wicketd.proxy import outbound
from wicketd.proxy.outbound import Wanted
from wicketd.proxy.upstream_events import Session

WANTED = Wanted(7, "tools/call", {"name": "echo", "arguments": {"a": 1}}, "echo")
CREDENTIAL = {"authorization": "Bearer x"}


def test_a_modern_request_mirrors_method_name_and_version() -> None:
    sent = outbound.request(WANTED, None, CREDENTIAL)
    assert sent.headers["Mcp-Method"] == "tools/call"
    assert sent.headers["Mcp-Name"] == "echo"
    assert sent.headers["MCP-Protocol-Version"] == "2026-07-28"
    assert sent.headers["authorization"] == "Bearer x"
    assert "Mcp-Session-Id" not in sent.headers
    assert sent.body is not None
    body = msgspec.json.decode(sent.body)
    assert body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}
    assert body["params"]["_meta"]["progressToken"] == body["id"] == 7


def test_a_legacy_request_carries_session_and_negotiated_version() -> None:
    sent = outbound.request(WANTED, Session("s", "2025-06-18"), CREDENTIAL)
    assert sent.headers["Mcp-Session-Id"] == "s"
    assert sent.headers["MCP-Protocol-Version"] == "2025-06-18"
    assert not [name for name in sent.headers if name.lower() in ("mcp-method", "mcp-name")]
    assert sent.body is not None
    assert msgspec.json.decode(sent.body)["params"]["_meta"] == {"progressToken": 7}


def test_the_oldest_revision_gets_no_version_header_and_may_batch() -> None:
    sent = outbound.request(WANTED, Session(None, "2025-03-26"), {})
    assert "MCP-Protocol-Version" not in sent.headers
    assert "Mcp-Session-Id" not in sent.headers
    assert sent.may_batch


def test_a_resumption_asks_for_a_stream_only() -> None:
    sent = outbound.resume(WANTED, Session("s", "2025-11-25"), "e1", CREDENTIAL)
    assert (sent.method, sent.body) == ("GET", None)
    assert sent.headers["Accept"] == "text/event-stream"
    assert sent.headers["Last-Event-ID"] == "e1"
    assert "Content-Type" not in sent.headers


def test_the_decided_value_is_all_that_a_call_sends() -> None:
    assert outbound.call_params(call(arguments={"x": 1})) == {
        "name": "echo",
        "arguments": {"x": 1},
    }
    uri: dict[str, Any] = {"name": "file:///a", "subject": Subject.RESOURCE}
    read = call(method="resources/read", arguments={}, **uri)
    assert outbound.call_params(read) == {"uri": "file:///a"}
    argument: JsonObject = {"argument": {"name": "a", "value": "b"}}
    complete = call(method="completion/complete", arguments=argument, **uri)
    assert outbound.call_params(complete) == {
        "ref": {"type": "ref/resource", "uri": "file:///a"},
        **argument,
    }
    named = call(method="completion/complete", arguments=argument, subject=Subject.PROMPT)
    assert outbound.call_params(named)["ref"] == {"type": "ref/prompt", "name": "echo"}


def test_building_a_request_changes_no_shared_header() -> None:
    before = dict(outbound.BASE_HEADERS)
    outbound.resume(WANTED, Session("s", "2025-11-25"), "e1", CREDENTIAL)
    assert dict(outbound.BASE_HEADERS) == before

"""Every row of protocol section 8: status, code, text, headers and data, in both eras."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.calls import Era, Refusal, RefusalKind, Reply
from wicketd.domain.ids import CallId, call_ref
from wicketd.domain.json import JsonObject
from wicketd.proxy import errors
from wicketd.proxy.errors import RequestErrors

K = RefusalKind
CALL = CallId("0190a1b2-c3d4-7e5f-8a6b-0123456789ab")
VALUES = {
    "tool": "delete_file",
    "agent": "y",
    "service": "x",
    "portal": "https://w.example/agents/y",
    "scopes": "a, b",
    "seconds": "30",
    "pointer": "/budget",
    "expected": "a number with at most 4 decimals",
    "header": "Mcp-Name",
    "fault": "does not match the request body",
    "field": "params/name",
    "types": "text/event-stream",
    "allow": "POST",
}
CONNECT = " — connect your account at https://w.example/agents/y"

# kind: (legacy status, modern status, legacy code, modern code, text); statuses as hosted
ROWS: dict[RefusalKind, tuple[int, int, int, int, str]] = {
    K.NO_BEARER: (
        401, 401, -32600, -32600,
        "Missing Bearer token — add your member key to the MCP client config",
    ),
    K.BAD_KEY: (
        401, 401, -32600, -32600,
        "Unknown member key — re-authenticate at the UI to get a new key",
    ),
    K.TOO_MANY_FAILURES: (429, 429, -32600, -32600, "Too many failed attempts"),
    K.AGENT_DISABLED: (
        403, 403, -32600, -32600, "Agent is disabled — ask the agent owner to enable it"
    ),
    K.NOT_APPROVED: (
        403, 403, -32600, -32600, "Membership is not approved — ask the agent owner"
    ),
    K.BLOCKED: (403, 403, -32600, -32600, "Account is blocked"),
    K.HOST: (421, 421, -32600, -32600, "Invalid Host header"),
    K.ORIGIN: (403, 403, -32600, -32600, "Invalid Origin header"),
    K.RATE: (429, 429, -32600, -32600, "Rate limit exceeded — too many requests per key"),
    K.CONCURRENCY: (429, 429, -32600, -32600, "Too many concurrent requests"),
    K.HTTP_METHOD: (405, 405, -32600, -32600, "Method not allowed"),
    K.CONTENT_TYPE: (400, 400, -32600, -32600, "Invalid Content-Type header"),
    K.CONTENT_ENCODING: (
        415, 415, -32600, -32600, "Unsupported Content-Encoding — send the body as it is"
    ),
    K.NOT_ACCEPTABLE: (
        406, 406, -32600, -32600, "Not Acceptable: Client must accept text/event-stream"
    ),
    K.BODY_TOO_LARGE: (413, 413, -32600, -32600, "Body is too large — at most 1 MiB is read"),
    K.BODY_TIMEOUT: (
        408, 408, -32600, -32600, "Body did not arrive in time — send the request again"
    ),
    K.PARSE: (400, 400, -32700, -32700, "Parse error"),
    K.SHAPE: (400, 400, -32600, -32600, "Body must be one JSON-RPC message"),
    K.ID_IN_FLIGHT: (
        400, 400, -32600, -32600, "Request id is already in use — send the next request id"
    ),
    K.NO_SESSION: (400, 400, -32600, -32600, "Missing session ID"),
    K.UNKNOWN_SESSION: (404, 404, -32600, -32600, "Session not found"),
    K.UNKNOWN_EVENT: (
        400, 400, -32600, -32600, "Unknown event ID — open a new stream without it"
    ),
    K.HEADER_MISMATCH: (
        400, 400, -32020, -32020, "Mcp-Name header does not match the request body"
    ),
    K.VERSION: (400, 400, -32022, -32022, "Unsupported protocol version"),
    K.PARAMS: (
        200, 400, -32602, -32602,
        "Invalid params: params/name must be a number with at most 4 decimals",
    ),
    K.CURSOR: (200, 400, -32602, -32602, "Invalid cursor"),
    K.STATE: (200, 400, -32602, -32602, "Invalid or expired requestState"),
    K.INPUT: (
        200, 200, -32603, -32603, "Service 'x' needs an answer that the client did not give"
    ),
    K.METHOD: (200, 404, -32601, -32601, "Method not found"),
    K.TOOL_NAME: (400, 400, -32602, -32602, "Tool name must be service__tool"),
    K.UNKNOWN_SERVICE: (200, 200, -32601, -32602, "Unknown service: x"),
    K.SERVICE_OFF: (
        200, 200, -32600, -32600,
        "Authorization denied: service 'x' is not enabled for agent 'y'",
    ),
    K.HELD: (
        200, 200, -32600, -32600,
        "Tool 'delete_file' changed at its server and awaits review by an administrator",
    ),
    K.ARGUMENTS: (
        200, 200, -32602, -32602,
        "Invalid arguments for tool 'delete_file': {pointer} must be {expected}".format(**VALUES),
    ),
    K.RESOURCE: (200, 200, -32002, -32602, "Resource not found"),
    K.DENIED: (
        200, 200, -32600, -32600,
        "Authorization denied: tool 'delete_file' is not permitted for agent 'y'",
    ),
    K.NOT_CONNECTED: (
        412, 412, -32603, -32603, "Service 'x' is not connected" + CONNECT
    ),
    K.RECONNECT: (412, 412, -32603, -32603, "Service 'x' must be reconnected" + CONNECT),
    K.SCOPES: (412, 412, -32603, -32603, "Service 'x' needs more access (a, b)" + CONNECT),
    K.UNREACHABLE: (502, 502, -32603, -32603, "Service 'x' could not be reached"),
    K.INVALID_ANSWER: (502, 502, -32603, -32603, "Service 'x' sent an invalid answer"),
    K.UPSTREAM_RATE: (502, 502, -32603, -32603, "Service 'x' is rate limiting"),
    K.NOTHING_TO_LIST: (
        502, 502, -32603, -32603, "No service could be listed — try again later"
    ),
    K.UPSTREAM_TIMEOUT: (504, 504, -32603, -32603, "Service 'x' did not answer within 30 s"),
    K.AUDIT_REFUSED: (503, 503, -32603, -32603, "Audit log is not writable — call refused"),
    K.AUDIT_WITHHELD: (
        503, 503, -32603, -32603, "Audit log is not writable — result withheld"
    ),
    K.DRAINING: (503, 503, -32603, -32603, "Server is stopping"),
    K.INTERNAL: (500, 500, -32603, -32603, "Internal error"),
}  # fmt: skip
DAGGER = {
    K.NOT_CONNECTED, K.RECONNECT, K.SCOPES, K.UNREACHABLE, K.INVALID_ANSWER, K.UPSTREAM_RATE,
    K.UPSTREAM_TIMEOUT, K.AUDIT_REFUSED, K.AUDIT_WITHHELD, K.INTERNAL, K.NOTHING_TO_LIST,
}  # fmt: skip
DOUBLE_DAGGER = {
    K.AGENT_DISABLED, K.NOT_APPROVED, K.BLOCKED, K.TOOL_NAME, K.UNKNOWN_SERVICE, K.SERVICE_OFF,
    K.HELD, K.ARGUMENTS, K.RESOURCE, K.DENIED, K.INPUT,
}  # fmt: skip
RETRY_AFTER = {
    K.TOO_MANY_FAILURES: "60", K.RATE: "1", K.CONCURRENCY: "1", K.AUDIT_REFUSED: "5",
    K.AUDIT_WITHHELD: "5", K.DRAINING: "5",
}  # fmt: skip


def error_of(reply: Reply) -> dict[str, Any]:
    error: dict[str, Any] = msgspec.json.decode(reply.body)["error"]
    return error


def header(reply: Reply, name: bytes) -> str | None:
    return next((value.decode() for key, value in reply.headers if key == name), None)


def test_each_kind_has_a_row_and_each_row_is_proven_here() -> None:
    assert set(errors.TABLE) == set(RefusalKind) == set(ROWS)


@pytest.mark.requirement("M14")
@pytest.mark.parametrize("era", list(Era))
@pytest.mark.parametrize("setting", list(RequestErrors))
@pytest.mark.parametrize("kind", list(RefusalKind))
def test_a_refusal_answers_as_its_row_says(
    kind: RefusalKind, setting: RequestErrors, era: Era
) -> None:
    legacy_status, modern_status, legacy_code, modern_code, text = ROWS[kind]
    is_modern = era is Era.MODERN
    status = modern_status if is_modern else legacy_status
    if kind in DAGGER and setting is RequestErrors.JSONRPC:
        status = 200
    reply = errors.render(
        Refusal(kind, VALUES, call_id=CALL), era=era, front_id="id-1", request_errors=setting
    )
    has_ref = kind in DAGGER | DOUBLE_DAGGER
    ref = call_ref(CALL)
    assert reply.status == status
    assert header(reply, b"content-type") == "application/json"
    body = msgspec.json.decode(reply.body)
    assert body["jsonrpc"] == "2.0"
    assert body["id"] == "id-1"
    assert body["error"]["code"] == (modern_code if is_modern else legacy_code)
    assert body["error"]["message"] == text + (f" [ref {ref}]" if has_ref else "")
    wicket = body["error"]["data"]["wicket"]
    assert wicket["reason"] == kind
    assert (wicket.get("ref"), wicket.get("callId")) == ((ref, CALL) if has_ref else (None, None))
    assert header(reply, b"retry-after") == RETRY_AFTER.get(kind)


def test_a_refusal_before_a_call_has_no_reference() -> None:
    for kind in RefusalKind:
        error = errors.error_object(Refusal(kind, VALUES), Era.LEGACY)
        assert "[ref" not in str(error["message"])
        assert "ref" not in error_of(errors.render(Refusal(kind, VALUES)))["data"]["wicket"]


def test_an_internal_error_before_a_call_is_a_plain_500() -> None:
    assert errors.render(Refusal(K.INTERNAL)).status == 500
    assert errors.render(Refusal(K.INTERNAL, call_id=CALL)).status == 200


def test_the_id_is_null_if_the_body_was_not_read() -> None:
    assert msgspec.json.decode(errors.render(Refusal(K.NO_BEARER)).body)["id"] is None


@pytest.mark.requirement("C5")
@pytest.mark.parametrize("kind", [K.NO_BEARER, K.BAD_KEY])
def test_a_401_asks_for_a_bearer_and_names_no_resource_metadata(kind: RefusalKind) -> None:
    reply = errors.render(Refusal(kind))
    assert header(reply, b"www-authenticate") == 'Bearer realm="wicket"'


@pytest.mark.requirement("C8")
def test_a_405_names_what_is_allowed() -> None:
    reply = errors.render(Refusal(K.HTTP_METHOD, {"allow": "POST, GET, DELETE"}))
    assert header(reply, b"allow") == "POST, GET, DELETE"


@pytest.mark.requirement("C14")
def test_a_wait_that_is_known_replaces_the_rows_own() -> None:
    reply = errors.render(Refusal(K.RATE, retry_after_s=7))
    assert header(reply, b"retry-after") == "7"


@pytest.mark.requirement("M7")
def test_further_data_stands_beside_our_own() -> None:
    refusal = Refusal(K.VERSION, data={"supported": ["2026-07-28"], "requested": "x"})
    data = error_of(errors.render(refusal, era=Era.MODERN))["data"]
    assert data == {
        "supported": ["2026-07-28"],
        "requested": "x",
        "wicket": {"reason": "unsupported_version"},
    }


def test_further_data_cannot_replace_our_own() -> None:
    error = errors.error_object(Refusal(K.RESOURCE, data={"wicket": "x"}), Era.LEGACY)
    assert error["data"] == {"wicket": {"reason": "resource_not_found"}}


def test_an_argument_error_says_where_and_what() -> None:
    wicket = error_of(errors.render(Refusal(K.ARGUMENTS, VALUES)))["data"]["wicket"]
    assert (wicket["pointer"], wicket["expected"]) == (VALUES["pointer"], VALUES["expected"])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"prompt": "p"}, "Authorization denied: prompt 'p' is not permitted for agent 'y'"),
        ({"resource": "u"}, "Authorization denied: resource 'u' is not permitted for agent 'y'"),
        (
            {"service": "x", "relay": "sampling"},
            "Authorization denied: service 'x' may not use 'sampling' for agent 'y'",
        ),
        (
            {"tool": "t", "messages": "Not now.; Ask first."},
            "Authorization denied: tool 't' is not permitted for agent 'y': Not now.; Ask first.",
        ),
        ({"tool": "t", "messages": ""},
         "Authorization denied: tool 't' is not permitted for agent 'y'"),
    ],
)  # fmt: skip
def test_a_denial_names_what_was_denied(values: dict[str, str], text: str) -> None:
    refusal = Refusal(K.DENIED, {"agent": "y", **values})
    assert errors.error_object(refusal, Era.LEGACY)["message"] == text


@pytest.mark.requirement("N14")
def test_control_and_bidi_characters_are_escaped_and_long_values_cut() -> None:
    evil = "a\x1b[2J\r\n\u202e\u2066\u200b\x00'"
    message = str(errors.error_object(Refusal(K.UNKNOWN_SERVICE, {"service": evil}), Era.LEGACY))
    assert all(character.isprintable() for character in message)
    long = errors.error_object(Refusal(K.UNKNOWN_SERVICE, {"service": "x" * 500}), Era.LEGACY)
    assert long["message"] == "Unknown service: " + "x" * 79 + "…"


@pytest.mark.requirement("N14")
@given(st.text(), st.integers(1, 90))
def test_a_shown_value_is_printable_and_within_its_limit(text: str, limit: int) -> None:
    shown = errors.shown(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    if text.isprintable() and len(text) <= limit:
        assert shown == text


@given(st.dictionaries(st.sampled_from(list(VALUES)), st.text(), max_size=3))
def test_missing_or_odd_values_never_break_the_answer(values: dict[str, str]) -> None:
    for kind in RefusalKind:
        if kind is not K.HTTP_METHOD:
            assert errors.render(Refusal(kind, {**values, "tool": "{service}{0}"})).body


def test_a_deny_message_and_the_portals_link_are_not_cut_at_80() -> None:
    refusal = Refusal(K.DENIED, {"tool": "t", "agent": "y", "messages": "m" * 500})
    assert str(errors.error_object(refusal, Era.LEGACY)["message"]).endswith("m" * 500)


def test_without_a_portal_a_missing_credential_names_the_administrator() -> None:
    message = errors.error_object(Refusal(K.NOT_CONNECTED, {"service": "x"}), Era.LEGACY)["message"]
    expected = "Service 'x' is not connected — ask an administrator to connect your account"
    assert message == expected


@pytest.mark.parametrize(
    ("code", "era", "status", "passed"),
    [
        (-32055, Era.LEGACY, 200, -32055),
        (-32055, Era.MODERN, 200, -32603),
        (-32002, Era.LEGACY, 200, -32002),
        (-32002, Era.MODERN, 200, -32602),
        (-32042, Era.MODERN, 200, -32603),
        (-32021, Era.LEGACY, 200, -32021),
        (-32021, Era.MODERN, 400, -32021),
        (-32020, Era.MODERN, 200, -32020),
        (-32100, Era.MODERN, 200, -32100),
        (7, Era.MODERN, 200, 7),
    ],
)
def test_an_upstreams_error_keeps_its_code_where_the_era_allows_it(
    code: int, era: Era, status: int, passed: int
) -> None:
    error: JsonObject = {"code": code, "message": "m", "data": {"page": 7}}
    assert errors.relayed(error, era) == (status, {**error, "code": passed})


def test_an_upstreams_error_is_escaped_and_capped() -> None:
    error: JsonObject = {"code": 1, "message": "a\u202eb" + "c" * 3000, "data": "x" * 70_000}
    _, passed = errors.relayed(error, Era.LEGACY)
    assert str(passed["message"]).startswith("a\\u202ebccc")
    assert len(str(passed["message"])) == 2000
    assert "data" not in passed

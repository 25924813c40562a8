"""The error table of the front: what each refusal says, under which status and code, in which era.

Counterpart of `domain.calls.RefusalKind`: one row a kind, a test compares the two. Invariant: texts
are fixed; what is inserted is escaped and cut, so that no name of a client or upstream can forge a
line, a terminal sequence or a second sentence. Source: protocol spec, section 8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from wicketd.domain.calls import Era, Refusal, RefusalKind, Reply
from wicketd.domain.ids import call_ref
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy import jsonrpc

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
RESOURCE_NOT_FOUND: Final = -32002
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

MISSING_CAPABILITY: Final = -32021
_DEFINED: Final = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION})
_NEVER_MODERN: Final = frozenset(range(-32099, -32019)) - _DEFINED | {RESOURCE_NOT_FOUND}

MAX_RELAYED: Final = 2000
MAX_RELAYED_DATA: Final = 64 * 1024
MAX_INSERTED: Final = 80
# Our own link and the administrators' deny messages (3 of 500) are worth nothing when cut.
_LONGER: Final = MappingProxyType({"portal": 400, "messages": 1600})
_JSON: Final = (b"content-type", b"application/json")


class RequestErrors(StrEnum):
    """The setting `request_errors`: which HTTP status the rows marked with a dagger get."""

    JSONRPC = "jsonrpc"
    """200, because the TypeScript client drops the body of any other answer."""
    HTTP = "http"
    """The status of the hosted product."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `modern_*`: where the eras differ; `text`: a `str.format` template."""

    status: int
    code: int
    text: str
    modern_status: int | None = None
    modern_code: int | None = None
    has_ref: bool = False
    """Ends with the call's reference, if there is a call (rows marked with one or two daggers)."""
    follows_setting: bool = False
    """Answers 200 unless `request_errors = "http"` (rows marked with one dagger)."""
    retry_after_s: int | None = None

    def status_in(self, era: Era) -> int:
        """The HTTP status before `request_errors` is looked at."""
        return (self.modern_status or self.status) if era is Era.MODERN else self.status

    def code_in(self, era: Era) -> int:
        """The JSON-RPC code."""
        return (self.modern_code or self.code) if era is Era.MODERN else self.code


def _plain(status: int, text: str, *, retry_after_s: int | None = None) -> Row:
    return Row(status, INVALID_REQUEST, text, retry_after_s=retry_after_s)


def _of_call(code: int, text: str, *, modern_code: int | None = None, status: int = 200) -> Row:
    return Row(status, code, text, modern_code=modern_code, has_ref=True)


def _dagger(status: int, text: str, *, retry_after_s: int | None = None) -> Row:
    return Row(
        status,
        INTERNAL_ERROR,
        text,
        has_ref=True,
        follows_setting=True,
        retry_after_s=retry_after_s,
    )


_K = RefusalKind
_CONNECT: Final = " — connect your account at {portal}"
_ASK: Final = " — ask an administrator to connect your account"
"""Where there is no portal, members are connected by an administrator's command."""

TABLE: Final[Mapping[RefusalKind, Row]] = MappingProxyType(
    {
        _K.NO_BEARER: _plain(
            401, "Missing Bearer token — add your member key to the MCP client config"
        ),
        _K.BAD_KEY: _plain(401, "Unknown member key — re-authenticate at the UI to get a new key"),
        _K.TOO_MANY_FAILURES: _plain(429, "Too many failed attempts", retry_after_s=60),
        _K.AGENT_DISABLED: _of_call(
            INVALID_REQUEST, "Agent is disabled — ask the agent owner to enable it", status=403
        ),
        _K.NOT_APPROVED: _of_call(
            INVALID_REQUEST, "Membership is not approved — ask the agent owner", status=403
        ),
        _K.BLOCKED: _of_call(INVALID_REQUEST, "Account is blocked", status=403),
        _K.HOST: _plain(421, "Invalid Host header"),
        _K.ORIGIN: _plain(403, "Invalid Origin header"),
        _K.RATE: _plain(429, "Rate limit exceeded — too many requests per key", retry_after_s=1),
        _K.CONCURRENCY: _plain(429, "Too many concurrent requests", retry_after_s=1),
        _K.HTTP_METHOD: _plain(405, "Method not allowed"),
        _K.CONTENT_TYPE: _plain(400, "Invalid Content-Type header"),
        _K.CONTENT_ENCODING: _plain(415, "Unsupported Content-Encoding — send the body as it is"),
        _K.NOT_ACCEPTABLE: _plain(406, "Not Acceptable: Client must accept {types}"),
        _K.BODY_TOO_LARGE: _plain(413, "Body is too large — at most 1 MiB is read"),
        _K.BODY_TIMEOUT: _plain(408, "Body did not arrive in time — send the request again"),
        _K.PARSE: Row(400, PARSE_ERROR, "Parse error"),
        _K.SHAPE: _plain(400, "Body must be one JSON-RPC message"),
        _K.ID_IN_FLIGHT: _plain(400, "Request id is already in use — send the next request id"),
        _K.NO_SESSION: _plain(400, "Missing session ID"),
        _K.UNKNOWN_SESSION: _plain(404, "Session not found"),
        _K.UNKNOWN_EVENT: _plain(400, "Unknown event ID — open a new stream without it"),
        _K.HEADER_MISMATCH: Row(400, HEADER_MISMATCH, "{header} header {fault}"),
        _K.VERSION: Row(400, UNSUPPORTED_VERSION, "Unsupported protocol version"),
        _K.PARAMS: Row(
            200, INVALID_PARAMS, "Invalid params: {field} must be {expected}", modern_status=400
        ),
        _K.CURSOR: Row(200, INVALID_PARAMS, "Invalid cursor", modern_status=400),
        _K.STATE: Row(200, INVALID_PARAMS, "Invalid or expired requestState", modern_status=400),
        _K.METHOD: Row(200, METHOD_NOT_FOUND, "Method not found", modern_status=404),
        _K.TOOL_NAME: _of_call(INVALID_PARAMS, "Tool name must be service__tool", status=400),
        # A modern -32601 would mean "no such method".
        _K.UNKNOWN_SERVICE: _of_call(
            METHOD_NOT_FOUND, "Unknown service: {service}", modern_code=INVALID_PARAMS
        ),
        _K.SERVICE_OFF: _of_call(
            INVALID_REQUEST,
            "Authorization denied: service '{service}' is not enabled for agent '{agent}'",
        ),
        _K.HELD: _of_call(
            INVALID_REQUEST,
            "Tool '{tool}' changed at its server and awaits review by an administrator",
        ),
        _K.ARGUMENTS: _of_call(
            INVALID_PARAMS,
            "Invalid arguments for tool '{tool}': {pointer} must be {expected}",
        ),
        _K.RESOURCE: _of_call(RESOURCE_NOT_FOUND, "Resource not found", modern_code=INVALID_PARAMS),
        _K.DENIED: _of_call(
            INVALID_REQUEST, "Authorization denied: {what} is not permitted for agent '{agent}'"
        ),
        _K.NOT_CONNECTED: _dagger(412, "Service '{service}' is not connected" + _CONNECT),
        _K.RECONNECT: _dagger(412, "Service '{service}' must be reconnected" + _CONNECT),
        _K.SCOPES: _dagger(412, "Service '{service}' needs more access ({scopes})" + _CONNECT),
        _K.UNREACHABLE: _dagger(502, "Service '{service}' could not be reached"),
        _K.INVALID_ANSWER: _dagger(502, "Service '{service}' sent an invalid answer"),
        _K.UPSTREAM_RATE: _dagger(502, "Service '{service}' is rate limiting"),
        _K.NOTHING_TO_LIST: _dagger(502, "No service could be listed — try again later"),
        _K.INPUT: _of_call(
            INTERNAL_ERROR, "Service '{service}' needs an answer that the client did not give"
        ),
        _K.UPSTREAM_TIMEOUT: _dagger(504, "Service '{service}' did not answer within {seconds} s"),
        _K.AUDIT_REFUSED: _dagger(503, "Audit log is not writable — call refused", retry_after_s=5),
        _K.AUDIT_WITHHELD: _dagger(
            503, "Audit log is not writable — result withheld", retry_after_s=5
        ),
        _K.DRAINING: Row(503, INTERNAL_ERROR, "Server is stopping", retry_after_s=5),
        _K.INTERNAL: _dagger(500, "Internal error"),
    }
)
"""Every row of section 8 that is ours; an upstream's own error passes without a row."""


def render(
    refusal: Refusal,
    *,
    era: Era = Era.LEGACY,
    front_id: int | str | None = None,
    request_errors: RequestErrors = RequestErrors.JSONRPC,
) -> Reply:
    """The HTTP answer of a refusal before any stream was committed.

    `era` and `front_id` as far as they are known: the id is None only if the body was not read.
    """
    row = TABLE[refusal.kind]
    body = jsonrpc.encode(jsonrpc.failure(front_id, error_object(refusal, era)))
    return Reply(_status(row, refusal, era, request_errors), body, _headers(row, refusal))


def error_object(refusal: Refusal, era: Era) -> JsonObject:
    """The JSON-RPC `error` member, also for a stream that is already committed."""
    row = TABLE[refusal.kind]
    wicket: dict[str, Json] = {"reason": str(refusal.kind)}
    message = _text(row, refusal)
    if row.has_ref and refusal.call_id is not None:
        ref = call_ref(refusal.call_id)
        message += f" [ref {ref}]"
        wicket |= {"ref": ref, "callId": str(refusal.call_id)}
    if refusal.kind is RefusalKind.ARGUMENTS:
        wicket |= {name: refusal.values.get(name, "") for name in ("pointer", "expected")}
    return {
        "code": row.code_in(era),
        "message": message,
        "data": {**refusal.data, "wicket": wicket},
    }


def relayed(error: JsonObject, era: Era) -> tuple[int, JsonObject]:
    """An upstream's own JSON-RPC error as a front of `era` sees it, with its HTTP status.

    It keeps code, message and data; the message is escaped, data over the cap is left out, and a
    code that `era` gives another meaning, or none, becomes an internal error.
    """
    code = error.get("code")
    if era is Era.MODERN and code in _NEVER_MODERN:
        code = INVALID_PARAMS if code == RESOURCE_NOT_FOUND else INTERNAL_ERROR
    passed: JsonObject = {
        "code": code,
        "message": shown(str(error.get("message", "")), MAX_RELAYED),
    }
    data = error.get("data")
    if data is not None and len(jsonrpc.encode({"data": data})) <= MAX_RELAYED_DATA:
        passed["data"] = data
    is_missing = era is Era.MODERN and code == MISSING_CAPABILITY
    return (400 if is_missing else 200), passed


def shown(text: str, limit: int = MAX_INSERTED) -> str:
    """A foreign value fit for a sentence: control and bidi characters escaped, then cut."""
    pieces: list[str] = []
    left = limit
    for character in text[: limit + 1]:
        piece = character if character.isprintable() else ascii(character)[1:-1]
        left -= len(piece)
        pieces.append(piece)
    if left >= 0:
        return "".join(pieces)
    while pieces and left < 1:
        left += len(pieces.pop())
    return "".join(pieces) + "…"


def _text(row: Row, refusal: Refusal) -> str:
    values = {
        name: shown(value, _LONGER.get(name, MAX_INSERTED))
        for name, value in refusal.values.items()
    }
    if refusal.kind is RefusalKind.DENIED:
        return _denial(row, values)
    text = row.text if "portal" in values else row.text.replace(_CONNECT, _ASK)
    return text.format_map(_Values(values))


class _Values(dict[str, str]):
    """Fills a template whatever the caller left out: an error text must not become an error."""

    def __missing__(self, name: str) -> str:
        return _DEFAULTS.get(name, "?")


_DEFAULTS: Final = MappingProxyType({"expected": "valid", "pointer": "arguments"})


def _denial(row: Row, values: Mapping[str, str]) -> str:
    """`values`: agent; one of tool, prompt, resource, or service with relay; messages, joined."""
    if "relay" in values:
        text = (
            "Authorization denied: service '{service}' may not use '{relay}' for agent '{agent}'"
        ).format_map(_Values(values))
    else:
        kinds = (kind for kind in ("tool", "prompt", "resource") if kind in values)
        what = next((f"{kind} '{values[kind]}'" for kind in kinds), "this")
        text = row.text.format_map(_Values({**values, "what": what}))
    return f"{text}: {values['messages']}" if values.get("messages") else text


def _status(row: Row, refusal: Refusal, era: Era, request_errors: RequestErrors) -> int:
    # An internal error before a call has an id is a plain 500.
    is_early_bug = refusal.kind is RefusalKind.INTERNAL and refusal.call_id is None
    if row.follows_setting and request_errors == RequestErrors.JSONRPC and not is_early_bug:
        return 200
    return row.status_in(era)


def _headers(row: Row, refusal: Refusal) -> tuple[tuple[bytes, bytes], ...]:
    headers = [_JSON]
    if row.status == 401:
        # No resource_metadata: keys are static, clients must not start an OAuth flow.
        headers.append((b"www-authenticate", b'Bearer realm="wicket"'))
    if refusal.kind is RefusalKind.HTTP_METHOD:
        headers.append((b"allow", refusal.values.get("allow", "POST").encode("ascii")))
    retry_after_s = refusal.retry_after_s or row.retry_after_s
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode("ascii")))
    return tuple(headers)

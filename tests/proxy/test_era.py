"""Routing R, ladder M and the legacy rules, row by row; the SDK's server is the oracle."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared import inbound

from wicketd.domain.calls import Era, FrontRequest, Refusal, RefusalKind
from wicketd.proxy import era, errors, headers, jsonrpc
from wicketd.proxy.jsonrpc import Message, Notification, Request, Response
from wicketd.proxy.methods import METHODS
from wicketd.proxy.routed import Routed

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
META: dict[str, Any] = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}
INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "c", "version": "1"},
}


def front(method: str = "POST", **sent: str | list[str]) -> FrontRequest:
    pairs = tuple(
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in sent.items()
        for value in ([values] if isinstance(values, str) else values)
    )
    return FrontRequest(method, pairs, b"", "127.0.0.1")


def ask(method: str, params: dict[str, Any] | None = None) -> Request:
    return Request(1, method, params or {})


def modern(
    method: str, params: dict[str, Any] | None = None, meta: Any = None, **sent: Any
) -> Routed | Refusal:
    """A well-formed modern request, but for what the test changes."""
    body = {**(params or {}), "_meta": META if meta is None else meta}
    mirrors: dict[str, Any] = {"mcp_protocol_version": MODERN, "mcp_method": method}
    row = METHODS.get(method)
    named = body.get(row.name_param) if row and row.name_param else None
    if isinstance(named, str):
        mirrors["mcp_name"] = named
    given_headers = {k: v for k, v in {**mirrors, **sent}.items() if v is not None}
    return era.route(front(**given_headers), ask(method, body))


def legacy(message: Message, **sent: Any) -> Routed | Refusal:
    return era.route(front(**{"mcp_session_id": "s", **sent}), message)


def refused(got: Routed | Refusal | None) -> RefusalKind | None:
    return got.kind if isinstance(got, Refusal) else None


def routed(got: Routed | Refusal) -> Routed:
    assert isinstance(got, Routed), got
    return got


# -- R -----------------------------------------------------------------------------------------


@pytest.mark.requirement("R1")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("version", [MODERN, "2099-01-01", "", "2024-11-05"])
def test_a_get_or_delete_of_another_version_is_405(method: str, version: str) -> None:
    got = era.route(front(method, mcp_protocol_version=version, mcp_session_id="s"), None)
    assert got == Refusal(RefusalKind.HTTP_METHOD, {"allow": "POST"})


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("version", [None, "2025-03-26", "2025-11-25"])
def test_a_get_or_delete_with_a_session_names_it(method: str, version: str | None) -> None:
    sent = {"mcp_session_id": "s"} | ({"mcp_protocol_version": version} if version else {})
    got = routed(era.route(front(method, **sent), None))
    assert (got.era, got.session_id, got.version) == (Era.LEGACY, "s", version)


@pytest.mark.requirement("R3")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_get_or_delete_without_session_is_400_or_405(method: str) -> None:
    with_version = era.route(front(method, mcp_protocol_version="2025-06-18"), None)
    assert refused(with_version) is RefusalKind.NO_SESSION
    without = era.route(front(method), None)
    assert without == Refusal(RefusalKind.HTTP_METHOD, {"allow": "POST"})


@pytest.mark.requirement("R4", "L1")
@pytest.mark.parametrize("version", [None, *era.LEGACY_VERSIONS])
@pytest.mark.parametrize("meta", [None, META, {}, 5])
def test_initialize_is_legacy_whatever_its_meta_holds(version: str | None, meta: Any) -> None:
    sent = {"mcp_protocol_version": version} if version else {}
    params = INITIALIZE | ({"_meta": meta} if meta is not None else {})
    got = routed(era.route(front(mcp_session_id="old", **sent), ask("initialize", params)))
    assert got.era is Era.LEGACY
    assert got.session_id is None, "a session header on it is ignored"


@pytest.mark.requirement("L1")
@pytest.mark.parametrize("name", INITIALIZE)
def test_initialize_without_a_required_param_is_invalid(name: str) -> None:
    params = {key: value for key, value in INITIALIZE.items() if key != name}
    got = era.route(front(), ask("initialize", params))
    assert refused(got) is RefusalKind.PARAMS


@pytest.mark.requirement("L1")
@pytest.mark.parametrize(
    ("requested", "answered"),
    [*((version, version) for version in era.LEGACY_VERSIONS)]
    + [(version, "2025-11-25") for version in ("2024-11-05", MODERN, "", "x")],
)
def test_initialize_gets_its_version_or_the_newest_legacy_one(
    requested: str, answered: str
) -> None:
    assert era.negotiate(requested) == answered


@pytest.mark.requirement("R5")
def test_meta_or_a_foreign_version_header_makes_a_request_modern() -> None:
    assert routed(modern("tools/list")).era is Era.MODERN
    by_header = era.route(front(mcp_protocol_version="2099-01-01"), ask("tools/list"))
    assert refused(by_header) is RefusalKind.PARAMS
    one_of_two = front(mcp_protocol_version=["2025-11-25", MODERN])
    assert era.era_of(one_of_two, ask("tools/list")) is Era.MODERN


@pytest.mark.requirement("R5", "M6")
@pytest.mark.parametrize("version", [None, *era.LEGACY_VERSIONS])
def test_modern_meta_under_a_legacy_or_no_version_header_is_a_mismatch(
    version: str | None,
) -> None:
    got = modern("tools/list", mcp_protocol_version=version, mcp_session_id="s")
    assert got == headers.mismatch("mcp-protocol-version")


@pytest.mark.requirement("R5")
def test_initialize_under_a_modern_header_is_no_method_there() -> None:
    assert refused(modern("initialize", INITIALIZE)) is RefusalKind.METHOD
    bare = era.route(
        front(mcp_protocol_version=MODERN, mcp_method="initialize"), ask("initialize", INITIALIZE)
    )
    assert refused(bare) is RefusalKind.PARAMS


@pytest.mark.requirement("R6", "L3")
@pytest.mark.parametrize(
    "message",
    [ask("tools/list"), ask("nonsense"), Notification("x", {}), Response(1, {})],
)
def test_every_other_post_needs_a_session(message: Message) -> None:
    assert refused(era.route(front(), message)) is RefusalKind.NO_SESSION
    assert routed(legacy(message)).session_id == "s"


# -- L -----------------------------------------------------------------------------------------


@pytest.mark.requirement("L2")
@pytest.mark.parametrize("version", [None, *era.LEGACY_VERSIONS])
def test_any_legacy_version_header_or_none_is_accepted(version: str | None) -> None:
    sent = {"mcp_protocol_version": version} if version else {}
    assert routed(legacy(ask("tools/list"), **sent)).version == version


@pytest.mark.requirement("L3", "L7")
def test_the_session_is_looked_up_before_the_method() -> None:
    got = routed(legacy(ask("server/discover")))
    assert got.session_id == "s"
    assert got.pending == Refusal(RefusalKind.METHOD)
    assert got.method is None


@pytest.mark.requirement("L5")
@pytest.mark.parametrize("name", ["initialized", "cancelled", "progress", "roots/list_changed"])
def test_known_legacy_notifications_have_a_row(name: str) -> None:
    got = routed(legacy(Notification(f"notifications/{name}", {})))
    assert got.method is METHODS[f"notifications/{name}"]
    assert got.pending is None


@pytest.mark.requirement("L5")
@pytest.mark.parametrize("name", ["x", "tools/call", "initialize", "notifications/message"])
def test_other_legacy_notifications_are_taken_without_a_row(name: str) -> None:
    got = routed(legacy(Notification(name, {})))
    assert (got.method, got.pending) == (None, None)


@pytest.mark.requirement("L6")
def test_a_posted_response_is_handed_on_with_its_session() -> None:
    got = routed(legacy(Response("w1", {"a": 1})))
    assert got.message == Response("w1", {"a": 1})


LEGACY_METHODS = {
    "ping", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
    "resources/read", "resources/subscribe", "resources/unsubscribe", "resources/templates/list",
    "completion/complete", "logging/setLevel", "initialize",
}  # fmt: skip
MODERN_METHODS = {
    "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
    "resources/read", "resources/templates/list", "completion/complete", "subscriptions/listen",
}  # fmt: skip
FIT: dict[str, dict[str, Any]] = {
    "initialize": INITIALIZE,
    "tools/call": {"name": "a__b"},
    "prompts/get": {"name": "a__b"},
    "resources/read": {"uri": "a+x:y"},
    "resources/subscribe": {"uri": "a+x:y"},
    "resources/unsubscribe": {"uri": "a+x:y"},
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "a__b"},
        "argument": {"name": "x", "value": ""},
    },
    "logging/setLevel": {"level": "info"},
    "subscriptions/listen": {"notifications": {}},
}


@pytest.mark.requirement("L7")
@pytest.mark.parametrize("name", sorted(LEGACY_METHODS | MODERN_METHODS | {"tasks/get", ""}))
def test_legacy_serves_exactly_its_methods(name: str) -> None:
    got = routed(legacy(ask(name, FIT.get(name))))
    assert (got.pending is None) == (name in LEGACY_METHODS)


@pytest.mark.requirement("M8")
@pytest.mark.parametrize(
    "name",
    [
        *sorted(LEGACY_METHODS | MODERN_METHODS),
        *("tasks/get", "tasks/cancel", "", "notifications/cancelled", "sampling/createMessage"),
    ],
)
def test_modern_serves_exactly_its_methods(name: str) -> None:
    got = modern(name, FIT.get(name))
    expected = None if name in MODERN_METHODS else RefusalKind.METHOD
    assert refused(got) is expected


@pytest.mark.requirement("L7", "M9")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": "a__b", "arguments": []}),
        ("tools/call", {"name": "a__b", "arguments": "{}"}),
        ("prompts/get", {"name": "a__b", "arguments": {"x": 1}}),
        ("prompts/get", {"name": None}),
        ("resources/read", {}),
        ("resources/read", {"uri": ["a"]}),
        ("tools/list", {"cursor": 5}),
        ("completion/complete", {"ref": "x", "argument": {"name": "a", "value": "b"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt"}, "argument": {"name": "a"}}),
    ],
)
def test_params_unfit_for_the_method_are_refused_in_both_eras(
    method: str, params: dict[str, Any]
) -> None:
    pending = routed(legacy(ask(method, params))).pending
    assert refused(pending) is RefusalKind.PARAMS
    # A wrongly typed name can have no equal header either; M6 comes first.
    assert refused(modern(method, params)) in (RefusalKind.PARAMS, RefusalKind.HEADER_MISMATCH)


@pytest.mark.requirement("L7")
def test_null_under_an_optional_name_counts_as_absent() -> None:
    got = routed(legacy(ask("tools/call", {"name": "a__b", "arguments": None})))
    assert (got.pending, got.arguments) == (None, {})


@pytest.mark.requirement("L13")
def test_a_task_is_dropped_before_anything_reads_it() -> None:
    got = routed(legacy(ask("tools/call", {"name": "a__b", "task": {"ttl": 1}})))
    assert got.params == {"name": "a__b"}


# -- M -----------------------------------------------------------------------------------------


@pytest.mark.requirement("M1")
def test_session_headers_mean_nothing_to_a_modern_request() -> None:
    got = routed(modern("tools/list", mcp_session_id="foreign", last_event_id="x.1"))
    assert got.session_id is None


@pytest.mark.requirement("M2")
def test_a_modern_notification_is_taken_and_an_unsupported_version_is_told() -> None:
    cancelled = Notification("notifications/cancelled", {})
    got = routed(era.route(front(mcp_protocol_version=MODERN), cancelled))
    assert got.method is None, "it is dropped"
    other = era.route(front(mcp_protocol_version="2099-01-01"), cancelled)
    assert refused(other) is RefusalKind.VERSION
    without = era.route(front(), Notification("x", {"_meta": META}))
    assert refused(without) is RefusalKind.VERSION


@pytest.mark.requirement("M3")
def test_a_response_posted_under_a_modern_header_is_no_message() -> None:
    got = era.route(front(mcp_protocol_version=MODERN), Response(1, {}))
    assert refused(got) is RefusalKind.SHAPE


@pytest.mark.requirement("M4")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mcp_protocol_version", [MODERN, MODERN]),
        ("mcp_method", ["tools/call", "tools/call"]),
        ("mcp_name", ["a__b", "a__b"]),
        ("mcp_param_region", ["eu", "eu"]),
    ],
)
def test_a_mirror_sent_twice_is_a_mismatch_even_if_equal(name: str, values: list[str]) -> None:
    got = modern("tools/call", {"name": "a__b"}, mcp_foo=["1", "2"], **{name: values})
    assert refused(got) is RefusalKind.HEADER_MISMATCH
    assert isinstance(got, Refusal)
    assert got.values["fault"] == "appears more than once"


@pytest.mark.requirement("M5")
@pytest.mark.parametrize(
    "meta",
    [
        5, [], "x", {},
        {VERSION_KEY: MODERN}, {CAPABILITIES_KEY: {}},
        {**META, VERSION_KEY: 5}, {**META, VERSION_KEY: None}, {**META, CAPABILITIES_KEY: []},
        {**META, CAPABILITIES_KEY: None},
        {**META, "io.modelcontextprotocol/clientInfo": "x"},
        {**META, "io.modelcontextprotocol/logLevel": "loud"},
        {**META, "io.modelcontextprotocol/logLevel": 3},
        {**META, "io.modelcontextprotocol/logLevel": []},
    ],
)  # fmt: skip
def test_an_envelope_that_lacks_or_mistypes_a_key_is_refused(meta: Any) -> None:
    assert refused(modern("tools/list", meta=meta)) is RefusalKind.PARAMS


@pytest.mark.requirement("M5")
def test_the_optional_envelope_keys_are_read() -> None:
    meta = {
        **META,
        "io.modelcontextprotocol/clientInfo": {"name": "a\x1b[2Jb", "version": "x" * 300},
        "io.modelcontextprotocol/logLevel": "warning",
        "progressToken": 17,
    }
    got = routed(modern("tools/call", {"name": "a__b", "arguments": {"x": 1}}, meta=meta))
    assert got.client == ("a[2Jb", "x" * 256)
    assert (got.log_level, got.progress_token) == ("warning", 17)
    assert (got.front_id, got.name, got.arguments) == (1, "a__b", {"x": 1})


@pytest.mark.requirement("M6")
@pytest.mark.parametrize(
    ("method", "params", "sent"),
    [
        ("tools/list", {}, {"mcp_protocol_version": "2099-01-01"}),
        ("tools/list", {}, {"mcp_method": None}),
        ("tools/list", {}, {"mcp_method": "tools/call"}),
        ("tools/list", {}, {"mcp_method": "Tools/List"}),
        ("tools/list", {}, {"mcp_method": "=?base64?dG9vbHMvbGlzdA==?="}),
        ("tools/call", {"name": "a__b"}, {"mcp_name": None}),
        ("tools/call", {"name": "a__b"}, {"mcp_name": "A__B"}),
        ("tools/call", {"name": "a__b"}, {"mcp_name": "a__c"}),
        ("tools/call", {"name": "a__b"}, {"mcp_name": "=?base64?YV9fYw==?="}),
        ("tools/call", {"name": "a__b"}, {"mcp_name": "=?base64?YV9fYg?="}),
        ("tools/call", {"name": ""}, {"mcp_name": None}),
        ("tools/call", {"name": 5}, {"mcp_name": "5"}),
        ("prompts/get", {"name": "a__b"}, {"mcp_name": "a__c"}),
        ("resources/read", {"uri": "a+x:y"}, {"mcp_name": "a+x:z"}),
        ("resources/read", {"uri": "a+x:é"}, {"mcp_name": "a+x:é"}),
    ],
)
def test_a_header_that_differs_from_the_body_is_a_mismatch(
    method: str, params: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert refused(modern(method, params, **sent)) is RefusalKind.HEADER_MISMATCH


@pytest.mark.requirement("M6")
@pytest.mark.parametrize("sent", ["a__b", " a__b\t", "=?base64?YV9fYg==?=", " =?base64?YV9fYg==?="])
def test_a_name_is_trimmed_and_its_sentinel_decoded(sent: str) -> None:
    assert routed(modern("tools/call", {"name": "a__b"}, mcp_name=sent)).name == "a__b"


@pytest.mark.requirement("M6")
def test_a_name_outside_ascii_goes_through_the_sentinel() -> None:
    encoded = headers.encode_value("a+x:é")
    assert routed(modern("resources/read", {"uri": "a+x:é"}, mcp_name=encoded)).name == "a+x:é"


@pytest.mark.requirement("M7")
def test_an_unknown_version_is_answered_with_the_modern_ones_alone() -> None:
    meta = {**META, VERSION_KEY: "2099-01-01"}
    got = modern("tools/list", meta=meta, mcp_protocol_version="2099-01-01")
    assert isinstance(got, Refusal)
    assert got.kind is RefusalKind.VERSION
    assert got.data == {"supported": [MODERN], "requested": "2099-01-01"}


@pytest.mark.requirement("M7")
def test_a_version_is_told_before_an_unknown_method() -> None:
    meta = {**META, VERSION_KEY: "2099-01-01"}
    got = modern("nonsense", meta=meta, mcp_protocol_version="2099-01-01")
    assert refused(got) is RefusalKind.VERSION


@pytest.mark.requirement("M9")
@pytest.mark.parametrize(
    "notifications",
    [
        None,
        [],
        {"resourceSubscriptions": "a"},
        {"resourceSubscriptions": [1]},
        {"resourceSubscriptions": ["a"] * 257},
    ],
)
def test_a_listen_with_unfit_filters_is_refused(notifications: Any) -> None:
    got = modern("subscriptions/listen", {"notifications": notifications})
    assert refused(got) is RefusalKind.PARAMS


@pytest.mark.requirement("M10")
def test_param_headers_are_kept_for_the_comparison_with_the_schema() -> None:
    got = routed(modern("tools/call", {"name": "a__b"}, mcp_param_region=" eu ", x_other="1"))
    assert got.param_headers == {"mcp-param-region": "eu"}


# -- the SDK as oracle -------------------------------------------------------------------------

_VERSIONS = st.sampled_from([MODERN, "2025-11-25", "2099-01-01", "", "2026-07-28 "])
_META: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, 5, []]),
    st.fixed_dictionaries(
        {},
        optional={VERSION_KEY: _VERSIONS, CAPABILITIES_KEY: st.just({})},
    ),
)
_NAMES = st.sampled_from([None, "a__b", "é", "", " x", "=?base64?YV9fYg==?="])
_METHOD_NAMES = st.sampled_from(["tools/call", "tools/list", "resources/read", "nonsense", "ping"])
_SENT = st.fixed_dictionaries(
    {"mcp-protocol-version": _VERSIONS},
    optional={
        "mcp-method": _METHOD_NAMES,
        "mcp-name": st.sampled_from(
            [
                "a__b",
                "",
                "=?base64?YV9fYg==?=",
                "=?base64?w6k=?=",
                "=?base64?IHg=?=",
                "=?base64?x?=",
            ]
        ),
    },
)


@pytest.mark.requirement("M5", "M6", "M7")
@settings(max_examples=500)
@given(_METHOD_NAMES, _NAMES, _META, _SENT)
def test_the_ladder_answers_as_the_sdk_does(
    method: str, name: str | None, meta: Any, sent: dict[str, str]
) -> None:
    params: dict[str, Any] = {} if name is None else {"name": name, "uri": name}
    if meta is not None:
        params["_meta"] = meta
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    # Servers hand on trimmed values.
    trimmed = {key: value.strip() for key, value in sent.items()}
    if trimmed["mcp-protocol-version"] in era.LEGACY_VERSIONS:
        return
    pairs = tuple((key.encode(), value.encode()) for key, value in sent.items())
    got = era.route(FrontRequest("POST", pairs, b"", "::1"), Request(1, method, params))
    expected = inbound.classify_inbound_request(body, headers=trimmed)
    if isinstance(expected, inbound.InboundLadderRejection):
        assert isinstance(got, Refusal)
        assert errors.TABLE[got.kind].code_in(Era.MODERN) == expected.code
    else:
        # Method and params are the SDK's dispatcher's business, behind the ladder.
        assert refused(got) in (None, RefusalKind.METHOD, RefusalKind.PARAMS)


@contextlib.asynccontextmanager
async def reference() -> AsyncIterator[httpx.AsyncClient]:
    """The SDK's own server in this process."""
    manager = StreamableHTTPSessionManager(Server("reference"), json_response=True)
    async with manager.run():
        transport = httpx.ASGITransport(manager.handle_request)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": META}}
V = "mcp-protocol-version"
MEASURED: dict[str, tuple[str, dict[str, str], Any]] = {
    "GET of a modern version": ("GET", {V: MODERN}, None),
    "DELETE of an unknown version": ("DELETE", {V: "2099-01-01"}, None),
    "GET without a session": ("GET", {V: "2025-06-18"}, None),
    "POST without a session": ("POST", {V: "2025-11-25"}, {**LIST, "params": {}}),
    "unknown version without meta": ("POST", {V: "2099-01-01"}, {**LIST, "params": {}}),
    "initialize under a modern header": (
        "POST",
        {V: MODERN, "mcp-method": "initialize"},
        {**LIST, "method": "initialize", "params": {**INITIALIZE, "_meta": META}},
    ),
    "initialize under a modern header, no meta": (
        "POST",
        {V: MODERN, "mcp-method": "initialize"},
        {**LIST, "method": "initialize", "params": INITIALIZE},
    ),
    "modern method missing": ("POST", {V: MODERN, "mcp-method": "x"}, {**LIST, "method": "x"}),
    "modern ping": ("POST", {V: MODERN, "mcp-method": "ping"}, {**LIST, "method": "ping"}),
    "method header differs": ("POST", {V: MODERN, "mcp-method": "x"}, LIST),
    "version differs": (
        "POST",
        {V: "2099-01-01", "mcp-method": "tools/list"},
        LIST,
    ),
    "modern notification": (
        "POST",
        {V: MODERN},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
    ),
    "notification of an unknown version": (
        "POST", {V: "2099-01-01"}, {"jsonrpc": "2.0", "method": "n"}
    ),
    "modern response": ("POST", {V: MODERN}, {"jsonrpc": "2.0", "id": 1, "result": {}}),
    "modern batch": ("POST", {V: MODERN}, [LIST]),
}  # fmt: skip


def ours(http_method: str, sent: dict[str, str], body: Any) -> tuple[int, int | None]:
    """Status and code that the pure core gives, as the call path puts it together."""
    pairs = tuple((name.encode(), value.encode()) for name, value in (ACCEPT | sent).items())
    request = FrontRequest(http_method, pairs, msgspec.json.encode(body), "::1")
    assert headers.check_http(request) is None
    message = jsonrpc.decode(request.body) if http_method == "POST" else None
    got = message if isinstance(message, Refusal) else era.route(request, message)
    if isinstance(got, Routed):
        return 202, None
    seen_era = Era.LEGACY if isinstance(message, Refusal) else era.era_of(request, message)
    reply = errors.render(got, era=seen_era)
    return reply.status, msgspec.json.decode(reply.body)["error"]["code"]


@pytest.mark.requirement("M14", "R1", "R3", "R5")
@pytest.mark.parametrize("case", MEASURED)
async def test_status_and_code_are_those_of_the_reference_server(case: str) -> None:
    http_method, sent, body = MEASURED[case]
    async with reference() as client:
        content = None if body is None else msgspec.json.encode(body)
        answer = await client.request(http_method, "/mcp", headers=ACCEPT | sent, content=content)
    status, code = ours(http_method, sent, body)
    assert status == answer.status_code
    if answer.headers.get("content-type") == "application/json" and answer.content:
        assert code == answer.json()["error"]["code"]

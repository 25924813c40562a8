"""Media types, mirrored values and session candidates; the SDK is the oracle of the codec."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared import inbound

from wicketd.domain.agents import Agent
from wicketd.domain.calls import Caller, Era, FrontRequest, RefusalKind
from wicketd.domain.members import Member
from wicketd.proxy import headers

BOTH = (b"accept", b"application/json, text/event-stream")
JSON = (b"content-type", b"application/json")


def post(*pairs: tuple[bytes, bytes], method: str = "POST") -> FrontRequest:
    return FrontRequest(method, pairs, b"{}", "127.0.0.1")


def kind(request: FrontRequest) -> RefusalKind | None:
    refusal = headers.check_http(request)
    return None if refusal is None else refusal.kind


@pytest.mark.requirement("C8")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS", "post"])
def test_other_methods_are_refused_with_the_allowed_ones(method: str) -> None:
    refusal = headers.check_http(post(BOTH, JSON, method=method))
    assert refusal is not None
    assert refusal.kind is RefusalKind.HTTP_METHOD
    assert refusal.values["allow"] == "POST, GET, DELETE"


@pytest.mark.requirement("C9")
@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b"application/json;charset=UTF-8",
        b'application/json ; Charset="utf-8"',
        b" application/json ",
    ],
)
def test_spellings_of_json_are_accepted(value: bytes) -> None:
    assert kind(post(BOTH, (b"content-type", value))) is None


@pytest.mark.requirement("C9")
@pytest.mark.parametrize(
    "value",
    [
        b"", b"text/plain", b"application/jsonx", b"xapplication/json",
        b"application/json-patch+json",
        b"application/vnd.api+json", b"application/*", b"*/*", b"application/json, text/plain",
        b"text/plain, application/json", b"application/json; charset=utf-7",
        b"application/json; charset=utf-16", b"application/json; charset=latin1",
        b"application/json; charset=", b"application/json; charset=utf-8; q=1",
        b"application/json; boundary=x", b"application/json;",
        b"application/json; v=1; charset=utf-8",
        b"application/json charset=utf-8", b"application / json", b"application/ json",
        b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded",
        b'"application/json"', b"application\\json", b"application/json\x00",
        b"application/json%00",
        b"application/json; charset='utf-8'", b"text/json", b"json", b"APPLICATION",
        b"application/js",
    ],
)  # fmt: skip
def test_other_content_types_are_refused(value: bytes) -> None:
    assert kind(post(BOTH, (b"content-type", value))) is RefusalKind.CONTENT_TYPE


@pytest.mark.requirement("C9")
def test_a_missing_or_doubled_content_type_is_refused() -> None:
    assert kind(post(BOTH)) is RefusalKind.CONTENT_TYPE
    assert kind(post(BOTH, JSON, JSON)) is RefusalKind.CONTENT_TYPE


@pytest.mark.requirement("C9")
@pytest.mark.parametrize("value", [b"gzip", b"identity", b""])
def test_any_content_encoding_is_refused(value: bytes) -> None:
    assert kind(post(BOTH, JSON, (b"content-encoding", value))) is RefusalKind.CONTENT_ENCODING


ACCEPTED = [
    b"application/json, text/event-stream",
    b"text/event-stream,application/json",
    b"APPLICATION/JSON; q=0.9, Text/Event-Stream;q=0.1",
    b"*/*",
    b"application/*, text/*",
    b"application/json, */*;q=0.1",
    b"application/json;profile=x, text/event-stream",
]
REFUSED = [
    b"",
    b"application/json",
    b"text/event-stream",
    b"text/html",
    b"application/*",
    b"application/jsonx, text/event-stream",
    b"json, event-stream",
]
WEIGHED_OUT = [
    b"application/json;q=0, text/event-stream",
    b"application/json, text/event-stream; q=0.000",
    b"*/*;q=0",
    b"application/json;q=0, */*",
]


@pytest.mark.requirement("C10")
@pytest.mark.parametrize("value", ACCEPTED)
def test_an_accept_that_admits_both_types_passes(value: bytes) -> None:
    assert kind(post((b"accept", value), JSON)) is None


@pytest.mark.requirement("C10")
@pytest.mark.parametrize("value", REFUSED + WEIGHED_OUT)
def test_an_accept_that_lacks_a_type_is_not_acceptable(value: bytes) -> None:
    assert kind(post((b"accept", value), JSON)) is RefusalKind.NOT_ACCEPTABLE


@pytest.mark.requirement("C10")
def test_no_accept_header_admits_everything_and_two_are_read_as_one() -> None:
    assert kind(post(JSON)) is None
    split = (b"accept", b"application/json"), (b"accept", b"text/event-stream")
    assert kind(post(*split, JSON)) is None


@pytest.mark.requirement("C10")
def test_get_needs_the_stream_type_alone_and_delete_needs_none() -> None:
    assert kind(post((b"accept", b"text/event-stream"), method="GET")) is None
    assert kind(post((b"accept", b"application/json"), method="GET")) is RefusalKind.NOT_ACCEPTABLE
    assert kind(post((b"accept", b"text/html"), method="DELETE")) is None


# -- the codec ---------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.text())
def test_the_codec_writes_what_the_sdk_writes_and_reads_it_back(value: str) -> None:
    encoded = headers.encode_value(value)
    assert encoded == inbound.encode_header_value(value)
    assert headers.decode_value(encoded.encode("ascii")) == value


@settings(max_examples=500)
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
    | st.from_regex(r"\A=\?base64\?[A-Za-z0-9+/=]{0,12}\?=\Z")
)
def test_the_codec_reads_what_the_sdk_reads(value: str) -> None:
    trimmed = value.strip(" \t")
    assert headers.decode_value(value.encode()) == inbound.decode_header_value(trimmed)


@pytest.mark.requirement("M6")
@pytest.mark.parametrize(
    "raw",
    [
        b"caf\xc3\xa9",
        b"caf\xe9",
        b"=?base64?!!!?=",
        b"=?base64?YQ?=",
        b"=?base64?YR==?=",
        b"=?base64?/w==?=",
        b"=?base64?7aCA?=",
    ],
)
def test_a_value_that_has_no_one_reading_has_none(raw: bytes) -> None:
    assert headers.decode_value(raw) is None


# -- Mcp-Param-* -------------------------------------------------------------------------------

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "plain": {"type": "string"},
        "box": {
            "type": "object",
            "properties": {"id": {"type": "string", "x-mcp-header": "Box-Id"}},
        },
        "list": {"type": "array", "items": {"type": "string", "x-mcp-header": "Never"}},
        "odd": {"type": "string", "x-mcp-header": 5},
        "bad token": {"type": "string", "x-mcp-header": "a b"},
        "no schema": True,
    },
}
# The SDK rejects a schema with an invalid annotation as a whole; ours are left out of its copy.
CLEAN = {
    "type": "object",
    "properties": {
        name: child
        for name, child in SCHEMA["properties"].items()
        if name in ("region", "count", "dry", "plain", "box")
    },
}
DECLARED = headers.declared_params(SCHEMA)


def test_only_properties_on_a_pure_chain_are_declared() -> None:
    found = {param.header: param.path for param in DECLARED}
    assert found == {
        "mcp-param-region": ("region",),
        "mcp-param-count": ("count",),
        "mcp-param-dry": ("dry",),
        "mcp-param-box-id": ("box", "id"),
    }
    assert headers.declared_params(None) == ()
    assert headers.declared_params({"properties": []}) == ()


_REGION: st.SearchStrategy[Any] = st.sampled_from(
    [None, "eu", "é", " eu", "=?base64?ZQ==?=", "", 5, 1.5, [], {}]
)
_COUNT: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 42, 42.0, 42.5, -1, 10**30, "42", True, []]
)
_ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "region": _REGION,
        "count": _COUNT,
        "dry": st.sampled_from([None, True, False, "true", 1]),
        "plain": st.just("x"),
        "box": st.sampled_from([None, {}, {"id": "a"}, {"id": None}, "x"]),
    },
)


@settings(max_examples=200)
@given(_ARGUMENTS)
def test_param_headers_are_rebuilt_as_the_sdk_builds_them(arguments: dict[str, Any]) -> None:
    expected = inbound.mcp_param_headers(inbound.x_mcp_header_map(CLEAN), arguments)
    got = headers.param_headers(DECLARED, arguments)
    assert got == {name.lower(): value for name, value in expected.items()}


_RAW = st.sampled_from(
    ["eu", "", "=?base64?w6k=?=", "=?base64?!?=", "42", "42.0", "42.5", "042", "4e1", "-1", "a"]  # noqa: RUF005
    + ["true", "false", "True", "1", "1.5", "5", "1" + "0" * 30, "=?base64?NDI=?="]
)


@pytest.mark.requirement("M10")
@settings(max_examples=500)
@given(
    _ARGUMENTS,
    st.dictionaries(
        st.sampled_from([param.header for param in DECLARED] + ["mcp-param-never"]), _RAW
    ),
)
def test_param_headers_are_compared_as_the_sdk_compares_them(
    arguments: dict[str, Any], sent: dict[str, str]
) -> None:
    expected = inbound.validate_mcp_param_headers(CLEAN, arguments, sent)
    got = headers.check_param_headers(DECLARED, arguments, sent)
    assert (got is None) == (expected is None)


@pytest.mark.requirement("M10")
@settings(max_examples=300)
@given(_ARGUMENTS)
def test_rebuilt_headers_always_agree(arguments: dict[str, Any]) -> None:
    sent = headers.param_headers(DECLARED, arguments)
    assert headers.check_param_headers(DECLARED, arguments, sent) is None


@pytest.mark.requirement("M10")
def test_a_mismatch_names_the_header_and_never_its_value() -> None:
    refusal = headers.check_param_headers(
        DECLARED, {"box": {"id": "s3cret"}}, {"mcp-param-box-id": "0ther"}
    )
    assert refusal is not None
    assert refusal.kind is RefusalKind.HEADER_MISMATCH
    assert refusal.values["header"] == "Mcp-Param-Box-Id"
    assert not {"s3cret", "0ther"} & set(refusal.values.values())


# -- tool-session candidates -------------------------------------------------------------------


def caller(**changes: Any) -> Caller:
    values = {"ip": "10.0.0.1", "user_agent": "test", "key_id": "Zx81Kq0A", **changes}
    agent: Agent = None  # type: ignore[assignment]  # no candidate depends on it
    member: Member = None  # type: ignore[assignment]  # no candidate depends on it
    return Caller(agent=agent, member=member, key_row="r", secret=_Secret(), **values)


class _Secret:
    def reveal(self) -> bytes:
        return b""


def candidates(
    *pairs: tuple[bytes, bytes], era: Era = Era.LEGACY, meta: Any = None, **changes: Any
) -> list[tuple[str, str]]:
    found = headers.session_candidates(post(*pairs), meta or {}, era, caller(**changes))
    return [(candidate.source, candidate.value) for candidate in found]


SENT = (
    (b"x-mcp-session-id", b"d"),
    (b"openai-conversation-id", b"c"),
    (b"mcp-session-id", b"b"),
    (b"x-claude-code-session-id", b"a"),
)


def test_candidates_come_in_the_hosted_order_and_end_with_the_fingerprint() -> None:
    found = candidates(*SENT, meta={"sessionId": "f", "wicket/sessionId": "e"})
    assert [value for _, value in found[:-1]] == list("abcdef")
    assert found[-1][0] == "fingerprint"


def test_the_mcp_session_id_counts_for_legacy_requests_only() -> None:
    assert "b" not in [value for _, value in candidates(*SENT, era=Era.MODERN)]


def test_an_id_of_other_characters_is_hashed() -> None:
    for value in (b"a b", b"x" * 129, b"caf\xe9", b"\x1b[2J"):
        found = candidates((b"x-mcp-session-id", value))[0][1]
        assert len(found) == 64
    assert candidates(meta={"sessionId": "\ud800"})[0][1].isalnum()
    assert candidates((b"x-mcp-session-id", b"x" * 128))[0][1] == "x" * 128


def test_the_fingerprint_depends_on_ip_user_agent_and_key() -> None:
    cases: tuple[dict[str, Any], ...] = ({}, {"ip": "::1"}, {"user_agent": "u"}, {"key_id": "k"})
    seen = {candidates(**changes)[-1][1] for changes in cases}
    assert len(seen) == 4


def test_empty_and_odd_candidates_are_not_there() -> None:
    meta = {"sessionId": 5, "wicket/sessionId": ""}
    assert len(candidates((b"x-mcp-session-id", b""), meta=meta)) == 1

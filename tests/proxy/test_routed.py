"""What the call path reads off a routed request."""

from typing import Any

import pytest

from wicketd.domain.calls import Era
from wicketd.proxy.jsonrpc import Notification, Request, Response
from wicketd.proxy.routed import Routed, label


def routed(params: dict[str, Any], era: Era = Era.LEGACY) -> Routed:
    return Routed(era, None, Request(1, "m", params))


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"name": "a__b"}, "a__b"),
        ({"uri": "a+x:y"}, "a+x:y"),
        ({"ref": {"type": "ref/prompt", "name": "a__b"}}, "a__b"),
        ({"ref": {"type": "ref/resource", "uri": "a+x:{y}"}}, "a+x:{y}"),
        ({"ref": {"uri": 5}}, ""),
        ({"ref": "x", "name": 5}, ""),
        ({}, ""),
    ],
)
def test_the_name_is_where_the_method_keeps_it(params: dict[str, Any], name: str) -> None:
    assert routed(params).name == name


def test_a_request_without_body_or_with_a_posted_response_has_no_params() -> None:
    for message in (None, Response(1, {"_meta": {}})):
        got = Routed(Era.LEGACY, None, message)
        assert (got.params, got.meta, got.arguments, got.front_id) == ({}, {}, {}, None)
    assert Routed(Era.LEGACY, None, Notification("m", {"a": 1})).params == {"a": 1}


@pytest.mark.parametrize(
    ("token", "expected"), [(1, 1), ("a", "a"), (True, None), (1.5, None), ([], None), (None, None)]
)
def test_a_progress_token_is_a_string_or_an_integer(token: Any, expected: Any) -> None:
    assert routed({"_meta": {"progressToken": token}}).progress_token == expected


def test_level_and_client_are_read_from_modern_requests() -> None:
    meta = {
        "io.modelcontextprotocol/logLevel": "info",
        "io.modelcontextprotocol/clientInfo": {"name": "n"},
    }
    assert routed({"_meta": meta}, Era.MODERN).log_level == "info"
    assert routed({"_meta": meta}, Era.LEGACY).log_level is None
    assert routed({"_meta": meta}, Era.MODERN).client == ("n", None)


def test_a_label_is_printable_and_short() -> None:
    assert label("a\u202e\x1b[31mb\n") == "a[31mb"
    assert label("x" * 300) == "x" * 256
    assert label(5) is None

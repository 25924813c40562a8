"""JSON of authorization servers is read strictly, and answers never print."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.oauth.answers import RawAnswer, json_object


def test_an_object_is_read() -> None:
    assert json_object(b'{"a": {"b": [1, "x:y\\":"]}}') == {"a": {"b": [1, 'x:y":']}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1}{"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"{" * 100_000,
    ],
)
def test_a_text_that_is_no_plain_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\A(not|a member|nested)"):
        json_object(body)


def test_a_refusal_quotes_nothing_of_the_text() -> None:
    with pytest.raises(ValueError, match="not JSON") as refusal:
        json_object(b'{"access_token": canary')
    assert refusal.value.__cause__ is None
    assert "canary" not in str(refusal.value)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_what_the_standard_library_writes_is_read_back(value: dict[str, object]) -> None:
    assert json_object(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    try:
        assert isinstance(json_object(body), dict)
    except ValueError:
        return


def test_an_answer_never_prints_its_body_or_headers() -> None:
    answer = RawAnswer(200, {"set-cookie": "canary"}, b"canary")
    assert "canary" not in repr(answer)

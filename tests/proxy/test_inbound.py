import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.errors import Malformed
from wicketd.proxy.inbound import BATCH_MAX, VALUES_CAP, VALUES_MAX, RpcError, decode

ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'


def test_an_answer_needs_our_very_id_and_one_of_result_and_error() -> None:
    messages = decode(ANSWER, may_batch=False)
    assert messages is not None
    assert messages[0].answers(1)
    assert not messages[0].answers(2)


def test_a_request_is_told_from_a_notification() -> None:
    for text, is_request in (
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', True),
        (b'{"jsonrpc":"2.0","id":"x","method":"ping"}', True),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', False),
        (b'{"jsonrpc":"2.0","method":"ping"}', False),
    ):
        messages = decode(text, may_batch=False)
        assert messages is not None
        assert messages[0].is_request is is_request


@pytest.mark.parametrize("size", [1, BATCH_MAX, BATCH_MAX + 1])
def test_a_batch_has_64_messages_at_most(size: int) -> None:
    text = b"[" + b",".join([ANSWER] * size) + b"]"
    messages = decode(text, may_batch=True)
    assert (None if messages is None else len(messages)) == (size if size <= BATCH_MAX else None)
    assert decode(text, may_batch=False) is None


def test_an_error_keeps_code_message_and_data_only() -> None:
    assert RpcError(1, "x").as_object() == {"code": 1, "message": "x"}
    assert RpcError(1, "x", None).as_object() == {"code": 1, "message": "x", "data": None}


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789idjsonrpc.eE+-', max_size=60))
def test_decoding_is_total(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    for may_batch in (False, True):
        messages = decode(raw, may_batch=may_batch)
        assert messages is None or all(each.jsonrpc == "2.0" for each in messages)


def test_deep_nesting_is_no_message() -> None:
    deep = b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert decode(deep, may_batch=False) is None


def rich(values: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"result":{"x":[' + values + b"0]}}"


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,", b'"a",', b'{"a":1},', b'"\\"[",'])
def test_more_values_than_the_cap_are_refused_before_they_are_built(value: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode(rich(value * VALUES_MAX), may_batch=False)
    assert caught.value.cap == VALUES_CAP
    messages = decode(rich(value * (VALUES_MAX // 8)), may_batch=False)
    assert messages is not None
    assert messages[0].answers(1)


@pytest.mark.parametrize(
    "text", [b'"' + b"a,[{" * VALUES_MAX + b'"', b'"' + b'\\",' * VALUES_MAX + b'"']
)
def test_a_long_text_is_one_value_whatever_it_holds(text: bytes) -> None:
    messages = decode(rich(text + b","), may_batch=False)
    assert messages is not None
    assert messages[0].answers(1)

"""The strict decode: what it refuses, what it costs, and that it equals msgspec on the rest."""

import inspect
import json
import sys
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wicketd.domain.calls import Refusal, RefusalKind
from wicketd.proxy import jsonrpc
from wicketd.proxy.jsonrpc import Notification, Request, Response

MIB = 1 << 20


def call(arguments: str) -> bytes:
    text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__b","arguments":%s}}'
    return (text % arguments).encode()


def kind(body: bytes) -> RefusalKind | None:
    got = jsonrpc.decode(body)
    return got.kind if isinstance(got, Refusal) else None


BAD_TEXTS = {
    "empty": b"",
    "blank": b"  ",
    "bom": b"\xef\xbb\xbf" + call("{}"),
    "utf-16": call("{}").decode().encode("utf-16"),
    "utf-16 without bom": call("{}").decode().encode("utf-16-le"),
    "bad utf-8": call('{"a":"\xff"}').decode().encode("latin-1"),
    "overlong utf-8": call("{}").replace(b"a__b", b"\xc0\x80"),
    "surrogate as utf-8": call("{}").replace(b"a__b", b"\xed\xa0\x80"),
    "bad utf-8 in a name": call("{}").replace(b'"name"', b'"name\xff"'),
    "lone high surrogate": call('"\\ud800"'),
    "lone low surrogate": call('"\\udc00"'),
    "high surrogate and letter": call('"\\ud800\\u0041"'),
    "lone surrogate in a name": call('{"\\ud800":1}'),
    "NaN": call("NaN"),
    "Infinity": call("Infinity"),
    "-Infinity": call("-Infinity"),
    "float overflow": call("1e999"),
    "negative float overflow": call("-1e999"),
    "4,301 digits": call("9" * 4301),
    "4,301 digits with a sign": call("-" + "9" * 4301),
    "duplicate member": call('{"a":1,"a":2}'),
    "duplicate member, escaped": call('{"a":1,"\\u0061":2}'),
    "duplicate method": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    "duplicate in a list": call('[{"a":{"b":1,"b":1}}]'),
    "arguments of depth 33": call('{"a":' * 32 + "{}" + "}" * 32),
    "arguments of depth 33 in lists": call("[" * 33 + "]" * 33),
    "depth 65": b"[" * 65 + b"]" * 65,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth without end": b"[" * 100_000,
    "brackets that do not match": b"[" * 65 + b"}" * 65,
    "10,001 values": call("[" + ",".join("1" * 10_000) + "]"),
    "10,001 empty lists": call("[" + ",".join(["[]"] * 10_001) + "]"),
    "10,001 empty objects": call("[" + ",".join(["{}"] * 10_001) + "]"),
    "too many strings": b'""' * 20_001,
    "trailing comma": call("[1,]"),
    "trailing text": call("{}") + b"x",
    "two messages": call("{}") + b"\n" + call("{}"),
    "comment": b"/**/" + call("{}"),
    "single quotes": b"{'jsonrpc':'2.0'}",
    "raw newline in a string": call('"a\nb"'),
    "raw NUL in a string": call('"a\0b"'),
    "leading zero": call("01"),
    "plus": call("+1"),
    "hex": call("0x1"),
    "bare dot": call("1."),
    "unterminated string": call('"abc')[:-3],
    "unterminated escape": b'{"a":"\\',
    "bad escape": call('"\\x41"'),
    "truncated": call("{}")[:-1],
    "form feed as space": b"\x0c" + call("{}"),
}


@pytest.mark.requirement("C12")
@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_text_that_is_not_strict_json_is_a_parse_error(case: str) -> None:
    assert kind(BAD_TEXTS[case]) is RefusalKind.PARSE


GOOD_ARGUMENTS = {
    "depth 32": "[" * 32 + "]" * 32,
    "depth 32 in objects": '{"a":' * 31 + "{}" + "}" * 31,
    "9,990 values": "[" + ",".join("1" * 9_990) + "]",
    "escapes": '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"',
    "quotes and backslashes": '{"a\\\\":"\\\\\\"{[,:","b\\"":[1]}',
    "brackets in strings": '"' + "[{" * 5_000 + '"',
    "commas in strings": '"' + "," * 20_000 + '"',
    "escaped quotes in a string": '"' + '\\"' * 50_000 + '"',
    "4,300 digits": "9" * 4300,
    "large integer": "12345678901234567890123",
    "float": "-0.5e-3",
    "unicode": '"é😀"',
    "same name on two levels": '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    "prototype names": '{"__proto__":1,"constructor":{}}',
    "null": "null",
}


@pytest.mark.requirement("C12")
@pytest.mark.parametrize("case", GOOD_ARGUMENTS)
def test_strict_json_is_read_as_msgspec_reads_it(case: str) -> None:
    body = call(GOOD_ARGUMENTS[case])
    got = jsonrpc.decode(body)
    assert isinstance(got, Request)
    assert got.params == msgspec.json.decode(body)["params"]


@pytest.mark.requirement("C12")
def test_commas_and_openers_are_counted_up_to_10_000() -> None:
    # Around the list lie 3 openers and 4 commas; n items have n - 1 commas.
    at_the_cap = call("[" + ",".join("1" * 9_994) + "]")
    assert isinstance(jsonrpc.decode(at_the_cap), Request)
    assert kind(at_the_cap.replace(b"[1", b"[1,1")) is RefusalKind.PARSE


def test_only_the_arguments_are_held_to_depth_32() -> None:
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":' + b"[" * 62 + b"]" * 62 + b"}}"
    )
    assert isinstance(jsonrpc.decode(body), Request)
    assert kind(body.replace(b"[[", b"[[[").replace(b"]]", b"]]]")) is RefusalKind.PARSE


ANSWER = {"jsonrpc": "2.0", "id": 1}
BAD_SHAPES: dict[str, Any] = {
    "array": [],
    "batch": [{"jsonrpc": "2.0", "id": 1, "method": "ping"}],
    "nested batch": [[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]],
    "string": "ping",
    "number": 1,
    "null": None,
    "true": True,
    "empty object": {},
    "no jsonrpc": {"id": 1, "method": "ping"},
    "jsonrpc 1.0": {"jsonrpc": "1.0", "id": 1, "method": "ping"},
    "jsonrpc as number": {"jsonrpc": 2.0, "id": 1, "method": "ping"},
    "id null": {"jsonrpc": "2.0", "id": None, "method": "ping"},
    "id true": {"jsonrpc": "2.0", "id": True, "method": "ping"},
    "id float": {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
    "id whole float": {"jsonrpc": "2.0", "id": 1.0, "method": "ping"},
    "id list": {"jsonrpc": "2.0", "id": [1], "method": "ping"},
    "id object": {"jsonrpc": "2.0", "id": {}, "method": "ping"},
    "id of 257 characters": {"jsonrpc": "2.0", "id": "x" * 257, "method": "ping"},
    "id 2^53": {"jsonrpc": "2.0", "id": 2**53, "method": "ping"},
    "id -2^53": {"jsonrpc": "2.0", "id": -(2**53), "method": "ping"},
    "method null": {"jsonrpc": "2.0", "id": 1, "method": None},
    "method number": {"jsonrpc": "2.0", "id": 1, "method": 1},
    "method of 129 characters": {"jsonrpc": "2.0", "id": 1, "method": "x" * 129},
    "params list": {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
    "params null": {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": None},
    "params text": {"jsonrpc": "2.0", "method": "x", "params": "a"},
    "method and result": {**ANSWER, "method": "ping", "result": {}},
    "method and error": {**ANSWER, "method": "ping", "error": {}},
    "notification and result": {"jsonrpc": "2.0", "method": "x", "result": {}},
    "result and error": {**ANSWER, "result": {}, "error": {}},
    "answer without id": {"jsonrpc": "2.0", "result": {}},
    "answer with id null": {"jsonrpc": "2.0", "id": None, "error": {}},
    "error text": {**ANSWER, "error": "x"},
    "error null": {**ANSWER, "error": None},
    "id alone": ANSWER,
}


@pytest.mark.requirement("C13")
@pytest.mark.parametrize("case", BAD_SHAPES)
def test_json_that_is_not_one_message_is_an_invalid_request(case: str) -> None:
    assert kind(json.dumps(BAD_SHAPES[case]).encode()) is RefusalKind.SHAPE


@pytest.mark.requirement("C13")
@pytest.mark.parametrize("request_id", [0, 1, -1, 2**53 - 1, -(2**53) + 1, "", "a", "é" * 256])
def test_ids_that_every_json_implementation_holds_are_accepted(request_id: int | str) -> None:
    body = jsonrpc.encode(jsonrpc.request(request_id, "ping", {}))
    assert jsonrpc.decode(body) == Request(request_id, "ping", {})


@pytest.mark.requirement("C13")
def test_the_three_shapes_are_told_apart() -> None:
    cases = {
        b'{"jsonrpc":"2.0","id":"a","method":"m"}': Request("a", "m", {}),
        b'{"jsonrpc":"2.0","method":"m","params":{"a":1}}': Notification("m", {"a": 1}),
        b'{"jsonrpc":"2.0","id":1,"result":null}': Response(1, None),
        b'{"jsonrpc":"2.0","id":1,"result":[1]}': Response(1, [1]),
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}': Response(1, None, {"code": 1}),
    }
    assert {body: jsonrpc.decode(body) for body in cases} == cases


@pytest.mark.requirement("C12")
def test_unknown_top_level_members_are_dropped() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{},"task":{},"Method":"n"}'
    assert jsonrpc.decode(body) == Request(1, "m", {})


@pytest.mark.requirement("C12")
def test_encoding_is_compact_and_stays_on_one_line() -> None:
    message = jsonrpc.success(1, {"text": "a\r\nb\u2028é", "n": [1, 2.5, None]})
    encoded = jsonrpc.encode(message)
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert encoded == (
        '{"jsonrpc":"2.0","id":1,"result":{"text":"a\\r\\nb\u2028é","n":[1,2.5,null]}}'.encode()
    )


def test_each_built_message_reads_back_as_itself() -> None:
    built = {
        "request": (jsonrpc.request(1, "m", {"a": 1}), Request(1, "m", {"a": 1})),
        "notification": (jsonrpc.notification("m", {}), Notification("m", {})),
        "success": (jsonrpc.success("x", {}), Response("x", {})),
        "failure": (jsonrpc.failure(1, {"code": 2}), Response(1, None, {"code": 2})),
    }
    for message, expected in built.values():
        assert jsonrpc.decode(jsonrpc.encode(message)) == expected


def test_parse_reads_any_strict_json_and_raises_on_the_rest() -> None:
    assert jsonrpc.parse(b"[1]") == [1]
    for text in BAD_TEXTS.values():
        if text.startswith(b'{"jsonrpc":"2.0","id":1,"method":"tools/call"') and b"[" * 33 in text:
            continue  # The depth of arguments is a rule of messages.
        if b'{"a":' * 32 in text:
            continue
        with pytest.raises(ValueError):  # noqa: PT011 - every reason is a ValueError
            jsonrpc.parse(text)


def test_a_stack_that_runs_out_is_a_parse_error() -> None:
    body = call("[" * 32 + "]" * 32)

    def below(frames: int) -> tuple[Any, Any]:
        if frames:
            return below(frames - 1)
        try:
            parsed = jsonrpc.parse(body)
        except ValueError as error:
            parsed = str(error)
        return jsonrpc.decode(body), parsed

    frames = sys.getrecursionlimit() - len(inspect.stack(0)) - 20
    assert below(frames) == (jsonrpc.PARSE, "JSON is nested too deeply")


def test_only_requests_have_an_id_to_answer_under() -> None:
    cases = (Request("a", "m", {}), Notification("m", {}), Response(1), None)
    assert [jsonrpc.id_of(message) for message in cases] == ["a", None, None, None]


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_VALUES = st.recursive(
    _SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(_VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_accepted_equals_msgspec(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    got = jsonrpc.parse(body)
    expected = msgspec.json.decode(body)
    assert got == expected
    assert repr(got) == repr(expected)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_mutants_are_refused_or_read_as_both_msgspec_and_the_standard_library_do(
    data: st.DataObject,
) -> None:
    body = data.draw(st.sampled_from([call(text) for text in GOOD_ARGUMENTS.values()]))[:400]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        insert = data.draw(st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"1"]))
        body = body[:at] + insert + body[at + data.draw(st.integers(0, 1)) :]
    try:
        got = jsonrpc.parse(body)
    except ValueError:
        return
    assert got == msgspec.json.decode(body)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a duplicate member passed"
        return dict(pairs)

    assert got == json.loads(body, object_pairs_hook=unique)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise(body: bytes) -> None:
    jsonrpc.decode(body)


WORST = {
    "commas": b"[]," * (MIB // 3),
    "strings": b'["' + b'","' * (MIB // 3) + b'"]',
    "escaped quotes": b'"' + b'\\"' * (MIB // 2),
    "escaped backslashes": b'"' + b"\\\\" * (MIB // 2),
    "escaped quotes outside a string": b'\\"' * (MIB // 2),
    "quotes": b'"' * MIB,
    "backslashes": b"\\" * MIB,
    "colons": b":" * MIB,
    "open brackets": b"[" * MIB,
    "closing brackets": b"]" * MIB,
    "64 levels, many times": b"[" + b",".join([b"[" * 63 + b"]" * 63] * 150) + b"]",
    "4,900 objects": b"[" + b",".join(b'{"%d":1}' % n for n in range(4_900)) + b"]",
    "long integers": b"[" + b",".join([b"9" * 4300] * 243) + b"]",
    "long floats": b"[" + b",".join([b"0." + b"9" * 98] * 9_998) + b"]",
    "space": b" " * MIB + b"1",
    "unicode escapes": b'"' + b"\\u00e9" * (MIB // 6) + b'"',
    "strings with escapes": b'["' + b'","'.join([b'\\"' * 50] * 9_990) + b'"]',
    "unterminated string": b'{"a":"' + b"x" * MIB,
}


@pytest.mark.requirement("C12")
@pytest.mark.parametrize("case", WORST)
def test_1_mib_of_the_worst_input_is_bounded(case: str) -> None:
    """Measured: at most 35 ms. The bar of 1 s tells linear from quadratic on any machine."""
    began = time.process_time()
    jsonrpc.decode(WORST[case])
    assert time.process_time() - began < 1

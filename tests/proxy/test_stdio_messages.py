"""Lines over pipes: how they are cut, and who hears which message."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.proxy.inbound import Message
from wicketd.proxy.stdio_messages import JUNK_MAX, Askers, Lines, TooLong

LINE = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"").strip(b"\r \t"))


def read(askers: Askers, **fields: object) -> Message:
    message = askers.read(msgspec.json.encode({"jsonrpc": "2.0", **fields}))
    assert message is not None
    return message


@given(st.lists(LINE), st.lists(st.integers(1, 40)))
def test_lines_are_the_same_however_the_bytes_arrive(sent: list[bytes], sizes: list[int]) -> None:
    stream, lines, got = b"".join(line + b"\n" for line in sent), Lines(100), []
    for size in itertools.chain(sizes, [len(stream) + 1]):
        got += lines.feed(stream[:size])
        stream = stream[size:]
    assert got == [line for line in sent if line]
    assert lines.held_bytes == 0


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 11 + b"\n"], [b"x" * 6, b"x" * 5]])
def test_a_line_over_the_cap_is_refused_before_it_ends(chunks: list[bytes]) -> None:
    lines = Lines(10)
    assert lines.feed(b"x" * 10 + b"\n") == [b"x" * 10]
    with pytest.raises(TooLong):  # noqa: PT012  # which chunk raises differs
        for chunk in chunks:
            lines.feed(chunk)


def test_an_answer_belongs_to_the_request_of_its_id_and_to_no_other() -> None:
    askers = Askers(is_shared=False)
    askers.add(1, lambda _: None)
    assert askers.asker_of(read(askers, id=1, result={})) == 1
    others: list[dict[str, object]] = [
        {"id": 2, "result": {}},
        {"id": "1", "result": {}},
        {"id": None, "result": {}},
    ]
    for fields in others:
        assert askers.asker_of(read(askers, **fields)) is None
    assert askers.asker_of(read(askers, id=1, result={}, error={"code": 1, "message": ""})) is None
    askers.remove(1)
    assert askers.asker_of(read(askers, id=1, result={})) is None


@pytest.mark.parametrize("is_shared", [False, True])
def test_progress_goes_by_its_token_and_the_rest_to_the_newest(*, is_shared: bool) -> None:
    heard: list[str] = []
    askers = Askers(is_shared=is_shared)
    askers.add(1, lambda _: heard.append("first"))
    askers.add(2, lambda _: heard.append("second"))
    notes = (
        read(askers, method="notifications/progress", params={"progressToken": 1}),
        read(askers, method="notifications/progress", params={"progressToken": "1"}),
        read(askers, method="notifications/message", params={}),
    )
    for note in notes:
        if (listener := askers.listener_of(note)) is not None:
            listener(note)
    assert heard == (["first"] if is_shared else ["first", "second"])


def test_only_lines_in_a_row_that_are_no_messages_are_silly() -> None:
    askers = Askers(is_shared=False)
    for _ in range(3):
        for _ in range(JUNK_MAX):
            assert askers.read(b"banner") is None
        assert not askers.is_silly
        read(askers, method="notifications/message")
    for _ in range(JUNK_MAX + 1):
        askers.read(b'[{"jsonrpc":"2.0","id":1,"result":{}}]')
    assert askers.is_silly

"""`proxy.sse`: codec, queue and replay of server-sent events."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.proxy.sse import (
    REPLAY_BYTES,
    REPLAY_EVENTS,
    REPLAY_KEPT_MS,
    SHELF_BYTES,
    Decoder,
    Event,
    Outbox,
    Replay,
    Shelf,
    Weight,
    encode,
    priming,
    split_event_id,
)

lines = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b""))


def decoded(data: bytes, cuts: list[int] | None = None) -> list[Event]:
    decoder = Decoder()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    return [event for start, end in pairwise(edges) for event in decoder.feed(data[start:end])]


@given(st.lists(lines, max_size=5), st.lists(st.integers(0, 500), max_size=8))
def test_what_was_encoded_is_decoded_however_it_is_cut(data: list[bytes], cuts: list[int]) -> None:
    assert [event.data for event in decoded(b"".join(map(encode, data)), cuts)] == data


@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=8))
def test_any_bytes_are_read_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    assert decoded(data, cuts) == decoded(data)


def test_an_event_has_the_lines_of_the_specification() -> None:
    assert encode(b"{}") == b"event: message\ndata: {}\n\n"
    assert encode(b"{}", "abcdefgh.3") == b"event: message\nid: abcdefgh.3\ndata: {}\n\n"


@pytest.mark.parametrize("data", [b"a\nb", b"a\rb"])
def test_a_raw_line_end_is_never_framed(data: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        encode(data)


def test_a_priming_event_is_read_as_an_id_a_delay_and_empty_data() -> None:
    decoder = Decoder()
    assert decoder.feed(priming("abcdefgh.0")) == [Event(b"", id="abcdefgh.0")]
    assert decoder.retry_ms == 1000


def test_comments_and_unknown_fields_are_skipped_and_data_lines_joined() -> None:
    assert decoded(b": ping\n\nnonsense\nfoo: 1\ndata: a\ndata:b\r\n\r\n") == [Event(b"a\nb")]


def test_a_byte_order_mark_is_skipped_once() -> None:
    assert decoded(b"\xef\xbb\xbfdata: a\n\n", [1]) == [Event(b"a")]


def test_ids_stay_until_replaced_and_a_nul_in_one_is_refused() -> None:
    events = decoded(b"id: 1\ndata: a\n\nid: x\0y\ndata: b\n\nid:\ndata: c\n\n")
    assert [event.id for event in events] == ["1", "1", None]


def test_bare_carriage_returns_end_lines_too() -> None:
    assert decoded(b"data: a\r\rdata: b\r\r") == [Event(b"a"), Event(b"b")]


@pytest.mark.parametrize("data", [b"data: " + b"x" * 100, b"data: 0123456789\n" * 20])
def test_an_event_over_the_cap_ends_the_reading(data: bytes) -> None:
    decoder = Decoder(max_event_bytes=64)
    assert decoder.feed(data) == []
    assert decoder.overflowed
    assert decoder.feed(b"\n\ndata: late\n\n") == []


def test_lines_are_counted_whatever_they_hold() -> None:
    decoder = Decoder()
    decoder.feed(b"\n:\r\n: x\rdata\nfoo: 1\nunfinished")
    assert decoder.lines == 5


def test_small_lines_of_data_cost_what_they_hold() -> None:
    decoder, lines = Decoder(), b"data: ab\n" * 100_000
    tracemalloc.start()
    decoder.feed(lines)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < len(lines)


def test_an_event_id_is_taken_apart_and_others_are_not() -> None:
    assert split_event_id("abcdEF12.34") == ("abcdEF12", 34)
    for text in ("abc.1", "abcdefgh.01", "abcdefgh.", "abcdefgh.1 ", "abcdefgh.-1"):
        assert split_event_id(text) is None


def drained(outbox: Outbox) -> list[bytes]:
    taken = []
    while (data := outbox.take()) is not None:
        taken.append(data)
    return taken


def test_progress_keeps_the_newest_of_a_token_and_changes_collapse() -> None:
    outbox = Outbox()
    for data in (b"1", b"2"):
        outbox.put(data, Weight.PROGRESS, "t")
        outbox.put(b"c" + data, Weight.CHANGED, "tools")
        outbox.put(b"o" + data, Weight.PROGRESS, "u")
    assert drained(outbox) == [b"2", b"c2", b"o2"]
    assert outbox.size_bytes == 0


def test_a_full_queue_drops_the_oldest_logs_and_never_a_response() -> None:
    outbox = Outbox()
    outbox.put(b"response")
    for number in range(300):
        outbox.put(b"%d" % number, Weight.LOG)
    taken = drained(outbox)
    assert taken[0] == b"response"
    assert taken[1:] == [b"%d" % number for number in range(45, 300)]


@pytest.mark.requirement("I7", "N13")
@given(st.lists(st.tuples(st.sampled_from(list(Weight)), st.integers(0, 300_000)), max_size=30))
def test_what_may_be_dropped_never_holds_more_than_a_mebibyte(
    puts: list[tuple[Weight, int]],
) -> None:
    outbox = Outbox()
    musts = 0
    for weight, size in puts:
        outbox.put(b"x" * size, weight)
        musts += size if weight in (Weight.MUST, Weight.CHANGED) else 0
    assert outbox.size_bytes <= max(1024 * 1024, musts)


def test_a_replay_gives_what_came_behind_an_id() -> None:
    replay = Replay("abcdefgh")
    replay.prime()
    events = [replay.add(b"%d" % number) for number in range(3)]
    assert replay.after(0) == events
    assert replay.after(1) == events[1:]
    assert replay.after(3) == []


def test_a_replay_refuses_ids_it_never_sent_and_gaps() -> None:
    replay = Replay("abcdefgh")
    for _ in range(REPLAY_EVENTS + 2):
        replay.add(b"x")
    assert replay.after(REPLAY_EVENTS + 2) is None
    assert replay.after(0) is None
    kept = replay.after(1)
    assert kept is not None
    assert len(kept) == REPLAY_EVENTS


@pytest.mark.requirement("I7", "N13")
@given(st.lists(st.integers(0, REPLAY_BYTES // 2), max_size=12))
def test_a_replay_stays_within_its_bytes(sizes: list[int]) -> None:
    replay = Replay("abcdefgh")
    for size in sizes:
        replay.add(b"x" * size)
    assert replay.size_bytes <= REPLAY_BYTES


def test_a_shelf_keeps_a_stream_five_minutes_behind_its_end() -> None:
    shelf = Shelf()
    shelf.open("aaaaaaaa").kept_from_ms = 1000
    assert shelf.tidy(1000 + REPLAY_KEPT_MS) == []
    assert shelf.tidy(1001 + REPLAY_KEPT_MS) == ["aaaaaaaa"]
    assert shelf.find("aaaaaaaa") is None


def test_a_full_shelf_drops_ended_streams_first_then_empties_the_largest() -> None:
    shelf = Shelf()
    streams = [shelf.open(f"{number:08}") for number in range(10)]
    for stream in streams:
        stream.add(b"x" * (REPLAY_BYTES - 100))
    streams[3].kept_from_ms = 1
    assert shelf.tidy(2) == ["00000003"]
    held = [shelf.find(f"{number:08}") for number in range(10)]
    assert sum(replay.size_bytes for replay in held if replay is not None) <= SHELF_BYTES
    assert sum(replay is not None for replay in held) == 9


def test_a_dropped_stream_is_not_found() -> None:
    shelf = Shelf()
    shelf.open("aaaaaaaa")
    shelf.drop("aaaaaaaa")
    assert shelf.find("aaaaaaaa") is None

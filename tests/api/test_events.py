"""Events on the wire: both ends agree, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.api.events import MAX_EVENT_BYTES, PING, TOPICS, Decoder, Event, encode
from wicketd.services.events import Topic

EVENTS = [
    Event(id="1", topic="audit", data={"seq": 7}),
    Event(id="2", topic="agents", data={"name": "a\n\nb: c", "n": None}),
]


@given(st.integers(min_value=1, max_value=40))
def test_events_survive_any_cut_of_the_stream(size: int) -> None:
    stream = PING + b"".join(map(encode, EVENTS)) + PING
    decoder = Decoder()
    seen = [
        event
        for start in range(0, len(stream), size)
        for event in decoder.feed(stream[start : start + size])
    ]

    assert seen == EVENTS


def test_an_endless_event_is_refused() -> None:
    decoder = Decoder()

    with pytest.raises(ValueError, match="1 MiB"):
        list(decoder.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1)))


def test_data_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's own words
        list(Decoder().feed(b"data: 3\n\n"))


def test_the_topics_are_those_of_the_daemon() -> None:
    assert set(TOPICS) == {topic.value for topic in Topic}

"""`proxy.streams`: one writer at a time, pings, ends, what waits."""

import asyncio

import pytest

from wicketd.proxy.sse import PING, Replay, Weight
from wicketd.proxy.streams import EventStream


async def test_messages_come_in_order_and_the_end_behind_them() -> None:
    stream = EventStream()
    chunks = stream.open()
    stream.put(b"1")
    stream.put(b"2")
    stream.end()
    stream.put(b"late")
    data = [chunk async for chunk in chunks]
    assert data == [b"event: message\ndata: 1\n\n", b"event: message\ndata: 2\n\n"]
    assert stream.is_ended


async def test_a_silent_stream_is_kept_alive_by_comments() -> None:
    stream = EventStream(ping_after_s=0.01)
    chunks = stream.open()
    assert [await anext(chunks) for _ in range(3)] == [PING] * 3


async def test_a_waiting_writer_wakes_for_a_message() -> None:
    stream = EventStream()
    chunks = stream.open()
    asyncio.get_running_loop().call_soon(stream.put, b"1", Weight.CHANGED, "tools")
    assert b"data: 1" in await anext(chunks)


async def test_a_second_writer_takes_over_and_a_message_is_written_once() -> None:
    stream = EventStream(Replay("abcdefgh"))
    old = stream.open()
    stream.put(b"1")
    new = stream.open([b"first"])
    with pytest.raises(StopAsyncIteration):
        await anext(old)
    assert await anext(new) == b"first"
    assert b"data: 1" in await anext(new)


async def test_what_comes_while_nobody_reads_waits_in_the_replay() -> None:
    replay = Replay("abcdefgh")
    stream = EventStream(replay)
    stream.open()
    stream.put(b"1")
    stream.detach()
    stream.put(b"2")
    events = replay.after(-1)
    assert events is not None
    assert [event.split(b"data: ")[1] for event in events] == [b"1\n\n", b"2\n\n"]


async def test_a_stream_without_replay_forgets_what_nobody_reads() -> None:
    stream = EventStream()
    stream.put(b"1")
    stream.detach()
    stream.put(b"2")
    stream.end()
    assert [chunk async for chunk in stream.open()] == []

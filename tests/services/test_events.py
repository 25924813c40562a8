"""The event ring: order, resuming, resync, bounded memory."""

from tests.support.state import FakeClock
from wicketd.domain.ids import AgentId
from wicketd.services.events import BATCH, Batch, Events, Topic

ALL = frozenset(Topic)


def publish(events: Events, count: int, topic: Topic = Topic.AGENTS) -> None:
    """Publishes `count` numbered events."""
    for number in range(count):
        events.publish(topic, {"n": number}, AgentId("a"))


async def test_a_listener_gets_what_comes_after_it_in_order() -> None:
    events = Events(FakeClock())
    publish(events, 1)
    listener = events.subscribe(ALL)
    publish(events, 3)
    batch = await listener.next(1.0)
    assert batch is not None
    assert [event.id for event in batch.events] == [2, 3, 4]
    assert await listener.next(0.0) is None


async def test_a_waiting_listener_wakes_for_the_next_event() -> None:
    events = Events(FakeClock())
    listener = events.subscribe(frozenset({Topic.AUDIT}))
    publish(events, 1, Topic.AGENTS)
    assert await listener.next(0.01) is None
    publish(events, 1, Topic.AUDIT)
    batch = await listener.next(1.0)
    assert batch is not None
    assert [event.topic for event in batch.events] == [Topic.AUDIT]


async def test_a_listener_resumes_behind_the_last_event_it_saw() -> None:
    events = Events(FakeClock())
    publish(events, 5)
    batch = await events.subscribe(ALL, last_id=3).next(1.0)
    assert batch is not None
    assert [event.id for event in batch.events] == [4, 5]


async def test_who_fell_out_of_the_ring_is_told_to_read_anew() -> None:
    events = Events(FakeClock(), size=3)
    publish(events, 5)
    listener = events.subscribe(ALL, last_id=1)
    assert await listener.next(1.0) == Batch((), resync=True)
    publish(events, 1)
    batch = await listener.next(1.0)
    assert batch is not None
    assert [event.id for event in batch.events] == [6]


async def test_an_id_of_an_earlier_process_is_a_resync_too() -> None:
    events = Events(FakeClock())
    publish(events, 1)
    assert await events.subscribe(ALL, last_id=900).next(1.0) == Batch((), resync=True)


async def test_the_oldest_kept_event_is_still_reachable() -> None:
    events = Events(FakeClock(), size=3)
    publish(events, 5)
    batch = await events.subscribe(ALL, last_id=2).next(1.0)
    assert batch is not None
    assert [event.id for event in batch.events] == [3, 4, 5]


async def test_a_batch_is_bounded_and_the_next_goes_on_where_it_ended() -> None:
    events = Events(FakeClock())
    listener = events.subscribe(ALL)
    publish(events, BATCH + 2)
    first = await listener.next(1.0)
    second = await listener.next(1.0)
    assert first is not None
    assert second is not None
    assert len(first.events) == BATCH
    assert [event.id for event in second.events] == [BATCH + 1, BATCH + 2]


async def test_a_closed_listener_is_forgotten() -> None:
    events = Events(FakeClock())
    listener = events.subscribe(ALL)
    listener.close()
    listener.close()
    publish(events, 1)
    assert events.newest == 1

import asyncio

import pytest

from tests.support.upstreams import NOTHING, agent, connector
from wicketd.connectors.catalogue import destination
from wicketd.domain.calls import Answer
from wicketd.net.client import Guard, GuardedClient
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.lanes import Job, Lane, Route, Seats
from wicketd.proxy.outbound import Wanted
from wicketd.proxy.upstream import UpstreamMachine
from wicketd.proxy.upstream_events import Settle

ANSWER = Answer({}, None, 200, 0, 0)


async def made_job() -> Job:
    to, http = connector("http://127.0.0.1:1/"), GuardedClient()
    guard = Guard.of(("127.0.0.0/8",), insecure_http=True)
    route = Route(to, http.endpoint("http://127.0.0.1:1/", guard), destination(to))
    await http.close()
    return Job(Wanted(1, "ping", {}), route, NOTHING, None, 0.0)


async def test_commands_arrive_in_order_whether_waited_for_or_not() -> None:
    job = await made_job()
    waiting = asyncio.get_running_loop().create_task(job.next())
    await asyncio.sleep(0)
    job.put(Settle(1, ANSWER))
    job.put(Settle(2, ANSWER))
    assert (await waiting).job == 1
    assert (await job.next()).job == 2


async def test_a_job_forgets_what_came_before_its_deadline() -> None:
    job = await made_job()
    job.put(Settle(1, ANSWER))
    job.forget_commands()
    job.put(Settle(2, ANSWER))
    assert (await job.next()).job == 2


async def test_relaying_is_bounded_per_second_and_in_all() -> None:
    job = await made_job()
    assert sum(job.may_relay(5.5) for _ in range(500)) == 100
    assert sum(job.may_relay(second) for second in range(6, 206) for _ in range(200)) == 9_900


async def test_replies_are_bounded() -> None:
    job = await made_job()
    assert sum(job.may_reply() for _ in range(500)) == 100


async def test_a_seat_is_waited_for_and_its_absence_is_a_time_out() -> None:
    seats = Seats(1, queue_s=0.01)
    await seats.take()
    with pytest.raises(TimeoutError):
        await seats.take()
    seats.give()
    await seats.take()


async def test_a_lane_that_finds_no_service_seat_gives_its_own_back() -> None:
    service, place = Seats(1, queue_s=0.01), ServicePlace(agent().id, "demo", "sha")
    lane = Lane(place, None, UpstreamMachine("demo"), service, 0.0)
    lane.seats = Seats(1, queue_s=0.01)
    await service.take()
    with pytest.raises(TimeoutError):
        await lane.take_seats()
    service.give()
    await lane.take_seats()


def test_ids_of_a_lane_never_repeat() -> None:
    lane = Lane(ServicePlace(agent().id, "d", "s"), None, UpstreamMachine("d"), Seats(1), 0.0)
    assert [lane.next_id() for _ in range(3)] == [1, 2, 3]

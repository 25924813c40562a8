import asyncio

import pytest

from tests.support.upstreams import NOTHING, SystemClock, agent, connector
from wicketd.connectors.catalogue import destination
from wicketd.domain.calls import Answer
from wicketd.domain.ids import MemberId
from wicketd.domain.json import JsonObject
from wicketd.net.client import Guard, GuardedClient
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.lanes import Job, Lane, Lanes, Route, Seats
from wicketd.proxy.outbound import Wanted
from wicketd.proxy.upstream import UpstreamMachine
from wicketd.proxy.upstream_events import Session, Settle

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
    assert sum(job.may_reply(n) for n in range(500)) == 100


async def test_a_question_whose_id_is_open_already_is_not_asked() -> None:
    job = await made_job()
    job.questions["7"] = asyncio.get_running_loop().create_future()
    assert [job.may_reply(one) for one in (7, "7", None, 8)] == [False, False, False, True]


def test_news_are_bounded_per_second() -> None:
    lane = Lanes(SystemClock()).of(PLACE, ANA, {})
    assert [sum(lane.may_signal(at_s) for _ in range(500)) for at_s in (5.5, 6.5)] == [100, 100]


async def test_a_seat_is_waited_for_and_its_absence_is_a_time_out() -> None:
    seats = Seats(1, queue_s=0.01)
    await seats.take()
    with pytest.raises(TimeoutError):
        await seats.take()
    seats.give()
    await seats.take()


async def test_a_lane_that_finds_no_service_seat_gives_its_own_back() -> None:
    service, place = Seats(1, queue_s=0.01), ServicePlace(agent().id, "demo", "sha")
    seats = Seats(1, queue_s=0.01)
    lane = Lane(place, None, UpstreamMachine("demo"), service, 0.0, {}, seats)
    await service.take()
    with pytest.raises(TimeoutError):
        await lane.take_seats()
    service.give()
    await lane.take_seats()


def test_ids_of_a_lane_never_repeat() -> None:
    lane = Lanes(SystemClock()).of(ServicePlace(agent().id, "d", "s"), None, {})
    assert [lane.next_id() for _ in range(3)] == [1, 2, 3]


FORM: JsonObject = {"elicitation": {"form": {}}}
PLACE = ServicePlace(agent().id, "demo", "sha")
ANA, BOB = MemberId("ana"), MemberId("bob")


def test_what_is_declared_divides_a_members_lanes_but_not_its_seats() -> None:
    lanes = Lanes(SystemClock())
    plain, forms = lanes.of(PLACE, ANA, {}), lanes.of(PLACE, ANA, FORM)
    assert plain is not forms
    assert plain.seats is forms.seats
    assert lanes.of(PLACE, ANA, {"elicitation": {"form": {}}}) is forms
    assert lanes.of(PLACE, BOB, FORM) is not forms


async def test_the_longest_idle_variant_makes_room_and_a_busy_one_does_not() -> None:
    lanes = Lanes(SystemClock())
    variants: list[JsonObject] = [{"sampling": {str(n): {}}} for n in range(4)]
    made = [lanes.of(PLACE, ANA, variant) for variant in variants]
    for lane in made:
        lane.jobs[1] = await made_job()
    assert lanes.of(PLACE, ANA, FORM) is lanes.of(PLACE, ANA, {})
    del made[2].jobs[1]
    assert lanes.of(PLACE, ANA, FORM).declared == FORM
    assert lanes.of(PLACE, ANA, variants[3]) is made[3]


def test_a_level_is_told_once_a_session_unless_somebody_wants_more() -> None:
    lane = Lanes(SystemClock()).of(PLACE, ANA, {})
    first, second = Session("a", "2025-11-25"), Session("b", "2025-11-25")
    wanted = [(first, "info"), (first, "error"), (first, "debug"), (second, "error")]
    assert [lane.is_more_verbose(*one) for one in wanted] == [True, False, True, True]

"""`proxy.session` and `proxy.session_table`: the machine by playbook, the table by its bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fronts import CountingRandom, FakeClock, make_caller
from wicketd.domain.calls import RefusalKind
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.proxy.session import (
    IDLE_MS,
    LIFE_MS,
    MAX_ASKED,
    AskEnded,
    CallEnded,
    CancelArrived,
    CancelCall,
    Closed,
    DeliverReply,
    EndSse,
    Forget,
    Refuse,
    RefuseAsked,
    ReplyArrived,
    RequestArrived,
    SendSse,
    ServerAsked,
    Session,
    SessionCommand,
    SessionEvent,
    SetTimer,
    StreamClosed,
    StreamOpened,
    TimerFired,
    Touched,
)
from wicketd.proxy.session_table import PER_MEMBER, Client, LegacySession, SessionTable, base62

ASK: JsonObject = {"method": "roots/list", "params": {}}


def playbook(*events: SessionEvent) -> tuple[Session, list[SessionCommand]]:
    """A session that took `events` at time 0, and what the last one commanded, timers left out."""
    session = Session(0)
    commands: list[SessionCommand] = []
    for event in events:
        commands = session.handle(event)
    return session, [command for command in commands if not isinstance(command, SetTimer)]


@pytest.mark.requirement("L8")
def test_an_id_in_flight_is_refused_and_text_is_not_a_number() -> None:
    session, commands = playbook(RequestArrived(1, 0), RequestArrived(1, 0))
    assert commands == [Refuse(RefusalKind.ID_IN_FLIGHT)]
    assert session.handle(RequestArrived("1", 0)) == []
    session.handle(CallEnded(1, 0))
    assert session.in_flight == {"1"}
    assert session.handle(RequestArrived(1, 0)) == []


def test_a_cancel_stops_a_call_in_flight_and_nothing_else() -> None:
    _, commands = playbook(RequestArrived(1, 0), CancelArrived(1, 0))
    assert commands == [CancelCall(1)]
    assert playbook(CancelArrived(1, 0))[1] == []
    _, commands = playbook(RequestArrived(0, 0, is_initialize=True), CancelArrived(0, 0))
    assert commands == []


@pytest.mark.requirement("L6")
def test_a_server_request_goes_to_its_call_and_its_reply_comes_back_once() -> None:
    session, commands = playbook(RequestArrived(7, 0), ServerAsked(7, 1, ASK))
    assert commands == [SendSse(7, {"jsonrpc": "2.0", **ASK, "id": "w1"})]
    reply: JsonObject = {"id": "w1", "result": {"roots": []}}
    assert session.handle(ReplyArrived(reply, 1)) == [DeliverReply(7, 1, {"result": {"roots": []}})]
    assert session.handle(ReplyArrived(reply, 2)) == []
    assert session.handle(ReplyArrived({"id": 1, "result": {}}, 2)) == []


def test_a_server_request_without_its_call_reaches_nobody() -> None:
    assert playbook(ServerAsked(7, 1, ASK))[1] == [RefuseAsked(7, 1)]
    session, _ = playbook(RequestArrived(7, 0), ServerAsked(7, 1, ASK), CallEnded(7, 0))
    assert session.handle(ReplyArrived({"id": "w1", "result": {}}, 0)) == []


def test_a_question_that_nobody_waits_for_is_withdrawn_and_its_reply_is_dropped() -> None:
    session, _ = playbook(RequestArrived(7, 0), ServerAsked(7, 1, ASK))
    [withdrawn] = session.handle(AskEnded(7, 1))
    assert isinstance(withdrawn, SendSse)
    assert withdrawn.message["method"] == "notifications/cancelled"
    assert withdrawn.message["params"]["requestId"] == "w1"  # type: ignore[index, call-overload]  # JSON
    assert session.handle(AskEnded(7, 1)) == []
    assert session.handle(ReplyArrived({"id": "w1", "result": {}}, 0)) == []


def test_pending_server_requests_are_bounded() -> None:
    session, _ = playbook(RequestArrived(7, 0))
    for _ in range(MAX_ASKED):
        assert isinstance(session.handle(ServerAsked(7, 1, ASK))[0], SendSse)
    assert session.handle(ServerAsked(7, 1, ASK)) == [RefuseAsked(7, 1)]


@pytest.mark.requirement("L11")
def test_a_new_stream_ends_the_old_one_and_a_resumed_one_nothing() -> None:
    session, commands = playbook(StreamOpened("a", 0), StreamOpened("b", 0))
    assert commands == [EndSse("a")]
    assert session.handle(StreamOpened("b", 0)) == []
    session.handle(StreamClosed("a", 0))
    assert session.stream == "b"
    session.handle(StreamClosed("b", 0))
    assert session.stream is None


def test_a_session_ends_after_half_an_hour_of_silence() -> None:
    session = Session(0)
    assert session.handle(Touched(0)) == [SetTimer(IDLE_MS)]
    assert session.handle(Touched(10)) == []
    assert session.handle(TimerFired(IDLE_MS)) == [SetTimer(IDLE_MS + 10)]
    assert session.handle(TimerFired(IDLE_MS + 10)) == [Forget()]
    assert session.is_over


@pytest.mark.parametrize("event", [RequestArrived(1, 0), StreamOpened("a", 0)])
def test_a_running_call_or_an_open_stream_is_not_idle(event: SessionEvent) -> None:
    session, _ = playbook(event)
    assert session.handle(TimerFired(IDLE_MS)) == [SetTimer(2 * IDLE_MS)]
    assert not session.is_over


def test_a_session_ends_after_a_day_whatever_runs() -> None:
    session, _ = playbook(RequestArrived(1, 0), StreamOpened("a", 0))
    at_ms = 0
    commands: list[SessionCommand] = []
    while not session.is_over:
        at_ms += IDLE_MS
        commands = session.handle(TimerFired(at_ms))
    assert at_ms == LIFE_MS
    assert commands == [CancelCall(1), EndSse("a"), Forget()]


@pytest.mark.requirement("L12")
def test_a_session_that_is_over_answers_that_it_is_unknown() -> None:
    session, commands = playbook(RequestArrived(1, 0), Closed())
    assert commands == [CancelCall(1), Forget()]
    assert session.handle(RequestArrived(2, 0)) == [Refuse(RefusalKind.UNKNOWN_SESSION)]
    assert session.handle(StreamOpened("a", 0)) == [Refuse(RefusalKind.UNKNOWN_SESSION)]
    assert session.handle(ServerAsked(1, 1, ASK)) == [RefuseAsked(1, 1)]
    assert session.handle(Closed()) == []


ids = st.integers(0, 3) | st.sampled_from(["0", "w1", "w2"])
events = st.one_of(
    st.builds(RequestArrived, ids, st.integers(0, LIFE_MS), st.booleans()),
    st.builds(CallEnded, ids, st.integers(0, LIFE_MS)),
    st.builds(ServerAsked, ids, st.integers(1, 3), st.just(ASK)),
    st.builds(AskEnded, ids, st.integers(1, 3)),
    st.builds(ReplyArrived, st.builds(lambda i: {"id": i, "result": {}}, ids), st.just(0)),
    st.builds(CancelArrived, ids, st.just(0)),
    st.builds(StreamOpened, st.sampled_from("ab"), st.just(0)),
    st.builds(StreamClosed, st.sampled_from("ab"), st.just(0)),
    st.builds(Touched, st.integers(0, LIFE_MS)),
    st.just(Closed()),
    st.builds(TimerFired, st.integers(0, 2 * LIFE_MS)),
)


@given(st.lists(events, max_size=40))
def test_any_script_is_taken_and_the_same_script_commands_the_same(
    script: list[SessionEvent],
) -> None:
    one, two = Session(0), Session(0)
    running: set[Any] = set()
    for event in script:
        commands = one.handle(event)
        assert commands == two.handle(event)
        for command in commands:
            if isinstance(command, CancelCall | DeliverReply | SendSse):
                assert command.front_id in running
        if isinstance(event, RequestArrived) and not any(isinstance(c, Refuse) for c in commands):
            running.add(event.front_id)
        if isinstance(event, CallEnded):
            running.discard(event.front_id)
        assert one.in_flight == (frozenset() if one.is_over else running)


# the table


class Call:
    """A running call that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def cancel(self) -> None:
        self.told.append(("cancel", None))

    def put(self, message: JsonObject) -> None:
        self.told.append(("put", message["id"]))

    def replied(self, asked: int, reply: JsonObject) -> None:
        self.told.append(("replied", reply))

    def unasked(self, asked: int) -> None:
        self.told.append(("unasked", asked))


ANA, BOB = make_caller("ana"), make_caller("bob")
CLIENT = Client("2025-11-25", "test", "1")


def make_table() -> tuple[SessionTable, FakeClock]:
    clock = FakeClock()
    return SessionTable(clock, CountingRandom()), clock


def test_an_id_has_its_prefix_and_22_base62_characters() -> None:
    table, _ = make_table()
    session = table.create(ANA, CLIENT)
    assert session.id.startswith("mcp_sess_")
    assert session.id[9:].isalnum()
    assert len(session.id) == 31
    assert len({table.create(ANA, CLIENT).id for _ in range(20)}) == 20
    assert base62(b"\xff" * 16, 22) == "7n42DGM5Tflk9n8mt7Fhc7"


def test_a_session_is_found_by_its_member_alone() -> None:
    table, _ = make_table()
    session = table.create(ANA, CLIENT)
    assert table.find(session.id, ANA) is session
    assert table.find(session.id, BOB) is None
    assert table.find(session.id, make_caller("ana", agent="other")) is None


def test_the_longest_idle_session_of_a_member_makes_room() -> None:
    table, clock = make_table()
    sessions = []
    for _ in range(PER_MEMBER):
        clock.pass_s(1)
        sessions.append(table.create(ANA, CLIENT))
    others = table.create(BOB, CLIENT)
    clock.pass_s(1)
    sessions[0].touched()
    table.create(ANA, CLIENT)
    assert table.find(sessions[0].id, ANA) is sessions[0]
    assert table.find(sessions[1].id, ANA) is None
    assert table.find(others.id, BOB) is others
    assert len(table) == PER_MEMBER + 1


def test_an_expired_session_is_unknown_without_any_sweep_and_swept_with_one() -> None:
    table, clock = make_table()
    session = table.create(ANA, CLIENT)
    table.create(BOB, CLIENT)
    clock.pass_s(30 * 60)
    assert table.find(session.id, ANA) is None
    table.sweep()
    assert len(table) == 0


def test_the_end_of_a_member_or_an_agent_ends_its_sessions() -> None:
    table, _ = make_table()
    table.create(ANA, CLIENT)
    table.create(BOB, CLIENT)
    table.end_member(MemberId("member-ana"))
    assert len(table) == 1
    table.end_agent(AgentId("agent-helper"))
    assert len(table) == 0


def begun(session: LegacySession, front_id: int = 1) -> Call:
    call = Call()
    assert session.begin(front_id, call) is None
    return call


def test_commands_reach_the_call_they_name() -> None:
    session = make_table()[0].create(ANA, CLIENT)
    call, other = begun(session, 1), begun(session, 2)
    session.run(ServerAsked(1, 1, ASK))
    session.replied({"id": "w1", "result": {}})
    session.cancelled(1)
    session.finish(1)
    session.cancelled(1)
    assert call.told == [("put", "w1"), ("replied", {"result": {}}), ("cancel", None)]
    assert other.told == []


async def test_a_lost_stream_is_resumed_and_a_forgotten_one_is_not() -> None:
    session = make_table()[0].create(ANA, CLIENT)
    stream, chunks = session.new_stream()
    assert stream.replay is not None
    assert b"retry" in await anext(chunks)
    stream.put(b"1")
    first = await anext(chunks)
    session.lost(stream, stream.writer)
    stream.put(b"2")
    session.ended(stream)
    resumed = session.resume(f"{stream.replay.stream}.0")
    assert resumed is not None
    assert await anext(resumed[1]) == first
    session.forget(stream)
    assert session.resume(f"{stream.replay.stream}.0") is None


async def test_a_connection_that_was_replaced_takes_nothing_away_when_it_closes() -> None:
    session = make_table()[0].create(ANA, CLIENT)
    stream, chunks = session.new_stream()
    old = stream.writer
    await anext(chunks)
    assert stream.replay is not None
    resumed = session.resume(f"{stream.replay.stream}.0")
    assert resumed is not None
    session.lost(stream, old)
    stream.put(b"live")
    assert b"data: live" in await anext(resumed[1])


async def test_ended_streams_are_forgotten_after_five_minutes() -> None:
    table, clock = make_table()
    session = table.create(ANA, CLIENT)
    stream, _ = session.new_stream()
    assert stream.replay is not None
    session.ended(stream)
    clock.pass_s(301)
    assert session.resume(f"{stream.replay.stream}.0") is None


async def test_streams_that_nobody_comes_back_for_are_forgotten_too() -> None:
    table, clock = make_table()
    session = table.create(ANA, CLIENT)
    for _ in range(100):
        stream, _chunks = session.new_stream()
        session.opened(stream)
        session.lost(stream, stream.writer)
        clock.pass_s(10)
    assert len(session._streams) <= 31

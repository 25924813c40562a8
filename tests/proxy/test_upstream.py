"""Scripts of the upstream machine: events in, commands out, no clock and no network."""

import math
from typing import TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wicketd.domain.calls import Answer, RefusalKind
from wicketd.domain.catalogue import UpstreamEra
from wicketd.proxy import failures
from wicketd.proxy.upstream import UpstreamMachine, is_modern_code, judge_discover
from wicketd.proxy.upstream_events import (
    Answered,
    Cancelled,
    CancelUpstream,
    Command,
    EraExpired,
    EraFound,
    Event,
    Failed,
    HandshakeFailed,
    How,
    Initialize,
    Probe,
    ProgressArrived,
    QuestionClosed,
    QuestionOpened,
    Relist,
    Relisted,
    Resume,
    Send,
    SendWanted,
    Session,
    SessionOpened,
    SetTimer,
    Settle,
    StreamEnded,
    TimerFired,
)

Commands: TypeAlias = list[Command]
ANSWER = Answer({}, None, 200, 1, 2)
FAILURE = failures.unreachable("demo")
S1, S2 = Session("one", "2025-11-25"), Session("two", "2025-11-25")
MODERN, LEGACY, NONE = UpstreamEra.MODERN, UpstreamEra.LEGACY, UpstreamEra.INCOMPATIBLE


def wanted(job: int = 1, at_s: float = 0.0) -> SendWanted:
    return SendWanted(at_s, job, 30, 300)


def failed(how: How, job: int = 1) -> Failed:
    return Failed(1.0, job, how, FAILURE)


def without_timers(commands: Commands) -> Commands:
    return [command for command in commands if not isinstance(command, SetTimer)]


def fed(machine: UpstreamMachine, *events: Event) -> Commands:
    commands: Commands = []
    for event in events:
        commands = without_timers(machine.handle(event))
    return commands


def modern() -> UpstreamMachine:
    machine = UpstreamMachine("demo")
    machine.handle(EraFound(0.0, MODERN, is_fresh=True))
    return machine


def legacy(*, is_fresh: bool = True) -> UpstreamMachine:
    machine = UpstreamMachine("demo")
    machine.handle(EraFound(0.0, LEGACY, is_fresh=is_fresh))
    machine.handle(SessionOpened(0.0, S1))
    return machine


def test_the_first_call_probes_once_for_all_who_wait() -> None:
    machine = UpstreamMachine("demo")
    assert fed(machine, wanted(1)) == [Probe(1, None)]
    assert fed(machine, wanted(2)) == []
    assert fed(machine, EraFound(1.0, MODERN, is_fresh=True)) == [Send(1, None), Send(2, None)]


def test_a_legacy_upstream_is_initialized_once_for_all_who_wait() -> None:
    machine = UpstreamMachine("demo")
    fed(machine, wanted(1), wanted(2))
    assert fed(machine, EraFound(0.0, LEGACY, is_fresh=True)) == [Initialize(1)]
    assert fed(machine, wanted(3)) == []
    sent = fed(machine, SessionOpened(1.0, S1))
    assert sent == [Send(1, S1), Send(2, S1), Send(3, S1)]
    assert fed(machine, wanted(4)) == [Send(4, S1)]


def test_a_handshake_without_verdict_fails_all_who_wait_and_the_next_call_asks_again() -> None:
    machine = UpstreamMachine("demo")
    fed(machine, wanted(1), wanted(2))
    settled = fed(machine, HandshakeFailed(0.0, FAILURE))
    assert settled == [Settle(1, FAILURE), Settle(2, FAILURE)]
    assert fed(machine, wanted(3)) == [Probe(3, None)]


def test_an_answer_settles_its_job_once() -> None:
    machine = modern()
    fed(machine, wanted())
    assert fed(machine, Answered(1.0, 1, ANSWER)) == [Settle(1, ANSWER)]
    assert fed(machine, Answered(1.0, 1, ANSWER)) == []
    assert machine.is_idle


@pytest.mark.parametrize("how", [How.NOT_WRITTEN, How.SESSION_GONE, How.ERA_WRONG])
@pytest.mark.requirement("N8")
def test_a_request_is_sent_again_at_most_once_for_each_reason(how: How) -> None:
    machine = legacy()
    fed(machine, wanted())
    fed(machine, failed(how))
    fed(machine, EraFound(0.0, LEGACY, is_fresh=True), SessionOpened(0.0, S2))
    assert fed(machine, failed(how)) == [Settle(1, FAILURE)]


@pytest.mark.requirement("N8")
def test_a_failure_after_writing_is_final() -> None:
    machine = modern()
    fed(machine, wanted())
    assert fed(machine, failed(How.FINAL)) == [Settle(1, FAILURE)]


def test_a_lost_session_is_opened_anew_and_the_request_resent() -> None:
    machine = legacy()
    assert fed(machine, wanted()) == [Send(1, S1)]
    assert fed(machine, failed(How.SESSION_GONE)) == [Initialize(1)]
    assert fed(machine, SessionOpened(1.0, S2)) == [Send(1, S2)]


def test_a_late_404_of_an_old_session_does_not_drop_the_new_one() -> None:
    machine = legacy()
    fed(machine, wanted(1), wanted(2))
    fed(machine, failed(How.SESSION_GONE, 1), SessionOpened(1.0, S2))
    assert fed(machine, failed(How.SESSION_GONE, 2)) == [Send(2, S2)]


def test_a_modern_verdict_that_fails_is_doubted_and_probed_again() -> None:
    machine = modern()
    fed(machine, wanted())
    assert fed(machine, failed(How.ERA_WRONG)) == [Probe(1, MODERN)]
    assert fed(machine, EraFound(1.0, LEGACY, is_fresh=True)) == [Initialize(1)]


def test_a_stored_legacy_verdict_that_initialize_contradicts_is_probed_again() -> None:
    machine = UpstreamMachine("demo")
    machine.handle(EraFound(0.0, LEGACY, is_fresh=False))
    assert fed(machine, wanted()) == [Initialize(1)]
    assert fed(machine, HandshakeFailed(0.0, FAILURE, -32022)) == [Probe(1, LEGACY)]
    assert fed(machine, EraFound(0.0, MODERN, is_fresh=True)) == [Send(1, None)]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_knows_neither_handshake_is_incompatible(status: int) -> None:
    machine = UpstreamMachine("demo")
    machine.handle(EraFound(0.0, LEGACY, is_fresh=True))
    fed(machine, wanted())
    missing = failures.invalid("demo", status=status)
    assert fed(machine, HandshakeFailed(0.0, missing)) == [Settle(1, missing)]
    assert machine.era is NONE
    assert fed(machine, wanted(2)) == [Settle(2, failures.invalid("demo"))]
    fed(machine, EraExpired(1.0))
    assert fed(machine, wanted(3)) == [Probe(3, None)]


def test_an_expired_verdict_keeps_the_session_if_it_is_confirmed() -> None:
    machine = legacy()
    fed(machine, EraExpired(1.0))
    assert fed(machine, wanted()) == [Probe(1, None)]
    assert fed(machine, EraFound(1.0, LEGACY, is_fresh=True)) == [Send(1, S1)]


def test_a_stream_that_ends_early_is_resumed_three_times_and_no_more() -> None:
    machine = legacy()
    fed(machine, wanted())
    for _ in range(3):
        assert fed(machine, StreamEnded(1.0, 1, "e7", 99_000)) == [Resume(1, S1, "e7", 10.0)]
    assert fed(machine, StreamEnded(1.0, 1, "e7", None)) == [Settle(1, failures.invalid("demo"))]


def test_a_stream_without_event_id_or_of_the_modern_era_is_not_resumed() -> None:
    for machine, event_id in ((legacy(), None), (modern(), "e7")):
        fed(machine, wanted())
        ended = StreamEnded(1.0, 1, event_id, None)
        assert fed(machine, ended) == [Settle(1, failures.invalid("demo"))]


def test_stale_headers_are_rebuilt_only_if_the_tool_may_be_called() -> None:
    machine = modern()
    fed(machine, wanted(1), wanted(2))
    assert fed(machine, failed(How.HEADERS_STALE, 1)) == [Relist(1)]
    assert fed(machine, Relisted(1.0, 1, is_usable=True)) == [Send(1, None)]
    fed(machine, failed(How.HEADERS_STALE, 2))
    assert fed(machine, Relisted(1.0, 2, is_usable=False)) == [Settle(2, FAILURE)]


def test_the_deadline_starts_at_sending_and_restarts_with_progress_up_to_the_limit() -> None:
    machine = modern()
    assert machine.handle(wanted(at_s=10.0))[0] == SetTimer(1, 40.0)
    assert machine.handle(ProgressArrived(35.0, 1)) == [SetTimer(1, 65.0)]
    assert machine.handle(ProgressArrived(290.0, 1)) == [SetTimer(1, 310.0)]


def test_waiting_for_a_handshake_is_bounded_by_the_whole_time_of_the_call() -> None:
    machine = UpstreamMachine("demo")
    assert machine.handle(wanted(at_s=10.0)) == [SetTimer(1, 310.0), Probe(1, None)]


def test_an_expired_deadline_cancels_a_legacy_upstream_and_times_out() -> None:
    machine = legacy()
    fed(machine, wanted())
    commands = fed(machine, TimerFired(30.0, 1))
    assert commands == [CancelUpstream(1, S1), Settle(1, failures.timed_out("demo", 30))]
    modern_machine = modern()
    fed(modern_machine, wanted())
    assert len(fed(modern_machine, TimerFired(30.0, 1))) == 1


def test_a_cancelled_job_is_never_settled() -> None:
    machine = legacy()
    fed(machine, wanted())
    assert fed(machine, Cancelled(1.0, 1)) == [CancelUpstream(1, S1)]
    assert fed(machine, Answered(2.0, 1, ANSWER)) == []


def test_cancelling_who_waits_for_a_handshake_says_nothing_and_lets_it_go_on() -> None:
    machine = UpstreamMachine("demo")
    fed(machine, wanted(1), wanted(2))
    assert fed(machine, Cancelled(1.0, 1)) == []
    assert fed(machine, EraFound(1.0, MODERN, is_fresh=True)) == [Send(2, None)]


@pytest.mark.parametrize(
    ("result", "code", "data", "era"),
    [
        ({"supportedVersions": ["2026-07-28"]}, None, None, MODERN),
        ({"supportedVersions": ["2025-11-25", "2026-07-28"]}, None, None, MODERN),
        ({"supportedVersions": ["2025-11-25"]}, None, None, LEGACY),
        ({"supportedVersions": "2026-07-28"}, None, None, LEGACY),
        ({}, None, None, LEGACY),
        (None, None, None, LEGACY),
        (None, -32601, None, LEGACY),
        (None, -32600, {"supported": ["2026-07-28"]}, LEGACY),
        (None, -32020, None, MODERN),
        (None, -32021, None, MODERN),
        (None, -32022, {"supported": ["2026-07-28"]}, MODERN),
        (None, -32022, {"supported": ["2025-11-25", "2025-06-18"]}, LEGACY),
        (None, -32022, {"supported": ["2027-01-01"]}, NONE),
        (None, -32022, {"supported": ["2027-01-01", "2025-11-25"]}, NONE),
        (None, -32022, {"supported": []}, NONE),
        (None, -32022, None, NONE),
    ],
)
def test_the_verdict_follows_the_answer_to_discover(
    result: object, code: int | None, data: object, era: UpstreamEra
) -> None:
    assert judge_discover(result, code, data) is era


def test_modern_codes_are_three() -> None:
    assert [code for code in range(-32700, -31999) if is_modern_code(code)] == [
        -32022,
        -32021,
        -32020,
    ]


def test_the_clock_stands_while_a_person_thinks_and_then_goes_on() -> None:
    machine = modern()
    machine.handle(wanted())
    stands = SetTimer(1, math.inf)
    assert machine.handle(QuestionOpened(10.0, 1)) == [stands]
    assert machine.handle(QuestionOpened(20.0, 1)) == [stands]
    assert machine.handle(ProgressArrived(100.0, 1)) == [stands]
    assert machine.handle(QuestionClosed(110.0, 1)) == [stands]
    assert machine.handle(QuestionClosed(310.0, 1)) == [SetTimer(1, 340.0)]
    # the whole time of a call, 300 s, counts without the 300 s of thinking
    assert machine.handle(ProgressArrived(599.0, 1)) == [SetTimer(1, 600.0)]
    assert machine.handle(QuestionClosed(600.0, 9)) == []


class AnyScript(RuleBasedStateMachine):
    """Random scripts: one terminal outcome a job, bounded resends, one handshake at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = UpstreamMachine("demo")
        self.sends: dict[int, int] = {}
        self.open: set[int] = set()
        self.sending: set[int] = set()
        self.handshakes = 0
        self.next_job = 0

    def feed(self, event: Event) -> None:
        for command in self.machine.handle(event):
            match command:
                case Send():
                    self.sends[command.job] = self.sends.get(command.job, 0) + 1
                    assert command.job in self.open
                    self.sending.add(command.job)
                case Settle():
                    self.open.remove(command.job)
                    self.sending.discard(command.job)
                case Probe() | Initialize():
                    self.handshakes += 1
                case _:
                    pass

    @rule()
    def want(self) -> None:
        self.next_job += 1
        self.open.add(self.next_job)
        self.feed(wanted(self.next_job))

    @precondition(lambda self: self.handshakes)
    @rule(outcome=st.sampled_from(["modern", "legacy", "none", "failed", "too new", "missing"]))
    def shake(self, outcome: str) -> None:
        self.handshakes -= 1
        is_probe = self.machine.era is None
        match outcome:
            case "failed":
                self.feed(HandshakeFailed(0.0, FAILURE))
            case "too new" | "missing":
                status = 404 if outcome == "missing" else None
                failure = failures.invalid("demo", status=status)
                self.feed(HandshakeFailed(0.0, failure, -32022 if outcome == "too new" else None))
            case _ if is_probe:
                era = {"modern": MODERN, "legacy": LEGACY, "none": NONE}[outcome]
                self.feed(EraFound(0.0, era, is_fresh=outcome != "none"))
            case _:
                self.feed(SessionOpened(0.0, Session(outcome, "2025-11-25")))

    @precondition(lambda self: self.sending)
    @rule(how=st.sampled_from([*How, "answer", "ended", "cancel", "timer"]), data=st.data())
    def hear(self, how: How | str, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.sending)))
        match how:
            case How():
                self.sending.discard(job)
                self.feed(failed(how, job))
                if how is How.HEADERS_STALE and job in self.open and job not in self.sending:
                    self.feed(Relisted(0.0, job, is_usable=data.draw(st.booleans())))
            case "answer":
                self.feed(Answered(0.0, job, ANSWER))
            case "ended":
                self.feed(StreamEnded(0.0, job, "e", None))
            case "cancel":
                self.feed(Cancelled(0.0, job))
                self.open.discard(job)
                self.sending.discard(job)
            case _:
                self.feed(TimerFired(0.0, job))

    @rule()
    def expire(self) -> None:
        self.feed(EraExpired(0.0))

    @invariant()
    def resends_are_bounded_and_handshakes_single(self) -> None:
        assert all(count <= len(How) for count in self.sends.values())
        assert self.handshakes <= 1

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Who neither sends nor has ended waits for a handshake that is under way."""
        assert self.open == self.sending or self.handshakes == 1


AnyScript.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAnyScript = AnyScript.TestCase


def test_failures_name_their_refusal() -> None:
    assert failures.timed_out("demo", 30).refusal.kind is RefusalKind.UPSTREAM_TIMEOUT

import pytest

from wicketd.domain.calls import Failure, OutcomeStatus, RefusalKind
from wicketd.domain.errors import Malformed, TimedOut, Unreachable
from wicketd.proxy import failures
from wicketd.proxy.errors import TABLE

ALL = [
    failures.unreachable("s"),
    failures.unreachable("s", status=503),
    failures.invalid("s", cap="x"),
    failures.timed_out("s", 30),
    failures.rate_limited("s"),
    failures.reconnect("s", 401),
    failures.scopes_missing("s", "a b"),
]


@pytest.mark.parametrize("failure", ALL)
def test_every_failure_fills_the_text_of_its_row(failure: Failure) -> None:
    values = {**failure.refusal.values, "portal": "https://p.example"}
    assert "s" in TABLE[failure.refusal.kind].text.format(**values)


def test_no_answer_at_all_is_another_outcome_than_a_bad_one() -> None:
    assert failures.unreachable("s").outcome is OutcomeStatus.UNREACHABLE
    assert failures.unreachable("s", status=500).outcome is OutcomeStatus.UPSTREAM_ERROR


def test_errors_of_the_client_keep_their_cap() -> None:
    late = failures.of_error("s", TimedOut("x"), 30)
    assert late.refusal.kind is RefusalKind.UPSTREAM_TIMEOUT
    broken = failures.of_error("s", Malformed("x", cap="header_bytes"), 30)
    assert (broken.refusal.kind, broken.cap) == (RefusalKind.INVALID_ANSWER, "header_bytes")
    gone = failures.of_error("s", Unreachable("x", cap="connect"), 30)
    assert (gone.refusal.kind, gone.cap) == (RefusalKind.UNREACHABLE, "connect")

import pytest

from wicketd.domain.calls import RefusalKind
from wicketd.proxy.answers import event_of, refusal_of
from wicketd.proxy.inbound import Heard, Message, decode
from wicketd.proxy.upstream_events import Answered, Failed, How, Session, StreamEnded

SESSION = Session("s", "2025-11-25")
TIMES = (1.0, 1.25)


def message(text: str) -> Message:
    messages = decode(b'{"jsonrpc":"2.0","id":1,' + text.encode() + b"}", may_batch=False)
    assert messages is not None
    return messages[0]


RESULT = message('"result":{"x":1}')


def error(code: int) -> Message:
    return message(f'"error":{{"code":{code},"message":"m"}}')


@pytest.mark.parametrize(
    ("heard", "session", "how"),
    [
        (Heard(404), SESSION, How.SESSION_GONE),
        (Heard(404, error(-32600)), SESSION, How.SESSION_GONE),
        (Heard(404), Session(None, "2025-11-25"), How.FINAL),
        (Heard(404), None, How.ERA_WRONG),
        (Heard(400), None, How.ERA_WRONG),
        (Heard(400), SESSION, How.FINAL),
        (Heard(400, error(-32022)), None, How.ERA_WRONG),
        (Heard(400, error(-32020)), None, How.HEADERS_STALE),
        (Heard(401), None, How.FINAL),
        (Heard(202), None, How.FINAL),
        (Heard(200, message('"result":[]')), None, How.FINAL),
        (Heard(200, message('"result":{"resultType":"task"}')), None, How.FINAL),
    ],
)
def test_a_failure_says_whether_the_request_may_go_out_again(
    heard: Heard, session: Session | None, how: How
) -> None:
    event = event_of(heard, "s", 1, session, TIMES)
    assert isinstance(event, Failed)
    assert event.how is how


@pytest.mark.parametrize(
    ("heard", "session"),
    [
        (Heard(200, RESULT), None),
        (Heard(200, RESULT), SESSION),
        (Heard(404, error(-32601)), None),
        (Heard(400, error(-32602)), None),
        (Heard(400, error(-32020)), SESSION),
        (Heard(200, message('"result":{"resultType":"task"}')), SESSION),
    ],
)
def test_what_carries_our_id_is_passed_on(heard: Heard, session: Session | None) -> None:
    event = event_of(heard, "s", 1, session, TIMES)
    assert isinstance(event, Answered)
    assert event.answer.upstream_ms == 250
    assert (event.answer.result is None) != (event.answer.error is None)


def test_an_ended_stream_keeps_where_to_resume() -> None:
    heard = Heard(200, has_ended_stream=True, event_id="e", retry_ms=5)
    assert event_of(heard, "s", 1, SESSION, TIMES) == StreamEnded(1.25, 1, "e", 5)


@pytest.mark.parametrize(
    ("challenge", "kind"),
    [
        ('Bearer error="insufficient_scope", scope="a b"', RefusalKind.SCOPES),
        ("Bearer error=insufficient_scope", RefusalKind.SCOPES),
        ('Bearer error="invalid_token"', RefusalKind.UNREACHABLE),
        ("", RefusalKind.UNREACHABLE),
    ],
)
def test_only_a_challenge_for_scope_asks_for_scopes(challenge: str, kind: RefusalKind) -> None:
    failure = refusal_of(Heard(403, challenge=challenge), "s")
    assert failure is not None
    assert failure.refusal.kind is kind


def test_statuses_of_the_protocol_are_no_refusal() -> None:
    assert [refusal_of(Heard(status), "s") for status in (200, 202, 400, 404, 405)] == [None] * 5

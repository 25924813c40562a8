"""What an upstream's answer may be to the client of its call."""

from typing import Any

import pytest

from tests.support.upstreams import call
from wicketd.domain.calls import Answer, Era, Failure, RefusalKind
from wicketd.domain.json import JsonObject
from wicketd.proxy.passing import ROUNDS_MAX, passed

URLS: JsonObject = {"elicitation": {"url": {}}}
PAGE: JsonObject = {
    "mode": "url",
    "message": "Go",
    "url": "https://a.example",
    "elicitationId": "x",
}


def required(*pages: JsonObject) -> Answer:
    data: JsonObject = {"elicitations": [*pages]}
    error: JsonObject = {"code": -32042, "message": "Visit", "data": data}
    return Answer(None, error, 200, 1, 2)


def code(answer: Answer | Failure) -> Any:
    assert isinstance(answer, Answer)
    assert answer.error is not None
    return answer.error["code"]


def test_pages_to_visit_are_an_error_for_those_who_know_it_and_a_question_for_modern_ones() -> None:
    newest = call(protocol_version="2025-11-25")
    assert passed(required(PAGE), newest, URLS) == required(PAGE)
    asked = passed(required(PAGE), call(era=Era.MODERN), URLS)
    assert isinstance(asked, Answer)
    assert asked.error is None
    assert asked.result is not None
    assert asked.result["inputRequests"] == {
        "r1": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "Go", "url": "https://a.example"},
        }
    }


@pytest.mark.parametrize(
    ("pages", "granted"),
    [((PAGE,), {}), (({**PAGE, "url": "http://a.example"},), URLS), ((), URLS)],
)
def test_pages_that_were_not_declared_or_are_no_https_are_an_error_without_them(
    pages: tuple[JsonObject, ...], granted: JsonObject
) -> None:
    for era in Era:
        answer = passed(required(*pages), call(era=era), granted)
        assert code(answer) == -32603
        assert isinstance(answer, Answer)
        assert "a.example" not in str(answer.error)


def test_an_older_client_does_not_know_the_code() -> None:
    assert code(passed(required(PAGE), call(protocol_version="2025-06-18"), URLS)) == -32603


def test_a_question_passes_if_it_was_declared_and_not_for_ever() -> None:
    result: JsonObject = {"resultType": "input_required", "requestState": "s"}
    asked = Answer(result, None, 200, 1, 2)
    assert passed(asked, call(era=Era.MODERN), {}) is asked
    late = passed(asked, call(era=Era.MODERN, round=ROUNDS_MAX), {})
    assert isinstance(late, Failure)
    assert late.refusal.kind is RefusalKind.UPSTREAM_TIMEOUT

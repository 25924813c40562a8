"""Whether an upstream's answer may pass to the client of its call, and as what. Pure.

Counterpart of `client`, which has it, and of `relaying`, which says what was declared.
Source: protocol spec, section 5.
"""

from dataclasses import replace
from typing import Final

from wicketd.domain.calls import Answer, Call, Era, Failure
from wicketd.domain.json import JsonObject
from wicketd.proxy import failures, relaying
from wicketd.proxy.errors import INTERNAL_ERROR, MISSING_CAPABILITY

ROUNDS_MAX: Final = 10
URL_REQUIRED: Final = -32042
_KNOWS_URLS: Final = "2025-11-25"


def passed(answer: Answer, call: Call, granted: JsonObject) -> Answer | Failure:
    """The answer, or why there is none. `granted`: what was declared to the upstream.

    A question passes if it was declared, and not for ever.
    """
    code = None if answer.error is None else answer.error.get("code")
    if answer.error is not None and code == MISSING_CAPABILITY:
        kept_back = relaying.withheld(answer.error, call.capabilities, granted)
        return answer if kept_back is None else failures.withheld(call, kept_back)
    if answer.error is not None and code == URL_REQUIRED:
        return _urls(answer, answer.error, call, granted)
    if answer.result is None or not relaying.is_input_required(answer.result):
        return answer
    return _question(answer, answer.result, call, granted)


def _question(
    answer: Answer, result: JsonObject, call: Call, granted: JsonObject
) -> Answer | Failure:
    if not relaying.may_pass(result, granted):
        return failures.invalid(call.service, status=answer.status)
    return answer if call.round < ROUNDS_MAX else failures.timed_out(call.service, ROUNDS_MAX)


def _urls(answer: Answer, error: JsonObject, call: Call, granted: JsonObject) -> Answer | Failure:
    """A legacy server cannot go on before some pages were visited."""
    asked = relaying.url_questions(error)
    if not asked or not all(relaying.is_declared(one, granted) for one in asked.values()):
        return replace(answer, error={**error, "code": INTERNAL_ERROR, "data": None})
    if call.era is Era.LEGACY:
        return (
            answer
            if call.protocol_version == _KNOWS_URLS
            else replace(answer, error={**error, "code": INTERNAL_ERROR})
        )
    result: JsonObject = {"resultType": "input_required", "inputRequests": {**asked}}
    return _question(replace(answer, error=None, result=result), result, call, granted)

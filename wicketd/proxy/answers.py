"""Reads what was heard from an upstream: answer, failure, or a reason to send again. Pure.

Counterpart of `exchange`, which hears, and of `upstream`, which decides. Source: protocol spec,
4.1, 4.2 and 4.4.
"""

import re
from typing import Final

import msgspec

from wicketd.domain.calls import Answer, Failure
from wicketd.proxy import failures
from wicketd.proxy.inbound import Heard, Message, RpcError
from wicketd.proxy.upstream import UNSUPPORTED_VERSION
from wicketd.proxy.upstream_events import Answered, Failed, How, Session, StreamEnded

HEADER_MISMATCH: Final = -32020
_INSUFFICIENT: Final = re.compile(r'error\s*=\s*"?insufficient_scope\b', re.IGNORECASE)
_SCOPE: Final = re.compile(r'\bscope\s*=\s*"([^"\\]{1,1000})"', re.IGNORECASE)


def event_of(
    heard: Heard, service: str, job: int, session: Session | None, times: tuple[float, float]
) -> Answered | Failed | StreamEnded:
    """What the machine is told. `session` None: a modern request; `times`: (began, now) in s."""
    began_s, at_s = times
    failure = refusal_of(heard, service)
    if failure is not None:
        return Failed(at_s, job, How.FINAL, failure)
    if heard.has_ended_stream:
        return StreamEnded(at_s, job, heard.event_id, heard.retry_ms)
    how = _how(heard, session)
    if how is None and heard.answer is not None:
        upstream_ms = int((at_s - began_s) * 1000)
        return Answered(at_s, job, _answer(heard, heard.answer, upstream_ms))
    return Failed(at_s, job, how or How.FINAL, failures.invalid(service, status=heard.status))


def refusal_of(heard: Heard, service: str) -> Failure | None:
    """The failure behind a status that speaks for itself, whatever the era."""
    if heard.status == 401:
        return failures.reconnect(service, 401)
    if heard.status == 403:
        if _INSUFFICIENT.search(heard.challenge):
            scopes = _SCOPE.search(heard.challenge)
            return failures.scopes_missing(service, scopes[1] if scopes else "")
        return failures.unreachable(service, status=403)
    if heard.status == 429:
        return failures.rate_limited(service)
    if heard.status >= 500:
        return failures.unreachable(service, status=heard.status)
    return None


def _how(heard: Heard, session: Session | None) -> How | None:
    """Why what was heard is no answer to pass on."""
    if heard.status == 404 and session is not None and session.id is not None:
        return How.SESSION_GONE
    if heard.answer is None:
        is_doubtful = session is None and heard.status >= 400
        return How.ERA_WRONG if is_doubtful else How.FINAL
    return _how_answered(heard.answer, session)


def _how_answered(answer: Message, session: Session | None) -> How | None:
    if isinstance(answer.error, RpcError):
        if session is None and answer.error.code == HEADER_MISMATCH:
            return How.HEADERS_STALE
        if session is None and answer.error.code == UNSUPPORTED_VERSION:
            return How.ERA_WRONG
        return None
    if not isinstance(answer.result, dict):
        return How.FINAL
    # Whether it may ask is checked where its call is known; a task was never declared.
    is_known = answer.result.get("resultType", "complete") in ("complete", "input_required")
    return None if session is not None or is_known else How.FINAL


def _answer(heard: Heard, message: Message, upstream_ms: int) -> Answer:
    error = None if message.error is msgspec.UNSET else message.error.as_object()
    return Answer(
        result=None if error is not None else message.result,
        error=error,
        status=heard.status,
        upstream_ms=upstream_ms,
        bytes_out=heard.size_bytes,
    )

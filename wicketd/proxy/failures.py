"""Names for what can go wrong with an upstream. Counterpart of `proxy.errors`, which words them.

Pure: each function gives the outcome to record and the refusal to send (protocol spec, 4 and 8).
"""

from typing import Final

from wicketd.domain.calls import Call, Failure, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.errors import Malformed, TimedOut, Upstream

QUEUE_CAP: Final = "in_flight"


def unreachable(service: str, *, status: int | None = None, cap: str | None = None) -> Failure:
    """No connection, or an answer of the 403 or 5xx kind, which is no word of the protocol."""
    outcome = OutcomeStatus.UNREACHABLE if status is None else OutcomeStatus.UPSTREAM_ERROR
    return _failure(outcome, RefusalKind.UNREACHABLE, {"service": service}, status, cap)


def invalid(service: str, *, status: int | None = None, cap: str | None = None) -> Failure:
    """An answer that breaks the protocol or a cap."""
    return _failure(
        OutcomeStatus.UPSTREAM_ERROR, RefusalKind.INVALID_ANSWER, {"service": service}, status, cap
    )


def timed_out(service: str, seconds: int) -> Failure:
    """No sign of life for `seconds`, or no answer in the whole time of a call."""
    return _failure(
        OutcomeStatus.TIMEOUT,
        RefusalKind.UPSTREAM_TIMEOUT,
        {"service": service, "seconds": str(seconds)},
    )


def withheld(call: Call, relay: str) -> Failure:
    """The upstream cannot work without what its connector's `relay` keeps back from it."""
    values = {"service": call.service, "relay": relay, "agent": call.caller.agent.key}
    return _failure(OutcomeStatus.UPSTREAM_ERROR, RefusalKind.DENIED, values, 400)


def rate_limited(service: str) -> Failure:
    """The upstream answered 429."""
    return _failure(
        OutcomeStatus.UPSTREAM_ERROR, RefusalKind.UPSTREAM_RATE, {"service": service}, 429
    )


def reconnect(service: str, status: int | None = None) -> Failure:
    """The credential was refused, or is bound to another destination than the one in force."""
    return _failure(
        OutcomeStatus.NO_CREDENTIALS, RefusalKind.RECONNECT, {"service": service}, status
    )


def scopes_missing(service: str, scopes: str) -> Failure:
    """The credential is good and lacks `scopes`, as the challenge names them."""
    return _failure(
        OutcomeStatus.NO_CREDENTIALS,
        RefusalKind.SCOPES,
        {"service": service, "scopes": ", ".join(scopes.split())},
        403,
    )


def of_error(service: str, error: Upstream, seconds: int) -> Failure:
    """The failure of what the guarded client raised; `seconds`: the time-out in force."""
    if isinstance(error, TimedOut):
        return timed_out(service, seconds)
    if isinstance(error, Malformed):
        return invalid(service, cap=error.cap)
    return unreachable(service, cap=error.cap)


def _failure(
    outcome: OutcomeStatus,
    kind: RefusalKind,
    values: dict[str, str],
    status: int | None = None,
    cap: str | None = None,
) -> Failure:
    return Failure(outcome, Refusal(kind, values), status=status, cap=cap)

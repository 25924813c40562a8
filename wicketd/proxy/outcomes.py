"""What is recorded of how a call ended. Pure.

Counterpart of `calls`, which stores it before anything is answered (product spec, section 4).
"""

from wicketd.domain.calls import Answer, Call, Failure, Outcome, OutcomeStatus
from wicketd.domain.connections import Credential


def outcome_of(call: Call, answer: Answer | Failure, credential: Credential | None) -> Outcome:
    """The outcome of a forwarded call; `credential`: the one that was opened, if any was."""
    connection_id = credential.connection_id if credential is not None else None
    generation = answer.generation
    if generation is None and credential is not None:
        generation = credential.generation
    if isinstance(answer, Failure):
        return Outcome(
            answer.outcome,
            upstream_status=answer.status,
            upstream_ms=answer.upstream_ms,
            bytes_in=call.bytes_in,
            cap=answer.cap,
            connection_id=connection_id,
            generation=generation,
        )
    status = OutcomeStatus.OK
    if answer.result is None:
        status = OutcomeStatus.UPSTREAM_ERROR
    elif answer.result.get("isError") is True:
        status = OutcomeStatus.TOOL_ERROR
    return Outcome(
        status,
        upstream_status=answer.status,
        upstream_ms=answer.upstream_ms,
        bytes_in=call.bytes_in,
        bytes_out=answer.bytes_out,
        result=answer.result if answer.result is not None else answer.error,
        connection_id=connection_id,
        generation=generation,
    )

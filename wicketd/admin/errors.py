"""The one place where errors become answers of the admin API."""

from typing import Final

import msgspec

from wicketd.api.errors import STATUS, ErrorBody
from wicketd.domain import errors

INTERNAL: Final = ErrorBody(
    code="internal",
    message="The daemon failed at this request. Nothing else is said here; its log has the cause.",
    hint='Read the log with "journalctl -u wicketd", then report it.',
)

CODES: Final[dict[type[errors.WicketError], str]] = {
    errors.Refused: "forbidden",
    errors.Unauthenticated: "forbidden",
    errors.RateLimited: "rate_limited",
    errors.Wrong: "bad_request",
    errors.Invalid: "invalid",
    errors.NotFound: "not_found",
    errors.Gone: "conflict",
    errors.Conflict: "conflict",
    errors.RevisionMoved: "stale",
    errors.RevisionRequired: "precondition_required",
    errors.TooLarge: "too_large",
    errors.Upstream: "conflict",
    errors.TimedOut: "timeout",
    errors.Unhealthy: "degraded",
    errors.Fatal: "internal",
}
"""Class to code, for it and its subclasses without an own row.

A failing upstream is a conflict: the request was right, the service's server is not in the state
that it needs. A fatal error ends the process; its row only closes the table.
"""


def code_of(kind: type[errors.WicketError]) -> str:
    """The code of an error class: its own row or that of its nearest ancestor with one."""
    return next((CODES[base] for base in kind.__mro__ if base in CODES), "internal")


def body_of(error: errors.WicketError) -> ErrorBody:
    """The answer to an error; of an internal one only the fixed text."""
    code = code_of(type(error))
    if code == "internal":
        return INTERNAL
    return ErrorBody(code=code, message=error.message, hint=error.hint, details=error.details)


def encode(body: ErrorBody) -> tuple[int, bytes]:
    """HTTP status and JSON of an error."""
    return STATUS[body.code], msgspec.json.encode(body)

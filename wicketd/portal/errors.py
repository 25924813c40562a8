"""The one place where errors become pages of the portal."""

from dataclasses import dataclass
from typing import Final

from wicketd.domain import errors


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What a person reads. `text`: the next step is its last sentence."""

    status: int
    title: str
    text: str
    retry_after_s: int | None = None


INTERNAL: Final = ErrorPage(
    500,
    "Something went wrong here",
    "The server failed at this request; its log has the cause. Try again in a minute.",
)
UNKNOWN: Final = "There is nothing at this address, or it is not yours to see. Open your agents."
"""The same for what does not exist and what belongs to somebody else."""

ROWS: Final[dict[type[errors.WicketError], tuple[int, str]]] = {
    errors.Refused: (403, "This is not allowed"),
    errors.Unauthenticated: (401, "Sign in first"),
    errors.RateLimited: (429, "Too many tries"),
    errors.Wrong: (400, "This request cannot be carried out"),
    errors.Invalid: (422, "This value does not fit"),
    errors.NotFound: (404, "Page not found"),
    errors.Gone: (410, "This link is over"),
    errors.Conflict: (409, "This is not possible now"),
    errors.RevisionMoved: (409, "This has changed meanwhile"),
    errors.RevisionRequired: (409, "This has changed meanwhile"),
    errors.TooLarge: (413, "This is too large"),
    errors.Upstream: (502, "The provider did not answer as it should"),
    errors.TimedOut: (504, "The provider did not answer in time"),
    errors.NotConnected: (409, "Not connected"),
    errors.Unhealthy: (503, "Not available right now"),
    errors.Fatal: (500, INTERNAL.title),
}
"""Class to status and title, for it and its subclasses without an own row."""


def row_of(kind: type[errors.WicketError]) -> tuple[int, str]:
    """The row of an error class, or that of its nearest ancestor with one."""
    return next((ROWS[base] for base in kind.__mro__ if base in ROWS), (500, INTERNAL.title))


def page_of(error: errors.WicketError) -> ErrorPage:
    """The page of an error. Hints are commands of administrators and are not shown."""
    status, title = row_of(type(error))
    if status == INTERNAL.status:
        return INTERNAL
    if isinstance(error, errors.NotFound):
        return ErrorPage(status, title, UNKNOWN)
    wait = 60 if isinstance(error, errors.RateLimited) else None
    return ErrorPage(status, title, error.message, wait)

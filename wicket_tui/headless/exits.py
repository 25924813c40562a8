"""Exit codes of `wicket` and which failure gets which.

Source: product specification, section 11.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What a script learns from the exit code."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_PERMISSION = 4
    CONFLICT = 5
    INVALID = 6
    UNREACHABLE = 7
    TIMED_OUT = 8
    NEGATIVE = 9
    INTERRUPTED = 130


BY_CODE: Final[Mapping[str, Exit]] = {
    "bad_request": Exit.USAGE,
    "forbidden": Exit.NO_PERMISSION,
    "not_found": Exit.NOT_FOUND,
    "timeout": Exit.TIMED_OUT,
    "conflict": Exit.CONFLICT,
    "stale": Exit.CONFLICT,
    "too_large": Exit.INVALID,
    "invalid": Exit.INVALID,
    "precondition_required": Exit.CONFLICT,
    "rate_limited": Exit.FAILED,
    "internal": Exit.FAILED,
    "degraded": Exit.FAILED,
}
"""Error codes of the admin API to exit codes; a code this client does not know is a failure."""

"""The error shape of the admin API and its closed list of codes.

Source: product specification, section 9.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

STATUS: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "timeout": 408,
    "conflict": 409,
    "stale": 412,
    "too_large": 413,
    "invalid": 422,
    "precondition_required": 428,
    "rate_limited": 429,
    "internal": 500,
    "degraded": 503,
}
"""Code to HTTP status."""


class ErrorBody(Struct, frozen=True, kw_only=True):
    """Every answer but 2xx.

    `message` is a plain sentence, `hint` the command or sentence that fixes it.
    """

    code: str
    message: str
    hint: str | None = None
    details: tuple[dict[str, Any], ...] = ()
    """Further findings, for example the problems of a policy text or the current revision."""

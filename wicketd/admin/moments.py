"""Points in time as people give them: ISO 8601, or how long ago."""

import re
from typing import Final

from wicketd.admin.mapping import millis

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNIT_MS: Final = {
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}


def moment(text: str | None, now_ms: int) -> int | None:
    """Milliseconds since 1970 of `2026-01-31T12:00:00Z`, or of `30m`, `1h`, `7d` before `now_ms`.

    Raises:
        Invalid: it is neither.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is None:
        return millis(text)
    return now_ms - int(ago.group(1)) * _UNIT_MS[ago.group(2)]

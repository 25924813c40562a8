"""The host's clocks, random source and ids, behind the ports of `domain`.

Apart from `daemon`, so that short commands do not load everything that serves.
"""

import secrets
import time

from wicketd.domain.ids import uuid7


class SystemClock:
    """The operating system's clocks."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemRandom:
    """The operating system's random source."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        return secrets.token_bytes(count)


class SystemIds:
    """UUIDv7s of now; safe on every thread."""

    def uuid7(self) -> str:
        """A new id."""
        return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))

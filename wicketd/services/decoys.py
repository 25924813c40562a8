"""Locks of addresses that have no second factor, as if they had one.

Without them a lock would tell which addresses exist. In memory: an address that nobody has needs
no durable lock. Counterpart: `authenticator`, whose schedule they follow.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from wicketd.services.authenticator import lock_until

KEPT: Final = 10_000
HOUR_MS: Final = 3_600_000
PER_IP: Final = 20
"""Wrong codes of one IP in an hour, over all addresses."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: int | None = None


class Decoys:
    """Counts failures by address; bounded, the longest unused goes first."""

    def __init__(self) -> None:
        self._by_email: OrderedDict[str, _Failures] = OrderedDict()

    def locked_until(self, email: str, now_ms: int) -> int | None:
        """Until when the address is locked; None if it is not."""
        held = self._by_email.get(email)
        if held is None or held.locked_until is None or now_ms >= held.locked_until:
            return None
        return held.locked_until

    def fail(self, email: str, now_ms: int) -> int | None:
        """Counts a failure; gives until when it locks."""
        held = self._by_email.setdefault(email, _Failures())
        self._by_email.move_to_end(email)
        if len(self._by_email) > KEPT:
            self._by_email.popitem(last=False)
        held.count += 1
        until = lock_until(held.count, now_ms, is_doubling=True)
        held.locked_until = until or held.locked_until
        return until


class IpFailures:
    """Wrong codes by IP in the last hour; bounded."""

    def __init__(self) -> None:
        self._by_ip: OrderedDict[str, list[int]] = OrderedDict()

    def full_until(self, ip: str, now_ms: int) -> int | None:
        """When the IP may try again; None if it may now."""
        recent = self._recent(ip, now_ms)
        return recent[-PER_IP] + HOUR_MS if len(recent) >= PER_IP else None

    def fail(self, ip: str, now_ms: int) -> None:
        """Counts a failure."""
        self._by_ip[ip] = [*self._recent(ip, now_ms), now_ms]
        self._by_ip.move_to_end(ip)
        if len(self._by_ip) > KEPT:
            self._by_ip.popitem(last=False)

    def _recent(self, ip: str, now_ms: int) -> list[int]:
        return [at for at in self._by_ip.get(ip, []) if at > now_ms - HOUR_MS]

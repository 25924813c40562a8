"""Counts encryptions per subkey, since random 96-bit nonces may not be drawn without bound. Pure.

Blocks of 1,024 are reserved durably ahead of use, so a crash over-counts and never under-counts.
Counterpart:
`storage.key_usage`, which keeps the reservations. Source: security spec, section 1.
"""

from typing import Final, Protocol

from wicketd.domain.errors import Unhealthy

BLOCK: Final = 1_024
WARN_AT: Final = 2**30
REFUSE_AT: Final = 2**32


class Usage(Protocol):
    """Asked before each encryption under a server subkey."""

    def __call__(self, kid: str, label: str) -> None:
        """Takes one encryption.

        Raises:
            KeyExhausted: no more may be made under this subkey.
        """


class KeyExhausted(Unhealthy):
    """A subkey has no encryptions left: rotate the keyring."""


def uncounted(kid: str, label: str) -> None:
    """For tools and tests that encrypt a handful of values."""


class Reservations:
    """Hands out encryptions from blocks that the store's owner reserves, then grants here."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], int] = {}
        self._used: dict[tuple[str, str], int] = {}

    def grant(self, kid: str, label: str, reserved: int) -> None:
        """Adds one block. `reserved`: the durable total of the subkey, this block included.

        Raises:
            KeyExhausted: the total has passed 2^32.
        """
        if reserved > REFUSE_AT:
            raise _exhausted(kid)
        subkey = (kid, label)
        self._left[subkey] = self._left.get(subkey, 0) + BLOCK
        self._used[subkey] = reserved

    def __call__(self, kid: str, label: str) -> None:
        """Takes one encryption from the granted blocks.

        Raises:
            KeyExhausted: nothing is left; the owner must grant a block, or the key must be rotated.
        """
        left = self._left.get((kid, label), 0)
        if left == 0:
            raise _exhausted(kid)
        self._left[kid, label] = left - 1

    def left(self, kid: str, label: str) -> int:
        """Encryptions that may be made before the next block."""
        return self._left.get((kid, label), 0)

    def low(self) -> tuple[tuple[str, str], ...]:
        """Subkeys with less than half a block left: reserve and grant before they run dry."""
        return tuple(subkey for subkey, left in self._left.items() if left < BLOCK // 2)

    def worn(self) -> tuple[str, ...]:
        """Kids with a subkey at 2^30 encryptions or more: time to rotate."""
        return tuple(sorted({kid for (kid, _), used in self._used.items() if used >= WARN_AT}))


def _exhausted(kid: str) -> KeyExhausted:
    message = f"No encryption may be made under server key {kid} now."
    return KeyExhausted(message, hint='Rotate it with "wicketd keyring rotate", then restart.')

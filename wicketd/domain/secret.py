"""The shape of a secret value: it is unwrapped where it is used and never prints.

Counterpart: `vault.secret`.
"""

from typing import Protocol


class SecretBytes(Protocol):
    """A value whose repr, str and format never show it."""

    def reveal(self) -> bytes:
        """The bytes themselves; callers keep them in the shortest scope."""

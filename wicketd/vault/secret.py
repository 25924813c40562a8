"""A value that never prints.

Implements `domain.secret.SecretBytes`; unwrapped only where it is used.
"""

import hmac
from typing import ClassVar, Final, NoReturn, final

from typing_extensions import override

PLACEHOLDER: Final = "<secret>"


@final
class Secret:
    """Secret bytes. Prints as `<secret>`, is compared in constant time, is not copied or pickled.

    It promises no wiping: Python cannot clear immutable bytes (security spec, section 13).
    """

    __slots__ = ("_value",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # a hash would be an unkeyed digest of the secret

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves; callers keep them in the shortest scope."""
        return self._value

    @override
    def __repr__(self) -> str:
        return PLACEHOLDER

    @override
    def __str__(self) -> str:
        return PLACEHOLDER

    @override
    def __format__(self, spec: str) -> str:
        return PLACEHOLDER

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    @override
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is not pickled or copied.")

    @override
    def __getstate__(self) -> NoReturn:
        raise TypeError("A secret is not pickled or copied.")

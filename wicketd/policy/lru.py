"""A bounded memory of what was made last.

Invariant: an entry is made once and dropped only for a newer one.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Keeps the `size` values used last; for one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of `key`, made now if it is not there; nothing is kept when `make` raises."""
        value = self.find(key)
        if value is not None:
            return value
        made = make()
        self.keep(key, made)
        return made

    def find(self, key: K) -> V | None:
        """The value of `key` if it is there."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        """Keeps a value that was made elsewhere, for many keys at once."""
        self._values[key] = value
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)

"""A bounded memory."""

import pytest

from wicketd.policy.lru import Lru


def test_what_was_used_last_is_kept_and_the_rest_made_again() -> None:
    made: list[str] = []
    memory: Lru[str, str] = Lru(2)

    def make(key: str) -> str:
        made.append(key)
        return key

    for key in ("a", "b", "a", "c", "a", "b"):
        assert memory.get(key, lambda wanted=key: make(wanted)) == key  # type: ignore[misc]  # bound now
    assert made == ["a", "b", "c", "b"]
    assert len(memory) == 2


def test_nothing_is_kept_of_what_could_not_be_made() -> None:
    memory: Lru[str, int] = Lru(2)
    with pytest.raises(ZeroDivisionError):
        memory.get("a", lambda: 1 // 0)
    assert memory.get("a", lambda: 1) == 1

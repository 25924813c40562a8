"""The names somebody may have meant instead of one that does not exist (policy spec, 9.4).

Counterpart of `policy.diagnose`, which turns a near name into a fix. Invariant: pure; beyond a few
letters of difference it says nothing, for a wrong hint is worse than none.
"""

from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 3
_LONGEST: Final = 128
"""Of a name that is compared: what is longer is no slip of the keyboard."""


def nearest(wrong: str, names: Iterable[str]) -> list[str]:
    """At most three names within max(2, length / 3) edits of `wrong`, nearest first.

    Case counts for nothing.
    """
    if len(wrong) > _LONGEST:
        return []
    limit = max(2, len(wrong) // 3)
    found = sorted(
        (away, name)
        for name in {*names}
        if name != wrong and abs(len(name) - len(wrong)) <= limit
        for away in [distance(wrong.casefold(), name.casefold())]
        # A short name that shares no letter is another name, however few edits lie between.
        if away <= limit and away < max(len(wrong), len(name))
    )
    return [name for _, name in found[:MAX_NAMES]]


def distance(one: str, other: str) -> int:
    """Damerau-Levenshtein: letters inserted, dropped, replaced, or swapped with a neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, last, row = row, before, [at]
        for to, wanted in enumerate(other, 1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == wanted:
                cost = min(cost, last[to - 2] + 1)
            row.append(cost)
    return row[-1]

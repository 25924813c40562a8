"""The audit's filter bar: terms as in `wicket audit list`, completed while they are typed.

Source: terminal app specification, section 6.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input
from typing_extensions import override

from wicket_tui.headless.filters import NAMES

KEPT: Final = 50
"""Filters that are remembered for up and down."""
_VALUES: Final = {
    "decision": ("allow", "deny"),
    "flip": ("yes", "no"),
    "since": ("1h", "24h", "7d", "30d"),
    "until": ("1h", "24h", "7d"),
    "outcome": (
        *("ok", "tool_error", "upstream_error", "unreachable", "timeout", "cancelled"),
        *("no_credentials", "withheld", "unknown"),
    ),
}
Values = Callable[[str], Awaitable[Sequence[str]]]
"""The values of a filter that occur in the log; none where the daemon cannot say."""


class Terms(Suggester):
    """Suggests the rest of the last term: a filter's name, then a value that occurs."""

    def __init__(self, values: Values) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._values = values

    @override
    async def get_suggestion(self, value: str) -> str | None:
        done, space, term = value.rpartition(" ")
        name, colon, part = term.partition(":")
        if not term:
            return None
        if not colon:
            found = [f"{one}:" for one in NAMES if one.startswith(name)]
        elif name in NAMES:
            known = _VALUES.get(name) or await self._values(name)
            found = [f"{name}:{quoted(one)}" for one in known if quoted(one).startswith(part)]
        else:
            found = []
        rest = next((one for one in found if one != term), None)
        return None if rest is None else f"{done}{space}{rest}"


class FilterBar(Input):
    """The bar. Up and down walk through what was used before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(1)", show=False),
        Binding("down", "recall(-1)", show=False),
    ]

    def __init__(self, values: Values, id: str = "filter") -> None:  # noqa: A002  # Textual's own name
        super().__init__(
            placeholder="NAME:VALUE … such as decision:deny since:1h",
            suggester=Terms(values),
            compact=True,
            select_on_focus=False,
            id=id,
        )
        self._used: list[str] = []
        self._back = 0

    def keep(self) -> None:
        """Remembers what stands here."""
        if self.value.strip() and self.value not in self._used[:1]:
            self._used.insert(0, self.value)
            del self._used[KEPT:]
        self._back = 0

    def action_recall(self, by: int) -> None:
        """An older filter, or a newer one."""
        back = self._back + by
        if 0 < back <= len(self._used):
            self._back = back
            self.value = self._used[back - 1]
            self.cursor_position = len(self.value)


def quoted(value: str) -> str:
    """A value as one term."""
    return f'"{value}"' if " " in value else value


def whole(words: Sequence[str]) -> list[str]:
    """The terms without a last one that is still being typed."""
    name, colon, value = words[-1].partition(":") if words else ("", "", "")
    is_begun = name in NAMES if colon else any(one.startswith(name) for one in NAMES)
    return list(words[:-1]) if words and is_begun and not value else list(words)


def terms(text: str) -> list[str]:
    """The terms of a bar; quotes hold blanks together. An open quote ends with the text."""
    found: list[str] = []
    current, is_quoted = "", False
    for char in text:
        if char == '"':
            is_quoted = not is_quoted
        elif char.isspace() and not is_quoted:
            found += [current] if current else []
            current = ""
        else:
            current += char
    return [*found, current] if current else found

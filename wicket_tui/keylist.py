"""The key map as a table: what `wicket keys` prints and docs/keys.md holds. Pure.

Counterpart of `keymap`, whose rows they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wicket_tui.actions import Action, shown_key
from wicket_tui.keymap import ACTIONS

ALL_SCREENS: Final = "everywhere"
_DANGER: Final = ("", "asks first", "wants a name typed")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One action on one screen. `command`: what does the same in a shell, or empty."""

    screen: str
    keys: str
    label: str
    id: str
    command: str
    care: str
    help: str


def listed(own: Mapping[str, tuple[str, ...]] | None = None) -> tuple[KeyRow, ...]:
    """Every action, those of all screens first. `own`: keys of the user, by action."""
    rows = [row for action in ACTIONS for row in _rows(action, own or {})]
    names = list(dict.fromkeys(row.screen for row in rows))
    return tuple(sorted(rows, key=lambda row: names.index(row.screen)))


def _rows(action: Action, own: Mapping[str, tuple[str, ...]]) -> Iterator[KeyRow]:
    keys = " ".join(map(shown_key, own.get(action.id, action.keys)))
    for screen in action.where or (ALL_SCREENS,):
        care = _DANGER[action.danger]
        yield KeyRow(screen, keys, action.label, action.id, _command(action), care, action.help)


def _command(action: Action) -> str:
    """The twin, where it is the same whatever is chosen."""
    noun, _, rest = (action.twin or "").partition(" ")
    return "" if not noun or rest.startswith("{") else f"wicket {action.twin}"

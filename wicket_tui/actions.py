"""What an action is, when it may run, which command does the same. Pure: no Textual.

The rows are in `keymap`. `danger` 0 runs at once; 1 asks, default No, and says what
will happen; 2 wants a name typed.
Source: terminal app specification, section 2.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Final, Literal

GROUP: Final = "wicket-admin"


@dataclass(frozen=True, slots=True)
class Here:
    """Where the person stands when an action is asked for: plain values, no widget.

    `chosen`: what is under the cursor, by the names that twins use, such as `agent`, `member`,
    `state`. Every value is as the daemon gave it.
    """

    screen: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    can_write: bool = False
    is_online: bool = False
    is_degraded: bool = False
    only_reads: bool = False
    """The app was started with `--read-only`."""


Need = Callable[[Here], str | None]
"""None, or the sentence that says why an action cannot run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row. `where`: the screens that have it; empty: all. `twin`: without the word `wicket`."""

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    danger: Literal[0, 1, 2] = 0
    permission: Literal["none", "read", "write"] = "none"
    """"none": navigation, it needs no daemon."""
    endpoint: str | None = None
    twin: str | None = None
    where: tuple[str, ...] = ()
    needs: Need | None = None
    asks: str = ""
    """Danger 1 and 2: what will happen, with `{values}` of what is chosen."""
    word: str = ""
    """Danger 2: what has to be typed."""
    wants_reason: bool = False
    """The dialog has a line for a reason, kept in the audit."""
    footer: bool = True

    @property
    def method(self) -> str:
        """The name of the method that does it, of its screen or, everywhere, of the app."""
        return "do_" + self.id.replace(".", "_").replace("-", "_")


def chosen(name: str, sentence: str) -> Need:
    """Something of this name has to be under the cursor."""
    return lambda here: None if here.chosen.get(name) else sentence


def holds(name: str, values: tuple[str, ...], sentence: str) -> Need:
    """What is under the cursor has to be in one of these states."""
    return lambda here: None if here.chosen.get(name) in values else sentence


def both(*needs: Need) -> Need:
    """Every need; the first sentence counts."""

    def asked(here: Here) -> str | None:
        return next((why for need in needs if (why := need(here))), None)

    return asked


def refusal(action: Action, here: Here) -> str | None:
    """Why the action cannot run here, as a sentence with the next step; None: it can."""
    if action.permission != "none" and not here.is_online:
        return "Not connected: the app tries again by itself, ctrl+r tries at once."
    if action.permission == "write":
        if here.only_reads:
            return "Read-only: the app was started with --read-only. Start wicket without it."
        if not here.can_write:
            return (
                f"Read-only: join the group {GROUP} for this ({action.label}), then sign in again."
            )
        if here.is_degraded:
            return "The daemon is degraded and writes nothing: press 8 to see why."
    return action.needs(here) if action.needs else None


def twin_of(action: Action, values: Mapping[str, str]) -> str | None:
    """The command that does the same, quoted for a shell; what is not known stays a `<name>`."""
    if action.twin is None:
        return None
    words = (_filled(word, values, shlex.quote) for word in action.twin.split())
    return " ".join(["wicket", *words])


def question(action: Action, values: Mapping[str, str]) -> tuple[str, str | None]:
    """What is asked before an action, and its command: equal where it would do the same."""
    return sentence(action.asks, values), twin_of(action, values)


def sentence(text: str, values: Mapping[str, str]) -> str:
    """A text of the registry with its values filled in; an absent one is left out."""
    return _filled(text, values, str, absent="")


def _filled(
    text: str, values: Mapping[str, str], quote: Callable[[str], str], absent: str | None = None
) -> str:
    parts: list[str] = []
    for literal, name, _, _ in Formatter().parse(text):
        parts.append(literal)
        if name is not None:
            value = values.get(name)
            missing = f"<{name}>" if absent is None else absent
            parts.append(quote(value) if value else missing)
    return "".join(parts)


def clashes(actions: Iterable[Action], keys: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A sentence for each key that means two things on one screen."""
    found: list[str] = []
    rows = tuple(actions)
    screens = sorted({screen for action in rows for screen in action.where})
    for screen in screens:
        seen: dict[str, str] = {}
        for action in rows:
            if action.where and screen not in action.where:
                continue
            for key in keys.get(action.id, action.keys):
                if key in seen:
                    found.append(f"{key} means {seen[key]} and {action.id} on {screen}")
                seen.setdefault(key, action.id)
    return sorted(set(found))


def remapped(
    table: Mapping[str, Any], actions: Mapping[str, Action]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The keys of `keys.toml` (`"member.approve" = "f7"`), and a sentence for each bad entry."""
    keys: dict[str, tuple[str, ...]] = {}
    wrong: list[str] = []
    for name, value in table.items():
        if name not in actions:
            wrong.append(f"{name} is no action: F1 names those of a screen")
        elif not isinstance(value, str) or not value.strip():
            wrong.append(f'{name}: give its keys as one text, such as "f7" or "f7,a"')
        else:
            keys[name] = tuple(key.strip() for key in value.split(","))
    return keys, wrong + clashes(actions.values(), keys)


DISPLAYED: Final[Mapping[str, str]] = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
}


def shown_key(key: str) -> str:
    """A key as people write it."""
    is_function = key[:1] == "f" and key[1:].isdecimal()
    return DISPLAYED.get(key, key.upper() if is_function else key)

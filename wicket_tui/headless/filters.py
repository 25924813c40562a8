"""The audit's filter words, the same in the TUI: `tool:delete decision:deny since:1h`."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from wicket_tui.headless.stdin import InputFailed
from wicketd.api.types.audit import AuditFilters

F = TypeVar("F", bound=AuditFilters)

_WIRE_NAMES: Final = {"since": "from", "until": "to", "flip": "shadow_flip"}
NAMES: Final = (
    *("agent", "service", "tool", "member", "policy", "session", "key", "ref", "kind"),
    *("outcome", "reason", "revision", "decision", "since", "until", "flip"),
)
HELP: Final = "Filters NAME:VALUE, all must hold. Names: " + ", ".join(NAMES) + "."


def parsed(kind: type[F], words: Sequence[str], **more: Any) -> F:
    """A request of `kind` from filter words; `more`: its other fields.

    Raises:
        InputFailed: a word is no filter, or its value does not fit.
    """
    values: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or name not in NAMES:
            message = f"{word!r} is no filter. Write NAME:VALUE with one of {', '.join(NAMES)}."
            raise InputFailed(message)
        values[_WIRE_NAMES.get(name, name)] = _fitted(name, value)
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        message = f"A filter does not fit: {error}."
        raise InputFailed(message) from error


def _fitted(name: str, value: str) -> str:
    if name == "decision":
        return value.upper()
    return {"yes": "true", "no": "false"}.get(value, value) if name == "flip" else value

"""Rules of the values that admins give: names, labels, zones, revisions.

Pure; every refusal ends with the next step.
"""

import re
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wicketd.domain.errors import Invalid, RevisionMoved, RevisionRequired
from wicketd.domain.ids import AGENT_KEY, LABEL, LOCAL_NAME, POLICY_KEY, RESERVED_POLICY_KEYS

NAME_MAX: Final = 80
POLICY_NAME_MAX: Final = 120
NOTE_MAX: Final = 500
LABELS_MAX: Final = 64

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def text(value: str, noun: str, limit: int) -> str:
    """A display text: 1 to `limit` code points, trimmed, all of them visible.

    Raises:
        Invalid: it breaks the rule.
    """
    trimmed = value.strip()
    if not trimmed or len(trimmed) > limit or _UNPRINTABLE.search(trimmed):
        message = f"The {noun} needs 1 to {limit} visible characters. Choose another one."
        raise Invalid(message)
    return trimmed


def note(value: str | None, limit: int = NOTE_MAX) -> str | None:
    """A remark or reason: absent when empty.

    Raises:
        Invalid: it is too long or holds control characters.
    """
    return text(value, "note", limit) if value is not None and value.strip() else None


def agent_key(value: str) -> str:
    """An agent's key.

    Raises:
        Invalid: it is no slug.
    """
    return _slug(value, AGENT_KEY, "An agent key has 1 to 40 of a-z, 0-9 and -, a letter first")


def local_name(value: str) -> str:
    """A local member's name.

    Raises:
        Invalid: it is no local name.
    """
    return _slug(value, LOCAL_NAME, "A local name has 1 to 40 of a-z, 0-9, dot, _ and -")


def policy_key(value: str) -> str:
    """A policy's key, as an admin may choose it.

    Raises:
        Invalid: it is no slug, or reserved.
    """
    if value in RESERVED_POLICY_KEYS or value.startswith("baseline-"):
        message = f"The policy key {value} is reserved. Choose another key."
        raise Invalid(message)
    return _slug(value, POLICY_KEY, "A policy key has 1 to 63 of a-z, 0-9 and -")


def zone(value: str) -> str:
    """An IANA time zone name that this host knows.

    Raises:
        Invalid: it does not.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = (
            f"The time zone {value[:80]!r} is not known here. "
            "Give an IANA name such as Europe/Berlin."
        )
        raise Invalid(message) from error
    return value


def labels(values: Sequence[str], noun: str) -> tuple[str, ...]:
    """Groups or tags: each once, sorted.

    Raises:
        Invalid: one is malformed, or there are more than 64.
    """
    for value in values:
        if not LABEL.fullmatch(value):
            message = (
                f"The {noun} {value[:80]!r} needs 1 to 64 of A-Z, a-z, 0-9, _, dot and -. "
                "Rename it."
            )
            raise Invalid(message)
    unique = tuple(sorted(set(values)))
    if len(unique) > LABELS_MAX:
        message = f"There may be {LABELS_MAX} {noun}s. Remove some of them."
        raise Invalid(message)
    return unique


def revision(current: int, expected: int | None) -> None:
    """Lets a write pass that was based on the current revision.

    Raises:
        RevisionRequired: none was given.
        RevisionMoved: another one was; `details` holds the current one.
    """
    if expected is None:
        message = (
            "This change needs the revision it is based on. Read the object and send it along."
        )
        raise RevisionRequired(message)
    if expected != current:
        raise moved(current)


def moved(current: int) -> RevisionMoved:
    """The refusal of a write that is based on an older state."""
    return RevisionMoved(
        "Somebody changed this in the meantime. Read it again and repeat the change.",
        details=({"current": current},),
    )


def moved_hash(current: str | None) -> RevisionMoved:
    """The refusal of an acknowledgement of a definition that is not the stored one any more."""
    return RevisionMoved(
        "The tool changed again since it was reviewed. Look at its drift and acknowledge that.",
        details=({"current": current},),
    )


def _slug(value: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(value):
        message = f"{rule}. Choose another one."
        raise Invalid(message)
    return value

"""Names at the front: `service__tool`, `service__prompt`, `service+uri`, and back.

Counterpart of `lists`, which joins, and of the call path, which splits. Invariant: bijective; a
name belongs to the one service in its prefix, whoever else could answer, because a service key
holds neither `_` nor `+`. Source: protocol spec, 3.1.
"""

import re
from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import SERVICE_KEY

TOOL_NAME_MAX: Final = 48
"""`mcp__wicket__` and 48 characters stay under the 64 that model providers allow (protocol 3.1)."""
PROMPT_NAME_MAX: Final = 128
RESERVED_SERVICE: Final = "wicket"

_TOOL: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NAME_MARK: Final = "__"
_URI_MARK: Final = "+"


@dataclass(frozen=True, slots=True)
class Split:
    """A front name taken apart. `name`: as the upstream knows it, byte for byte."""

    service: str
    name: str


def join(service: str, name: str) -> str:
    """The front name of a tool or prompt."""
    return f"{service}{_NAME_MARK}{name}"


def split(front_name: str) -> Split | None:
    """Takes a tool or prompt name apart at the first `__`; None if it has none.

    The service may be unknown or no possible key at all; its look-up decides.
    """
    service, mark, name = front_name.partition(_NAME_MARK)
    return Split(service, name) if mark else None


def join_uri(service: str, uri: str) -> str:
    """The front form of a resource URI or template: a legal scheme, the rest untouched."""
    return f"{service}{_URI_MARK}{uri}"


def split_uri(front_uri: str) -> Split | None:
    """Takes a resource URI or template apart at the first `+`; None without a possible service."""
    service, mark, uri = front_uri.partition(_URI_MARK)
    return Split(service, uri) if mark and is_service_key(service) else None


def is_service_key(text: str) -> bool:
    """Whether `text` may be the key of a service, the built-in one included."""
    return SERVICE_KEY.fullmatch(text) is not None


def tool_fault(service: str, name: str, limit: int = TOOL_NAME_MAX) -> str | None:
    """Why a listed tool cannot be offered, as a sentence's end; None if it can.

    `limit`: characters of the whole front name, the setting `tool_name_max`.
    """
    if _TOOL.fullmatch(name) is None:
        return "its name has characters other than letters, digits, '_', '-' and '.'"
    return _length_fault(join(service, name), limit)


def prompt_fault(service: str, name: str) -> str | None:
    """Why a listed prompt cannot be offered, as a sentence's end; None if it can."""
    if not name:
        return "its name is empty"
    return _length_fault(join(service, name), PROMPT_NAME_MAX)


def _length_fault(front_name: str, limit: int) -> str | None:
    if len(front_name) <= limit:
        return None
    return f"its name with the service's prefix has {len(front_name)} characters, {limit} fit"

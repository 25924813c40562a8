"""What an authorization server answered, and its JSON read strictly. Pure.

Counterpart: `oauth.client`, which fetches. Bodies hold tokens, so an answer never prints.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from wicketd.domain.json import Json, JsonObject

JSON_DEPTH_MAX: Final = 32
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A whole HTTP answer. `headers`: lower-case names, the last of equal ones."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def json_object(body: bytes) -> JsonObject:
    """The JSON object of a body, read in the one way that all parsers agree on.

    Raises:
        ValueError: no JSON object, a member twice, deeper than 32; it quotes nothing.
    """
    try:
        value: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec quotes the text in its messages: nothing of the original error may be shown.
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  # a property of the text
    # msgspec keeps the last of duplicate names: more names written than kept means a duplicate.
    if _STRING.sub(b"", body).count(b":") != _names(value, JSON_DEPTH_MAX):
        raise ValueError("a member twice")
    return value


def _names(value: Json, depth_left: int) -> int:
    if not isinstance(value, dict | list):
        return 0
    if not depth_left:
        raise ValueError("nested too deeply")
    inner = value.values() if isinstance(value, dict) else value
    own = len(value) if isinstance(value, dict) else 0
    return own + sum(_names(child, depth_left - 1) for child in inner)

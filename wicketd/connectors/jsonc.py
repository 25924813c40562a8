"""JSON as editors write it: comments and trailing commas are left out, the rest is strict. Pure."""

import re
from typing import Final

import msgspec

_BLANKED: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a text is kept, whatever it holds
    r"|//[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_TRAILING: Final = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.DOTALL)


def decode(text: str) -> object:
    """The value of a JSON text that may hold comments and trailing commas.

    Raises:
        ValueError: it is no JSON besides.
    """
    bare = _BLANKED.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    bare = _TRAILING.sub(lambda found: found[1] or "", bare)
    try:
        return msgspec.json.decode(bare.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from error

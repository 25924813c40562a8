"""Reads the `WWW-Authenticate` of a server that wants a token. Pure; a broken header says nothing.

Source: RFC 9110, 11.6.1; RFC 6750, 3; RFC 9728, 5.1.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PART: Final = re.compile(
    rf'[\s,]*(?:(?P<name>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>{_WORD}))'
    rf"(?=[\s,]|$)|(?P<scheme>{_WORD})(?:[ ]+[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$)))?(?=[\s,]|$))"
)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749, 3.3."""
_HEADER_CHARACTERS_MAX: Final = 8_192
_SCOPES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Challenge:
    """The first Bearer challenge. `scope`: the scopes it names, in order; `error`: its code."""

    resource_metadata: str | None = None
    scope: tuple[str, ...] = ()
    error: str | None = None


NOTHING: Final = Challenge()


def bearer(headers: Sequence[str]) -> Challenge:
    """The first Bearer challenge of an answer, or `NOTHING`.

    `headers`: every value of `WWW-Authenticate`. A parameter that stands twice makes the challenge
    ambiguous, so that it counts for nothing.
    """
    for header in headers:
        for scheme, parameters in _challenges(header):
            if scheme == "bearer":
                return NOTHING if parameters is None else _of(parameters)
    return NOTHING


def scopes(text: str) -> tuple[str, ...]:
    """The scopes of a space-separated list, each once; what is no scope is left out."""
    found = dict.fromkeys(word for word in text.split(" ") if _SCOPE.fullmatch(word))
    return tuple(found)[:_SCOPES_MAX]


def is_scope(text: str) -> bool:
    """Whether the text may stand in a list of scopes."""
    return _SCOPE.fullmatch(text) is not None


def _of(parameters: dict[str, str]) -> Challenge:
    return Challenge(
        resource_metadata=parameters.get("resource_metadata") or None,
        scope=scopes(parameters.get("scope", "")),
        error=parameters.get("error"),
    )


def _challenges(header: str) -> Iterator[tuple[str, dict[str, str] | None]]:
    """(scheme, parameters) pairs; parameters are None where one stands twice."""
    if len(header) > _HEADER_CHARACTERS_MAX:
        return
    scheme: str | None = None
    parameters: dict[str, str] = {}
    is_ambiguous = False
    rest = header.rstrip(" \t,")
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            return
        position = part.end()
        if part["scheme"] is not None:
            if scheme is not None:
                yield scheme, None if is_ambiguous else parameters
            scheme, parameters, is_ambiguous = part["scheme"].lower(), {}, False
            continue
        name = part["name"].lower()
        is_ambiguous = is_ambiguous or name in parameters
        parameters[name] = _value(part)
    if scheme is not None:
        yield scheme, None if is_ambiguous else parameters


def _value(part: re.Match[str]) -> str:
    if part["quoted"] is None:
        return part["bare"]
    return re.sub(r"\\(.)", r"\1", part["quoted"])

"""What looks like a secret in a client's configuration, so that it never reaches a connector file.

Counterpart of `audit.redact`, which masks what was recorded. In doubt it is one: the price is that
somebody gives a harmless value on stdin. Pure.
"""

import re
from typing import Final

_NAMES: Final = re.compile(
    r"(?:^|[_\W])(?:api|app|access|private|auth|secret|client|service)?[_-]?"
    r"(?:auth|authorization|bearer|cookie|credentials?|dsn|jwt|key|keys|pass|passphrase|passwd|"
    r"password|pat|pin|pwd|secret|token)(?:[_\W]|$)|apikey|password|secret|token",
    re.IGNORECASE,
)
_VALUES: Final = re.compile(
    r"wkt_\w|\bgh[opsu]_\w|github_pat_\w|\bxox[a-z]-\w|\b[srp]k[-_]\w{2,}|\bglpat-\w|\bAKIA[A-Z0-9]{8}"
    r"|\bAIza\w{8}|\bhf_\w{8}|\bntn_\w{8}|\bsbp_\w{8}|eyJ[\w-]+\.[\w-]+|-----BEGIN |\bbearer\s+\S"
    r"|://[^\s/?#@]+@",
    re.IGNORECASE,
)
_RANDOM: Final = re.compile(r"(?=[^\s/.:]*\d)(?=[^\s/.:]*[A-Za-z])[A-Za-z0-9_+=-]{32,}")
"""Long texts of letters and digits that are no path, name or address."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""How services name projects and databases; who holds one has not proven anything."""

_ASSIGNMENT: Final = re.compile(r"([\w.-]+)(?:=|: *)(.+)", re.DOTALL)
"""What `env`, header flags and container engines take: `NAME=value`, `Name: value`."""


def is_secret_name(name: str) -> bool:
    """Whether a variable, header, flag or parameter of this name carries a secret."""
    return _NAMES.search(name) is not None


def is_secret_value(value: str) -> bool:
    """Whether a text is a token, holds or assigns a password, or is random beyond a name."""
    assigned = _ASSIGNMENT.fullmatch(value)
    if assigned is not None and is_secret(assigned[1], assigned[2]):
        return True
    is_random = _RANDOM.fullmatch(value) is not None and _UUID.fullmatch(value) is None
    return is_random or _VALUES.search(value) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether name or value says so; a number, a switch or nothing at all is none."""
    if value == "" or value.isdigit() or value.lower() in {"true", "false", "yes", "no"}:
        return False
    return is_secret_name(name) or is_secret_value(value)

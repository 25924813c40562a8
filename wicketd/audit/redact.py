"""What may be shown of arguments and log texts: secrets masked, long texts cut. Pure.

Invariant: rules may be added, never removed; only string values are replaced. Source: security
spec, section 10 (redaction) and section 13 (log filter).
"""

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from wicketd.audit.chain import MAX_NAME
from wicketd.domain.json import Json, JsonObject

MAX_TEXT: Final = 200
SALT_BYTES: Final = 32
_WINDOW: Final = 16_384
_MAX_SHOWN_NAME: Final = MAX_NAME - 1
_OUTLINE_DEPTH: Final = 3
_OUTLINE_NAMES: Final = 64

_CONTAINED: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "cookie",
    "credential",
    "bearer",
    "jwt",
    "cvv",
    "cardnumber",
    "connectionstring",
)
_EQUAL: Final = frozenset({"otp", "pin", "ssn", "dsn", "signature"})
_PATTERNS: Final = (
    ("pem", r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)"),
    ("member_key", r"wkt_[0-9A-Za-z]+(?:_[0-9A-Za-z]+)?"),
    ("bearer", r"\b[Bb][Ee][Aa][Rr][Ee][Rr]\s+[A-Za-z0-9._~+/=-]+"),
    ("jwt", r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*"),
    ("github", r"(?:gh[pos]_|github_pat_)[A-Za-z0-9_]+"),
    ("slack", r"xox[a-z]-[A-Za-z0-9-]+"),
    ("stripe", r"sk_live_[A-Za-z0-9]+"),
    ("aws", r"AKIA[A-Z0-9]{8,}"),
    ("google", r"AIza[A-Za-z0-9_-]{8,}"),
    ("gitlab", r"glpat-[A-Za-z0-9_-]+"),
    ("userinfo", r"(?<=://)[^\s/?#@]*(?:@[^\s/?#@]*)*(?=@)"),
)
_VALUES: Final = re.compile(
    "|".join(f"(?P<{why}>{pattern})" for why, pattern in _PATTERNS), re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The fixed rules and what an admin added. `keys`: parts of names; `patterns`: of values."""

    keys: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = field(default=())

    def is_secret_name(self, name: str) -> bool:
        """Whether a field of this name holds a secret; case, `-` and `_` are ignored."""
        folded = _fold(name)
        parts = (*_CONTAINED, *map(_fold, self.keys))
        return folded in _EQUAL or any(part in folded for part in parts)

    def text(self, text: str) -> str:
        """The text with every secret-like part replaced by `[redacted:<why>]`."""
        text = _VALUES.sub(lambda match: f"[redacted:{match.lastgroup}]", text)
        for pattern in self.patterns:
            text = pattern.sub("[redacted:pattern]", text)
        return text


RULES: Final = Rules()
"""The fixed rules alone."""


def text(value: str, rules: Rules = RULES) -> str:
    """A log line without secrets, at full length."""
    return rules.text(value)


def masked(value: Json, rules: Rules = RULES) -> Json:
    """The value with secrets masked and strings cut at 200, fit for an audit body.

    Numbers that are no integers become text, since a body holds no floats.
    """
    return _masked(value, rules, is_secret=False)


def _masked(value: Json, rules: Rules, *, is_secret: bool) -> Json:
    if isinstance(value, str):
        if is_secret:
            return "[redacted:name]"
        # Cut after redaction, so that no half of a secret stands at the cut; the window bounds it.
        return _cut(rules.text(value[:_WINDOW]), MAX_TEXT, was=len(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return [_masked(item, rules, is_secret=is_secret) for item in value]
    if isinstance(value, dict):
        return {
            _cut(name, _MAX_SHOWN_NAME): _masked(
                item, rules, is_secret=is_secret or rules.is_secret_name(name)
            )
            for name, item in value.items()
        }
    return value


def outline(
    arguments: Mapping[str, Json], show: Collection[str], rules: Rules = RULES
) -> JsonObject:
    """Names, types and sizes of arguments, with the masked values of the fields in `show`."""
    shown: JsonObject = {}
    for name, value in _first(arguments.items()):
        is_secret = rules.is_secret_name(name)
        if name in show:
            shown[_cut(name, _MAX_SHOWN_NAME)] = _masked(value, rules, is_secret=is_secret)
        else:
            shown[_cut(name, _MAX_SHOWN_NAME)] = _shape(value, _OUTLINE_DEPTH)
    return shown


def _shape(value: Json, depth: int) -> Json:
    if isinstance(value, dict):
        if depth == 0 or len(value) > _OUTLINE_NAMES:
            return f"object({len(value)})"
        return {
            _cut(name, _MAX_SHOWN_NAME): _shape(item, depth - 1) for name, item in value.items()
        }
    if isinstance(value, str):
        return f"string({len(value)})"
    if isinstance(value, list):
        return f"array({len(value)})"
    if isinstance(value, bool):
        return "boolean"
    return "null" if value is None else "number"


def _first(items: Iterable[tuple[str, Json]]) -> list[tuple[str, Json]]:
    return list(items)[:_OUTLINE_NAMES]


def recorded(canonical: bytes, salt: bytes) -> bytes:
    """The plaintext of `audit_args`: canonical arguments and the salt of their commitment."""
    return b'{"arguments":' + canonical + b',"salt":"' + _encode(salt) + b'"}'


class _Recorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    arguments: msgspec.Raw
    salt: str


def read_recorded(plaintext: bytes) -> tuple[bytes, bytes]:
    """Canonical arguments and salt of an opened `audit_args`.

    Raises:
        ValueError: it has another form.
    """
    try:
        read = msgspec.json.decode(plaintext, type=_Recorded)
        salt = base64.b64decode(read.salt + "=", altchars=b"-_", validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise ValueError("These are no recorded arguments.") from None
    if len(salt) != SALT_BYTES:
        raise ValueError("These are no recorded arguments.")
    return bytes(read.arguments), salt


def _encode(salt: bytes) -> bytes:
    return base64.urlsafe_b64encode(salt).rstrip(b"=")


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _cut(text: str, limit: int, was: int | None = None) -> str:
    if max(len(text), was or 0) <= limit:
        return text
    return text[:limit] + "…"

"""What of a call's arguments may be shown: outlines, masks, and the sealed form.

Pure. Counterpart of `services.entries`. Source: security spec, section 10 (redaction).
"""

import base64
import re
from typing import Final

import msgspec

from wicketd.domain.json import Json, JsonObject

CUT: Final = 200
_PARTS: Final = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey",
    "authorization", "cookie", "credential", "bearer", "jwt", "cvv", "cardnumber",
    "connectionstring",
)  # fmt: skip
_WHOLE: Final = frozenset({"otp", "pin", "ssn", "dsn", "signature"})
_VALUES: Final = re.compile(
    r"\bwkt_[0-9A-Za-z]{43}_[0-9A-Za-z]{14}\b|Bearer\s+\S+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|-----BEGIN [A-Z ]+-----|\bgh[pos]_\w+|\bgithub_pat_\w+|\bxox[a-z]-[\w-]+|\bsk_live_\w+"
    r"|\bAKIA\w+|\bAIza[\w-]+|\bglpat-[\w-]+|://[^/\s:@]+:[^/\s@]+@"
)


def is_secret_name(name: str) -> bool:
    """Whether a key's name says that its value is a secret; case, `-` and `_` do not count."""
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _WHOLE or any(part in plain for part in _PARTS)


def masked(value: Json) -> Json:
    """The value with secret-like keys and patterns masked, strings cut, numbers as they are.

    Floats are given as text: an audit body holds none.
    """
    if isinstance(value, dict):
        return {
            name[:256]: "[redacted:name]" if _hides(name, item) else masked(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, str):
        shown = _VALUES.sub("[redacted:pattern]", value)
        return shown if len(shown) <= CUT else shown[:CUT] + "…"
    return repr(value) if isinstance(value, float) else value


def outline(arguments: JsonObject, show: tuple[str, ...]) -> JsonObject:
    """Keys, types and sizes; values only of the names in `show`, and those masked."""
    return {
        name[:256]: masked(item) if name in show and not _hides(name, item) else _shape(item)
        for name, item in arguments.items()
    }


def recorded(canonical: bytes, salt: bytes) -> bytes:
    """What is sealed in `audit_args`: the arguments and the salt of their commitment."""
    text = base64.urlsafe_b64encode(salt).rstrip(b"=").decode()
    return msgspec.json.encode({"arguments": msgspec.Raw(canonical), "salt": text})


def _hides(name: str, value: Json) -> bool:
    return isinstance(value, str) and is_secret_name(name)


def _shape(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return f"string({len(value)})"
    return f"{'array' if isinstance(value, list) else 'object'}({len(value)})"

"""One-time codes of an authenticator app: SHA-1, 6 digits, steps of 30 s. Pure.

Invariant: a step is accepted once, so a code that was seen over a shoulder does not work again.
Source: RFC 6238, RFC 4226; security specification, section 7.
"""

import base64
import hmac
from typing import Final
from urllib.parse import quote

from wicketd.domain.secret import SecretBytes
from wicketd.vault.secret import Secret

SECRET_BYTES: Final = 20
"""The length that RFC 4226, section 4, recommends."""
DIGITS: Final = 6
STEP_S: Final = 30
_DRIFT: Final = (-1, 0, 1)
_ISSUER: Final = "Wicket"


def step_at(now_ms: int) -> int:
    """The number of the step that `now_ms` lies in."""
    return now_ms // (STEP_S * 1000)


def code_of(secret: SecretBytes, step: int) -> str:
    """The 6 digits of a step."""
    digest = hmac.digest(secret.reveal(), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def accepted_step(secret: SecretBytes, code: str, now_ms: int, last_step: int | None) -> int | None:
    """The step whose code this is: now, or one beside it, and later than `last_step`; else None.

    Every step is compared in constant time, so the answer's time does not tell which one fits.
    """
    given = code.encode()
    found: int | None = None
    for drift in _DRIFT:
        step = step_at(now_ms) + drift
        is_equal = hmac.compare_digest(code_of(secret, step).encode(), given)
        if is_equal and (last_step is None or step > last_step):
            found = step
    return found


def base32(secret: SecretBytes) -> Secret:
    """The secret as an app takes it when typed: 32 characters A-Z and 2-7."""
    return Secret(base64.b32encode(secret.reveal()))


def uri(secret: SecretBytes, email: str) -> Secret:
    """What the QR code holds: `otpauth://totp/Wicket:<address>?secret=…`."""
    label = f"{_ISSUER}:{quote(email, safe='')}"
    text = base32(secret).reveal().decode()
    query = f"secret={text}&issuer={_ISSUER}&algorithm=SHA1&digits={DIGITS}&period={STEP_S}"
    return Secret(f"otpauth://totp/{label}?{query}".encode())

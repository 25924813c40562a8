"""Identifiers: UUIDv7 text, slugs, call references. Pure; clock and randomness are arguments."""

import re
from typing import Final, NewType

AgentId = NewType("AgentId", str)
MemberId = NewType("MemberId", str)
AccountId = NewType("AccountId", str)
ServiceId = NewType("ServiceId", str)
PolicyId = NewType("PolicyId", str)
ConnectionId = NewType("ConnectionId", str)
WebSessionId = NewType("WebSessionId", str)
InviteId = NewType("InviteId", str)
SigninLinkId = NewType("SigninLinkId", str)
OAuthFlowId = NewType("OAuthFlowId", str)
CallId = NewType("CallId", str)
ToolSessionId = NewType("ToolSessionId", str)
KeyId = NewType("KeyId", str)
"""Public id of a member key: 8 base62 characters."""
PolicyRevision = NewType("PolicyRevision", int)
"""Counts policy changes of one agent, from 0."""
Revision = NewType("Revision", int)
"""Counts changes of one row, from 1; the admin API's ETag."""

AGENT_KEY: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
LOCAL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
POLICY_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SERVICE_KEY_MAX: Final = 20
SERVICE_KEY: Final = re.compile(rf"(?=.{{1,{SERVICE_KEY_MAX}}}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
RESERVED_POLICY_KEYS: Final = frozenset({"check", "coverage", "export", "format"})

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def uuid7(at_ms: int, entropy: bytes) -> str:
    """Builds a UUIDv7 (RFC 9562, 5.7) as lower-case text of 36 characters.

    `at_ms`: milliseconds since 1970 UTC; `entropy`: 10 random bytes.
    """
    value = (at_ms & (1 << 48) - 1) << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def call_ref(call_id: CallId) -> str:
    """The 8 characters by which people quote a call: its last 40 bits in Crockford base32."""
    bits = int(call_id[-10:], 16)
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(35, -1, -5))


def normalise_ref(text: str) -> str:
    """Folds a typed call reference (case, O and 0, I, L and 1) to its stored form."""
    return text.strip().upper().translate(str.maketrans("OIL", "011"))


def slug(name: str) -> str:
    """A policy key made of a display name; empty when no letter or digit is left."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")

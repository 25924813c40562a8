"""What the daemon says about itself: health, settings, use of the keyring. Holds no secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wicketd.domain.audit import Checkpoint
from wicketd.domain.json import Json


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon is. `reasons`: sentences, empty while it is well; `started_at` in ms.

    `audit_seq`, `audit_hash`, `audit_epoch`: the newest audit row; hash None in an empty log.
    """

    reasons: tuple[str, ...]
    started_at: int | None
    audit_seq: int
    audit_hash: bytes | None
    audit_epoch: int
    checkpoint: Checkpoint | None
    counts: Mapping[str, int]
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration. `source`: "default", "file" or "environment"."""

    key: str
    value: Json
    """Of a secret only "set" or "unset"."""
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force. `mcp_url`: where clients reach `/mcp`."""

    file: str | None
    mcp_url: str
    items: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What one key of the keyring holds: rows by table, encryptions by purpose.

    `to_rewrap`: rows that the daemon still writes anew under the active key; `verifiers`: values
    that move when their owner next uses them.
    """

    kid: str
    is_active: bool
    rows: Mapping[str, int]
    encryptions: Mapping[str, int]
    to_rewrap: int = 0
    verifiers: int = 0

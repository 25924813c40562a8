"""The daemon about itself: health, settings, keyring, numbers, the asking peer."""

from typing import Any, Literal

from msgspec import Struct, field

from wicketd.api.types.audit import Checkpoint


class Status(Struct, frozen=True, kw_only=True):
    """Health. `state`: "ok" or "degraded"; `reasons` are sentences."""

    state: str
    reasons: tuple[str, ...]
    version: str
    started_at: str | None
    audit_seq: int
    audit_hash: str | None
    audit_epoch: int
    checkpoint: Checkpoint | None
    counts: dict[str, int]
    details: dict[str, Any]


class WhoAmI(Struct, frozen=True, kw_only=True):
    """The asking peer as the daemon sees it."""

    uid: int
    name: str
    pid: int
    permission: str


class ConfigKey(Struct, frozen=True, kw_only=True):
    """One setting.

    Secrets show only "set" or "unset"; `source`: "default", "file" or "environment".
    """

    key: str
    value: Any
    source: str


class Config(Struct, frozen=True, kw_only=True):
    """The settings in force."""

    file: str | None
    mcp_url: str
    """Where clients reach `/mcp`: what snippets are made of."""
    settings: tuple[ConfigKey, ...]


class KeyUse(Struct, frozen=True, kw_only=True):
    """What one key of the keyring seals. `state`: "active" or "old".

    `to_rewrap`: rows that the daemon still writes anew under the active key; `verifiers`: keyed
    values that move when their owner next uses them.
    """

    kid: str
    state: str
    rows: dict[str, int]
    encryptions: dict[str, int]
    to_rewrap: int = 0
    verifiers: int = 0


class Keyring(Struct, frozen=True, kw_only=True):
    """The keyring without its keys.

    `rewrapped` of `rewrapped + to_rewrap` rows are under the active key.
    """

    active: str
    keys: tuple[KeyUse, ...]
    rewrapped: int = 0
    to_rewrap: int = 0


class StatsAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`from`, `to`: ISO 8601; the last 24 hours if absent."""

    since: str | None = field(default=None, name="from")
    until: str | None = field(default=None, name="to")
    bucket: Literal["hour", "day"] = "hour"


class AgentStatsAsk(StatsAsk, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for one agent."""

    agent: str


class Bucket(Struct, frozen=True, kw_only=True):
    """One column of the series."""

    at: str
    allowed: int
    denied: int


class Count(Struct, frozen=True, kw_only=True):
    """A name and how often it occurred."""

    name: str
    count: int


class Stats(Struct, frozen=True, kw_only=True):
    """Numbers of a time range. Durations in ms."""

    since: str = field(name="from")
    until: str = field(name="to")
    allowed: int
    denied: int
    series: tuple[Bucket, ...]
    top_tools: tuple[Count, ...]
    top_denying_policies: tuple[Count, ...]
    mean_ms: float | None
    p50_ms: float | None = None
    p95_ms: float | None = None
    max_ms: float | None


class EventsAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events.

    `topics`: comma-separated, all if absent; `agent`: key or id; `last_id`: resume behind it.
    """

    topics: str | None = None
    agent: str | None = None

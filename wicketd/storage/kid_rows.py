"""How many rows each server key holds, by table: what a rotation re-wraps, and what it waits for.

Counterpart of `meta.named_kids`, which only names. Rows that have ended or run out need no key any
more and are not counted.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.ports import Query, Statement

VERIFIERS: Final = frozenset({"member_keys", "backup_codes"})
"""Keyed one-way values that only their owner can make anew: a use moves them, or `--drop-keys`."""
REWRAPPED: Final = frozenset(
    {"connections", "services", "accounts", "audit_args", "policy_revisions"}
)
"""What the daemon writes anew under the active key by itself. All other tables run out in days."""


@dataclass(frozen=True, slots=True)
class KidRows:
    """`count` rows of `table` name `kid`."""

    kid: str
    table: str
    count: int


def all(at_ms: int) -> Query[KidRows]:  # noqa: A001  # read as `kid_rows.all(now)`
    """Every kid and table with at least one row that is of use at `at_ms`, by kid and table."""
    parts = " UNION ALL ".join(
        f"SELECT {column} AS kid, '{table}' AS name, count(*) AS n FROM {table} "
        f"WHERE {live} GROUP BY {column}"
        for table, column, live in _COLUMNS
    )
    return Query(
        f"SELECT kid, name, sum(n) FROM ({parts}) GROUP BY kid, name ORDER BY kid, name",
        (at_ms,),
        lambda row: KidRows(str(row[0]), str(row[1]), int(row[2])),
    )


def codes_of(kid: str) -> Query[tuple[str, int]]:
    """Addresses whose unused backup codes name `kid`, and how many each has."""
    return Query(
        "SELECT a.email, count(*) FROM backup_codes AS c JOIN accounts AS a ON a.id = c.account_id "
        "WHERE c.kid = ? AND c.used_at IS NULL GROUP BY a.email ORDER BY a.email",
        (kid,),
        lambda row: (str(row[0]), int(row[1])),
    )


def drop_codes(kid: str) -> Statement:
    """Deletes the backup codes that name `kid`: without it nobody can enter them."""
    return Statement("DELETE FROM backup_codes WHERE kid = ?", (kid,))


def drop_deposits(agent_id: AgentId, member_id: MemberId) -> Statement:
    """Deletes a member's unconfirmed tokens: they are sealed to a key that ends."""
    return Statement(
        "UPDATE oauth_flows SET tokens_ct = NULL WHERE agent_id = ? AND member_id = ?",
        (agent_id, member_id),
    )


_COLUMNS: Final = (
    ("member_keys", "srv_kid", "ended_at IS NULL"),
    ("backup_codes", "kid", "used_at IS NULL"),
    ("connections", "pending_kid", "pending_kid > ''"),
    ("connections", "outer_kid", "outer_kid > ''"),
    ("services", "secret_kid", "secret_kid IS NOT NULL"),
    ("accounts", "totp_kid", "totp_kid IS NOT NULL"),
    ("audit_args", "kid", "kid > ''"),
    ("policy_revisions", "kid", "kid > ''"),
    ("signin_codes", "kid", "used_at IS NULL AND expires_at > ?1"),
    ("signin_links", "kid", "used_at IS NULL AND void_at IS NULL AND expires_at > ?1"),
    ("web_sessions", "kid", "revoked_at IS NULL AND expires_at > ?1"),
    ("invites", "kid", "accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?1"),
    ("oauth_flows", "kid", "expires_at > ?1"),
    ("refresh_intents", "kid", "kid > ''"),
)

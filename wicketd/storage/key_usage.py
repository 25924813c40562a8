"""Encryptions counted per server key and purpose, reserved in blocks: table `key_usage`."""

from dataclasses import dataclass

from wicketd.domain.ports import Query, Statement


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """`encryptions`: reserved so far, an upper bound of those made."""

    kid: str
    purpose: str
    encryptions: int


def reserve(kid: str, purpose: str, count: int) -> Statement:
    """Adds `count` encryptions ahead of making them."""
    return Statement(
        "INSERT INTO key_usage (kid, purpose, encryptions) VALUES (?, ?, ?) "
        "ON CONFLICT (kid, purpose) DO UPDATE SET encryptions = encryptions + excluded.encryptions",
        (kid, purpose, count),
    )


def of(kid: str, purpose: str) -> Query[KeyUsage]:
    """The count of one key and purpose."""
    return Query(
        "SELECT kid, purpose, encryptions FROM key_usage WHERE kid = ? AND purpose = ?",
        (kid, purpose),
        lambda row: KeyUsage(*row),
    )


def usage() -> Query[KeyUsage]:
    """All counts: as many rows as keys and purposes."""
    return Query(
        "SELECT kid, purpose, encryptions FROM key_usage ORDER BY kid, purpose",
        (),
        lambda row: KeyUsage(*row),
    )


def forget(kid: str) -> Statement:
    """Drops the counts of a retired key."""
    return Statement("DELETE FROM key_usage WHERE kid = ?", (kid,))

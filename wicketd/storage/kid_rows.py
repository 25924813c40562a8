"""How many rows each server key holds, by table: what a rotation has to re-wrap.

Counterpart of `meta.named_kids`, which only names. Macs count too: their rows are made anew.
"""

from dataclasses import dataclass

from wicketd.domain.ports import Query


@dataclass(frozen=True, slots=True)
class KidRows:
    """`count` rows of `table` name `kid`."""

    kid: str
    table: str
    count: int


def all() -> Query[KidRows]:  # noqa: A001  # read as `kid_rows.all()`
    """Every kid and table with at least one row, by kid and table."""
    parts = " UNION ALL ".join(
        f"SELECT {column} AS kid, '{table}' AS name, count(*) AS n FROM {table} "
        f"WHERE {column} IS NOT NULL GROUP BY {column}"
        for table, column in _COLUMNS
    )
    return Query(
        f"SELECT kid, name, sum(n) FROM ({parts}) GROUP BY kid, name ORDER BY kid, name",
        (),
        lambda row: KidRows(str(row[0]), str(row[1]), int(row[2])),
    )


_COLUMNS = (
    ("member_keys", "srv_kid"),
    ("connections", "pending_kid"),
    ("connections", "outer_kid"),
    ("services", "secret_kid"),
    ("accounts", "totp_kid"),
    ("audit_args", "kid"),
    ("policy_revisions", "kid"),
)

"""The tools behind each Cedar schema that a recorded decision was made under: table `schemas`."""

from wicketd.domain.ports import Query, Statement


def keep(sha256: bytes, services: bytes) -> Statement:
    """Keeps what gave a schema; nothing changes where it is kept already."""
    return Statement(
        "INSERT INTO schemas (sha256, services) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING",
        (sha256, services),
    )


def services_of(sha256: bytes) -> Query[bytes]:
    """What gave the schema of a hash."""
    return Query(
        "SELECT services FROM schemas WHERE sha256 = ?", (sha256,), lambda row: bytes(row[0])
    )

"""Refreshes under way or in doubt: table `refresh_intents`. An intent is its connection's only one.

Every query but the start-up's names agent and member, as those of `connections` do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wicketd.domain.connections import Connection
from wicketd.domain.ids import ConnectionId
from wicketd.domain.ports import Query, Statement
from wicketd.storage import connections

STARTED: Final = "started"
SENT: Final = "sent"
_COLUMNS: Final = "i.connection_id, i.generation, i.key_id, i.kid, i.rt_mac, i.phase, i.started_at"


@dataclass(frozen=True, slots=True)
class RefreshIntent:
    """A refresh token that is about to be sent (`started`) or may have been (`sent`).

    `rt_mac`: 32 bytes under the server key `kid`; it names the token without holding it.
    """

    connection_id: ConnectionId
    generation: int
    key_id: str
    kid: str
    rt_mac: bytes
    phase: str
    started_at: int


def _read(row: Sequence[Any]) -> RefreshIntent:
    return RefreshIntent(ConnectionId(row[0]), *row[1:7])


def of_connection(connection: Connection) -> Query[RefreshIntent]:
    """The open intent of one member's connection."""
    return Query(
        f"SELECT {_COLUMNS} FROM refresh_intents AS i "
        "JOIN connections AS c ON c.id = i.connection_id "
        "WHERE i.connection_id = ? AND c.agent_id = ? AND c.member_id = ?",
        (connection.id, connection.agent_id, connection.member_id),
        _read,
    )


def in_doubt() -> Query[tuple[Connection, str]]:
    """Facts about the connections whose refresh was sent, each with its service's key; no tokens.

    For the start: few rows, as one stands here only while its answer is unknown.
    """
    return Query(
        f"SELECT {connections.FACTS}, s.key FROM refresh_intents AS i "
        "JOIN connections AS c ON c.id = i.connection_id "
        "JOIN services AS s ON s.id = c.service_id WHERE i.phase = 'sent' ORDER BY c.id",
        (),
        lambda row: (connections.read(row[:-1]), str(row[-1])),
    )


def insert(intent: RefreshIntent) -> Statement:
    """Begins one; `Conflict` when the connection has one."""
    return Statement(
        "INSERT INTO refresh_intents "
        "(connection_id, generation, key_id, kid, rt_mac, phase, started_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            intent.connection_id,
            intent.generation,
            intent.key_id,
            intent.kid,
            intent.rt_mac,
            intent.phase,
            intent.started_at,
        ),
    )


def mark_sent(connection: Connection) -> Statement:
    """From now on the token may have been redeemed."""
    return Statement(
        "UPDATE refresh_intents SET phase = 'sent' WHERE connection_id = ? AND phase = 'started'",
        (connection.id,),
    )


def delete(connection: Connection) -> Statement:
    """The result is known, or nothing was sent."""
    return Statement("DELETE FROM refresh_intents WHERE connection_id = ?", (connection.id,))

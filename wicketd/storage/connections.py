"""Connections: table `connections`. Every query names an agent: no token is found by service alone.

Only `of_member_service`, `of_member_with_service` and `of_agent_with_service` give ciphertexts.
"""

from collections.abc import Sequence
from typing import Any, Final

from wicketd.domain.connections import Connection, ConnectionState, Destination
from wicketd.domain.ids import AccountId, AgentId, ConnectionId, MemberId, Revision, ServiceId
from wicketd.domain.ports import Query, Statement

FACTS: Final = (
    "c.id, c.agent_id, c.member_id, c.service_id, c.state, c.origin, c.placement, c.account_label, "
    "c.issuer, c.pending_expires_at, c.sealed_suite, c.outer_kid, c.sealed_key_id, c.generation, "
    "c.last_used_at, c.error, c.created_at, c.updated_at, c.rev, c.scopes, c.access_expires_at, "
    "c.refreshable, c.refresh_due, c.missing_scopes, c.last_refresh_at"
)
_WHOLE: Final = f"{FACTS}, c.pending_ct, c.sealed_ct"
_FACTS_WIDTH: Final = 25
_WIDTH: Final = 27
_WITH_SERVICE: Final = (
    f"SELECT {_WHOLE}, s.key FROM connections AS c JOIN services AS s ON s.id = c.service_id"
)


def read(row: Sequence[Any]) -> Connection:
    """The connection of a row; without ciphertexts when it holds facts only."""
    pending_ct, sealed_ct = row[_FACTS_WIDTH:_WIDTH] if len(row) >= _WIDTH else (None, None)
    return Connection(
        id=ConnectionId(row[0]),
        agent_id=AgentId(row[1]),
        member_id=MemberId(row[2]),
        service_id=ServiceId(row[3]),
        state=ConnectionState(row[4]),
        destination=Destination(row[5], row[6]),
        account_label=row[7],
        issuer=row[8],
        pending_ct=pending_ct,
        pending_expires_at=row[9],
        sealed_ct=sealed_ct,
        sealed_suite=row[10],
        outer_kid=row[11],
        sealed_key_id=row[12],
        generation=row[13],
        last_used_at=row[14],
        error=row[15],
        created_at=row[16],
        updated_at=row[17],
        rev=Revision(row[18]),
        scopes=row[19],
        access_expires_at=row[20],
        refreshable=bool(row[21]),
        refresh_due=bool(row[22]),
        missing_scopes=row[23],
        last_refresh_at=row[24],
    )


def of_member_service(
    agent_id: AgentId, member_id: MemberId, service_id: ServiceId
) -> Query[Connection]:
    """The whole row of one member and service, in any state."""
    return Query(
        f"SELECT {_WHOLE} FROM connections AS c "
        "WHERE c.member_id = ? AND c.service_id = ? AND c.agent_id = ?",
        (member_id, service_id, agent_id),
        read,
    )


def of_member_with_service(
    agent_id: AgentId | str, member_id: MemberId | str
) -> Query[tuple[Connection, str]]:
    """Whole rows of one member, each with its service's key: for changes of key or membership."""
    return Query(
        f"{_WITH_SERVICE} WHERE c.member_id = ? AND c.agent_id = ? ORDER BY c.id",
        (member_id, agent_id),
        lambda row: (read(row), str(row[_WIDTH])),
    )


def of_agent_with_service(agent_id: AgentId) -> Query[tuple[Connection, str]]:
    """Whole rows of an agent's members, each with its service's key: for what ends or moves all."""
    return Query(
        f"{_WITH_SERVICE} WHERE c.agent_id = ? AND c.member_id IN "
        "(SELECT id FROM members WHERE agent_id = ?) ORDER BY c.id",
        (agent_id, agent_id),
        lambda row: (read(row), str(row[_WIDTH])),
    )


def of_agent(agent_id: AgentId) -> Query[Connection]:
    """Facts about the connections of an agent's members, without ciphertexts."""
    return Query(
        f"SELECT {FACTS} FROM connections AS c WHERE c.agent_id = ? AND c.member_id IN "
        "(SELECT id FROM members WHERE agent_id = ?) ORDER BY c.id",
        (agent_id, agent_id),
        read,
    )


def ids_of_account(agent_id: AgentId, account_id: AccountId) -> Query[ConnectionId]:
    """The connections of an account's membership, for their locks."""
    return Query(
        "SELECT c.id FROM connections AS c JOIN members AS m ON m.id = c.member_id "
        "WHERE m.agent_id = ? AND m.account_id = ? AND m.state NOT IN ('rejected', 'removed') "
        "AND c.agent_id = m.agent_id ORDER BY c.id",
        (agent_id, account_id),
        lambda row: ConnectionId(row[0]),
    )


def pending_since_before(at_ms: int) -> Query[Connection]:
    """Facts about connections whose pending window ended before `at_ms`, for the sweep."""
    return Query(
        f"SELECT {FACTS} FROM connections AS c WHERE c.pending_expires_at < ? "
        "AND c.state = 'pending' ORDER BY c.pending_expires_at",
        (at_ms,),
        read,
    )


def put(connection: Connection) -> Statement:
    """Writes a row, new or not; `Conflict` when another row is the member's for this service."""
    values = _values(connection)
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    changes = ", ".join(f"{name} = excluded.{name}" for name in values if name not in _FIXED)
    return Statement(
        f"INSERT INTO connections ({columns}) VALUES ({marks}) "
        f"ON CONFLICT (id) DO UPDATE SET {changes}",
        tuple(values.values()),
    )


def destroy(
    agent_id: AgentId,
    member_id: MemberId,
    connection_id: ConnectionId,
    state: ConnectionState,
    at_ms: int,
) -> Statement:
    """Ends a connection: its ciphertexts are overwritten in the file (secure_delete)."""
    return Statement(
        "UPDATE connections SET state = ?, pending_ct = NULL, pending_kid = NULL, "
        "pending_expires_at = NULL, sealed_ct = NULL, sealed_suite = NULL, outer_kid = NULL, "
        "sealed_key_id = NULL, updated_at = ?, rev = rev + 1 "
        "WHERE id = ? AND agent_id = ? AND member_id = ?",
        (state, at_ms, connection_id, agent_id, member_id),
    )


def set_missing_scopes(connection: Connection, scopes: str | None, at_ms: int) -> Statement:
    """Notes what the next sign-in asks for; the credential stays as it is."""
    return Statement(
        "UPDATE connections SET missing_scopes = ?, updated_at = ?, rev = rev + 1 "
        "WHERE id = ? AND agent_id = ? AND member_id = ?",
        (scopes, at_ms, connection.id, connection.agent_id, connection.member_id),
    )


def touch_used(
    agent_id: AgentId, member_id: MemberId, connection_id: ConnectionId, at_ms: int
) -> Statement:
    """Notes a use; not a change of the row's revision."""
    return Statement(
        "UPDATE connections SET last_used_at = ? WHERE id = ? AND agent_id = ? AND member_id = ?",
        (at_ms, connection_id, agent_id, member_id),
    )


_FIXED: Final = frozenset({"id", "agent_id", "member_id", "service_id", "created_at"})


def _values(connection: Connection) -> dict[str, str | int | bytes | None]:
    return {
        "id": connection.id,
        "agent_id": connection.agent_id,
        "member_id": connection.member_id,
        "service_id": connection.service_id,
        "state": connection.state,
        "origin": connection.destination.origin,
        "placement": connection.destination.placement,
        "account_label": connection.account_label,
        "issuer": connection.issuer,
        "pending_ct": connection.pending_ct,
        "pending_kid": _kid(connection.pending_ct),
        "pending_expires_at": connection.pending_expires_at,
        "sealed_ct": connection.sealed_ct,
        "sealed_suite": connection.sealed_suite,
        "outer_kid": connection.outer_kid,
        "sealed_key_id": connection.sealed_key_id,
        "generation": connection.generation,
        "last_used_at": connection.last_used_at,
        "error": connection.error,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
        "rev": connection.rev,
        "scopes": connection.scopes,
        "access_expires_at": connection.access_expires_at,
        "refreshable": int(connection.refreshable),
        "refresh_due": int(connection.refresh_due),
        "missing_scopes": connection.missing_scopes,
        "last_refresh_at": connection.last_refresh_at,
    }


def _kid(envelope: bytes | None) -> str | None:
    """The key that an envelope's header names: the column is an index of it, never a source.

    Source: security spec, 2 (byte 3: length of the kid, then the kid).
    """
    if envelope is None:
        return None
    return envelope[4 : 4 + envelope[3]].decode("ascii")

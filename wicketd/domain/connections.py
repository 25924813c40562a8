"""Connections.

A member's credential for one service, sealed at rest and bound to its destination.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AgentId, ConnectionId, MemberId, Revision, ServiceId
from wicketd.domain.lifecycle import Edge
from wicketd.domain.secret import SecretBytes


class ConnectionState(StrEnum):
    """Only a sealed connection is usable in a call."""

    PENDING = "pending"
    SEALED = "sealed"
    NEEDS_RECONNECT = "needs_reconnect"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a credential may go.

    `origin`: `scheme://host:port`; `placement`: `header:<name>` or `env:<NAME>`.

    Source: security spec, section 2 (destination binding).
    """

    origin: str
    placement: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One row; ciphertexts are whole envelopes. Times are ms since 1970 UTC."""

    id: ConnectionId
    agent_id: AgentId
    member_id: MemberId
    service_id: ServiceId
    state: ConnectionState
    destination: Destination
    created_at: int
    updated_at: int
    rev: Revision
    account_label: str | None = None
    issuer: str | None = None
    pending_ct: bytes | None = None
    pending_expires_at: int | None = None
    sealed_ct: bytes | None = None
    sealed_suite: int | None = None
    outer_kid: str | None = None
    sealed_key_id: str | None = None
    generation: int = 0
    last_used_at: int | None = None
    error: str | None = None
    scopes: str | None = None
    """What the provider granted, separated by blanks; None: it did not say, or no OAuth."""
    access_expires_at: int | None = None
    refreshable: bool = False
    """There is a refresh token in the record."""
    refresh_due: bool = False
    """The next keyed request refreshes, whatever the access token's life."""
    missing_scopes: str | None = None
    """What a call lacked: the next sign-in asks for it too."""
    last_refresh_at: int | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """An opened credential, for one request. `header` None: the service needs none."""

    destination: Destination | None
    header: str | None
    value: SecretBytes | None
    connection_id: ConnectionId | None = None
    generation: int | None = None
    is_doubted: bool = False
    """The upstream refused it last time: whoever finds that it works says so."""


EDGES: Final = (
    tuple(
        Edge(source, ConnectionState.PENDING, "save", "connection.pending")
        for source in (
            None,
            ConnectionState.NEEDS_RECONNECT,
            ConnectionState.EXPIRED,
            ConnectionState.REVOKED,
        )
    )
    + tuple(
        Edge(source, ConnectionState.SEALED, "deposit", "connection.sealed")
        for source in (
            None,
            ConnectionState.NEEDS_RECONNECT,
            ConnectionState.EXPIRED,
            ConnectionState.REVOKED,
            ConnectionState.SEALED,
        )
    )
    + (
        Edge(ConnectionState.PENDING, ConnectionState.PENDING, "save", "connection.pending"),
        Edge(ConnectionState.PENDING, ConnectionState.SEALED, "seal", "connection.sealed"),
        Edge(ConnectionState.SEALED, ConnectionState.SEALED, "rewrap", "connection.rewrapped"),
        Edge(ConnectionState.SEALED, ConnectionState.SEALED, "refresh", "connection.refreshed"),
        Edge(ConnectionState.PENDING, ConnectionState.EXPIRED, "expire", "connection.expired"),
        Edge(ConnectionState.SEALED, ConnectionState.NEEDS_RECONNECT, "break", "connection.broken"),
        Edge(
            ConnectionState.PENDING, ConnectionState.NEEDS_RECONNECT, "break", "connection.broken"
        ),
        Edge(
            ConnectionState.NEEDS_RECONNECT,
            ConnectionState.PENDING,
            "restore_pending",
            "connection.restored",
        ),
        Edge(
            ConnectionState.NEEDS_RECONNECT,
            ConnectionState.SEALED,
            "restore_sealed",
            "connection.restored",
        ),
    )
    + tuple(
        Edge(source, ConnectionState.REVOKED, "revoke", "connection.revoked")
        for source in ConnectionState
        if source is not ConnectionState.REVOKED
    )
)

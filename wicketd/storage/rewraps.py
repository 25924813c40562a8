"""Rows that another server key than the active one holds, and their writing under the active one.

Counterpart: `services.rewrapping`. Rows come in the order of their primary keys behind the last
one seen, so a pass is resumable and reads each row once. A write names the value it replaces: a row
that a call changed in between is left to the next pass.
"""

from dataclasses import dataclass

from wicketd.domain.ids import AccountId, AgentId, ConnectionId, MemberId, ServiceId
from wicketd.domain.ports import Query, Statement
from wicketd.storage.policies import RevisionRow, read_revision


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """A connection by its owner: no ciphertext is fetched by its id alone."""

    id: ConnectionId
    agent_id: AgentId
    member_id: MemberId


@dataclass(frozen=True, slots=True)
class SealedTotp:
    """A second factor's sealed secret."""

    account_id: AccountId
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class SealedApp:
    """The sealed secret of a service's OAuth app. `set_at`: ms."""

    service_id: ServiceId
    agent_id: AgentId
    connector: str
    ciphertext: bytes
    set_at: int


@dataclass(frozen=True, slots=True)
class SealedArguments:
    """Arguments of one call, with what their envelope is bound to."""

    call_id: str
    agent_id: str
    member_id: str
    ciphertext: bytes


def connections(active: str, after: str, limit: int) -> Query[ConnectionRef]:
    """Connections behind `after` that hold a ciphertext under another kid than `active`."""
    return Query(
        "SELECT id, agent_id, member_id FROM connections WHERE id > ?1 AND "
        "((outer_kid IS NOT NULL AND outer_kid <> ?2) OR "
        "(pending_kid IS NOT NULL AND pending_kid <> ?2)) ORDER BY id LIMIT ?3",
        (after, active, limit),
        lambda row: ConnectionRef(ConnectionId(row[0]), AgentId(row[1]), MemberId(row[2])),
    )


def put_sealed(ref: ConnectionRef, old: bytes, new: bytes, kid: str) -> Statement:
    """Replaces the sealed record; 0 rows when it changed meanwhile. The revision stays."""
    return Statement(
        "UPDATE connections SET sealed_ct = ?, outer_kid = ? "
        "WHERE id = ? AND agent_id = ? AND member_id = ? AND sealed_ct = ?",
        (new, kid, ref.id, ref.agent_id, ref.member_id, old),
    )


def put_pending(ref: ConnectionRef, old: bytes, new: bytes, kid: str) -> Statement:
    """Replaces the pending record; 0 rows when it changed meanwhile. The revision stays."""
    return Statement(
        "UPDATE connections SET pending_ct = ?, pending_kid = ? "
        "WHERE id = ? AND agent_id = ? AND member_id = ? AND pending_ct = ?",
        (new, kid, ref.id, ref.agent_id, ref.member_id, old),
    )


def totps(active: str, after: str, limit: int) -> Query[SealedTotp]:
    """Second factors behind `after` that are sealed under another kid than `active`."""
    return Query(
        "SELECT id, totp_ct FROM accounts WHERE id > ?1 AND totp_kid IS NOT NULL "
        "AND totp_kid <> ?2 ORDER BY id LIMIT ?3",
        (after, active, limit),
        lambda row: SealedTotp(AccountId(row[0]), bytes(row[1])),
    )


def put_totp(old: SealedTotp, new: bytes, kid: str) -> Statement:
    """Replaces the sealed secret; 0 rows when it changed meanwhile."""
    return Statement(
        "UPDATE accounts SET totp_ct = ?, totp_kid = ? WHERE id = ? AND totp_ct = ?",
        (new, kid, old.account_id, old.ciphertext),
    )


def apps(active: str, after: str, limit: int) -> Query[SealedApp]:
    """App secrets of services behind `after` that are sealed under another kid than `active`."""
    return Query(
        "SELECT id, agent_id, key, client_secret_ct, secret_set_at FROM services WHERE id > ?1 "
        "AND secret_kid IS NOT NULL AND secret_kid <> ?2 AND client_secret_ct IS NOT NULL "
        "AND secret_set_at IS NOT NULL ORDER BY id LIMIT ?3",
        (after, active, limit),
        lambda row: SealedApp(ServiceId(row[0]), AgentId(row[1]), str(row[2]), row[3], row[4]),
    )


def put_app(old: SealedApp, new: bytes, kid: str) -> Statement:
    """Replaces the sealed secret; 0 rows when it changed meanwhile."""
    return Statement(
        "UPDATE services SET client_secret_ct = ?, secret_kid = ? "
        "WHERE id = ? AND agent_id = ? AND client_secret_ct = ?",
        (new, kid, old.service_id, old.agent_id, old.ciphertext),
    )


def arguments(active: str, after: str, limit: int) -> Query[SealedArguments]:
    """Recorded arguments behind `after` that are sealed under another kid than `active`."""
    return Query(
        "SELECT args.call_id, a.agent_id, a.member_id, args.ct FROM audit_args AS args "
        "JOIN audit AS a ON a.call_id = args.call_id AND a.kind IN ('call.intent', 'call.denied') "
        "WHERE args.call_id > ?1 AND args.kid <> ?2 ORDER BY args.call_id LIMIT ?3",
        (after, active, limit),
        lambda row: SealedArguments(str(row[0]), str(row[1]), str(row[2]), bytes(row[3])),
    )


def put_arguments(old: SealedArguments, new: bytes, kid: str) -> Statement:
    """Replaces them; 0 rows when they were erased meanwhile. The chain does not hold them."""
    return Statement(
        "UPDATE audit_args SET ct = ?, kid = ? WHERE call_id = ? AND ct = ?",
        (new, kid, old.call_id, old.ciphertext),
    )


def revisions(active: str, after: str, limit: int) -> Query[RevisionRow]:
    """Revisions behind `after` (`<agent id>/<number>`) whose MAC is under another kid."""
    agent_id, _, number = after.partition("/")
    return Query(
        "SELECT agent_id, revision, manifest, set_sha256, schema_sha256, mac, kid, cause, actor, "
        "at FROM policy_revisions WHERE (agent_id, revision) > (?1, ?2) AND kid <> ?3 "
        "ORDER BY agent_id, revision LIMIT ?4",
        (agent_id, int(number or -1), active, limit),
        read_revision,
    )


def put_mac(old: RevisionRow, mac: bytes, kid: str) -> Statement:
    """Replaces the MAC; 0 rows when it changed meanwhile."""
    return Statement(
        "UPDATE policy_revisions SET mac = ?, kid = ? "
        "WHERE agent_id = ? AND revision = ? AND mac = ?",
        (mac, kid, old.agent_id, old.revision, old.mac),
    )

"""Sign-ins under way: table `oauth_flows`. A state is redeemed by one UPDATE, once.

Only `whole` and `with_tokens_of_member`, which name agent and member, give ciphertexts. Few rows
live at a time: each ends within ten minutes.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from wicketd.domain.ids import (
    AgentId,
    ConnectionId,
    MemberId,
    OAuthFlowId,
    ServiceId,
    WebSessionId,
)
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.domain.ports import Query, Statement

_COLUMNS: Final = (
    "id, state_mac, kid, web_session_id, agent_id, member_id, service_id, connection_id, issuer, "
    "token_endpoint, redirect_uri, resource, verifier_ct, tokens_ct, scopes, created_at, "
    "expires_at, used_at"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM oauth_flows"
_FACTS: Final = _SELECT.replace("verifier_ct, tokens_ct", "x'', NULL")
_OPEN: Final = "expires_at > ? AND (used_at IS NULL OR tokens_ct IS NOT NULL)"


def read(row: Sequence[Any]) -> OAuthFlow:
    """The sign-in of a row."""
    return OAuthFlow(
        id=OAuthFlowId(row[0]),
        state_mac=row[1],
        kid=row[2],
        web_session_id=None if row[3] is None else WebSessionId(row[3]),
        agent_id=AgentId(row[4]),
        member_id=MemberId(row[5]),
        service_id=ServiceId(row[6]),
        connection_id=ConnectionId(row[7]),
        issuer=row[8],
        token_endpoint=row[9],
        redirect_uri=row[10],
        resource=row[11],
        verifier_ct=row[12],
        tokens_ct=row[13],
        scopes=row[14],
        created_at=row[15],
        expires_at=row[16],
        used_at=row[17],
    )


def by_macs(macs: Collection[bytes]) -> Query[OAuthFlow]:
    """Facts about the sign-in of a state by its MACs, one per server key, in any condition."""
    marks = ", ".join("?" * len(macs))
    return Query(f"{_FACTS} WHERE state_mac IN ({marks})", tuple(macs), read)


def of_session(flow_id: str, web_session_id: WebSessionId) -> Query[OAuthFlow]:
    """Facts about a sign-in that this portal session began, in any condition."""
    return Query(f"{_FACTS} WHERE id = ? AND web_session_id = ?", (flow_id, web_session_id), read)


def whole(flow: OAuthFlow) -> Query[OAuthFlow]:
    """The whole row of a sign-in whose owner is known."""
    return Query(
        f"{_SELECT} WHERE id = ? AND agent_id = ? AND member_id = ?",
        (flow.id, flow.agent_id, flow.member_id),
        read,
    )


def open_of_member(agent_id: AgentId, member_id: MemberId, now_ms: int) -> Query[OAuthFlow]:
    """Facts about the member's sign-ins that can still become something, newest first."""
    return Query(
        f"{_FACTS} WHERE agent_id = ? AND member_id = ? AND {_OPEN} ORDER BY id DESC",
        (agent_id, member_id, now_ms),
        read,
    )


def with_tokens_of_member(agent_id: AgentId, member_id: MemberId) -> Query[OAuthFlow]:
    """The member's sign-ins that hold tokens, for a change of key."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? AND member_id = ? AND tokens_ct IS NOT NULL ORDER BY id",
        (agent_id, member_id),
        read,
    )


def over(now_ms: int) -> Query[OAuthFlow]:
    """Facts about sign-ins whose time is over, for the sweep."""
    return Query(f"{_FACTS} WHERE expires_at <= ? ORDER BY expires_at", (now_ms,), read)


def insert(flow: OAuthFlow) -> Statement:
    """Adds a sign-in."""
    return Statement(
        f"INSERT INTO oauth_flows ({_COLUMNS}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            flow.id,
            flow.state_mac,
            flow.kid,
            flow.web_session_id,
            flow.agent_id,
            flow.member_id,
            flow.service_id,
            flow.connection_id,
            flow.issuer,
            flow.token_endpoint,
            flow.redirect_uri,
            flow.resource,
            flow.verifier_ct,
            flow.tokens_ct,
            flow.scopes,
            flow.created_at,
            flow.expires_at,
            flow.used_at,
        ),
    )


def take(flow: OAuthFlow, web_session_id: WebSessionId | None, now_ms: int) -> Statement:
    """Redeems a state in the browser that began it: 1 row the first time, 0 ever after."""
    return Statement(
        "UPDATE oauth_flows SET used_at = ? WHERE state_mac = ? AND agent_id = ? "
        "AND member_id = ? AND service_id = ? AND web_session_id IS ? AND used_at IS NULL "
        "AND expires_at > ?",
        (
            now_ms,
            flow.state_mac,
            flow.agent_id,
            flow.member_id,
            flow.service_id,
            web_session_id,
            now_ms,
        ),
    )


def keep_tokens(flow: OAuthFlow, tokens_ct: bytes | None) -> Statement:
    """Writes a sign-in's sealed tokens and `flow.scopes`, theirs; or destroys them (None)."""
    return Statement(
        "UPDATE oauth_flows SET tokens_ct = ?, scopes = ? "
        "WHERE id = ? AND agent_id = ? AND member_id = ?",
        (tokens_ct, flow.scopes, flow.id, flow.agent_id, flow.member_id),
    )


def delete(flow: OAuthFlow) -> Statement:
    """Ends a sign-in: its ciphertexts are overwritten in the file (secure_delete)."""
    return Statement(
        "DELETE FROM oauth_flows WHERE id = ? AND agent_id = ? AND member_id = ?",
        (flow.id, flow.agent_id, flow.member_id),
    )

"""Portal sessions: table `web_sessions`, read together with their account on every request."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from wicketd.domain.accounts import Visitor, WebSession
from wicketd.domain.ids import AccountId, WebSessionId
from wicketd.domain.ports import Query, Statement
from wicketd.storage import accounts

_COLUMNS: Final = (
    "id, account_id, created_at, last_seen_at, expires_at, mfa_at, ip, user_agent, revoked_at"
)
_LIVE: Final = "revoked_at IS NULL AND expires_at > ? AND last_seen_at > ?"


def by_macs(macs: Collection[bytes]) -> Query[Visitor]:
    """Session and account of a token by its MACs, one per server key; ended sessions too."""
    session = ", ".join(f"s.{column}" for column in _COLUMNS.split(", "))
    account = ", ".join(f"a.{column}" for column in accounts.COLUMNS.split(", "))
    marks = ", ".join("?" * len(macs))
    return Query(
        f"SELECT {account}, {session} FROM web_sessions AS s "
        f"JOIN accounts AS a ON a.id = s.account_id WHERE s.token_mac IN ({marks})",
        tuple(macs),
        lambda row: Visitor(accounts.read(row), _read(row[accounts.WIDTH :])),
    )


def live_of(account_id: AccountId, now_ms: int, idle_since_ms: int) -> Query[WebSession]:
    """The account's sessions that still work, newest first.

    `idle_since_ms`: a session last seen then or before is over.
    """
    return Query(
        f"SELECT {_COLUMNS} FROM web_sessions WHERE account_id = ? AND {_LIVE} "
        "ORDER BY created_at DESC, id DESC",
        (account_id, now_ms, idle_since_ms),
        _read,
    )


def insert(session: WebSession, token_mac: bytes, kid: str) -> Statement:
    """Adds a session."""
    return Statement(
        f"INSERT INTO web_sessions (token_mac, kid, {_COLUMNS}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token_mac,
            kid,
            session.id,
            session.account_id,
            session.created_at,
            session.last_seen_at,
            session.expires_at,
            session.mfa_at,
            session.ip,
            session.user_agent,
            session.revoked_at,
        ),
    )


def touch(session_id: WebSessionId, at_ms: int) -> Statement:
    """Notes that the session was used."""
    return Statement("UPDATE web_sessions SET last_seen_at = ? WHERE id = ?", (at_ms, session_id))


def revoke(account_id: AccountId, session_id: WebSessionId, at_ms: int) -> Statement:
    """Ends one session of the account; 0 rows when it has none such or it had ended."""
    return Statement(
        "UPDATE web_sessions SET revoked_at = ? "
        "WHERE id = ? AND account_id = ? AND revoked_at IS NULL",
        (at_ms, session_id, account_id),
    )


def revoke_all(account_id: AccountId, at_ms: int, but: WebSessionId | None = None) -> Statement:
    """Ends every session of the account, but for one if named."""
    return Statement(
        "UPDATE web_sessions SET revoked_at = ? "
        "WHERE account_id = ? AND revoked_at IS NULL AND id <> ?",
        (at_ms, account_id, but or ""),
    )


def sweep(now_ms: int, idle_since_ms: int) -> Statement:
    """Deletes sessions that ended, but for those that an OAuth attempt still names."""
    return Statement(
        f"DELETE FROM web_sessions WHERE NOT ({_LIVE}) AND NOT EXISTS "
        "(SELECT 1 FROM oauth_flows WHERE web_session_id = web_sessions.id)",
        (now_ms, idle_since_ms),
    )


def _read(row: Sequence[Any]) -> WebSession:
    return WebSession(
        id=WebSessionId(row[0]),
        account_id=AccountId(row[1]),
        created_at=row[2],
        last_seen_at=row[3],
        expires_at=row[4],
        mfa_at=row[5],
        ip=row[6],
        user_agent=row[7],
        revoked_at=row[8],
    )

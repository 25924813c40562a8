"""Tool sessions and their counters: tables `tool_sessions` and `tool_session_counts`.

A session is read without its counts, which `counts` gives. The running counters are folded: one
upsert per session and group of commits, whatever the number of calls.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from wicketd.domain.ids import AgentId, MemberId, ToolSessionId
from wicketd.domain.ports import Query, Statement
from wicketd.domain.sessions import SessionEnd, ToolSession

_COLUMNS: Final = (
    "id, agent_id, member_id, member_key_id, external_mac, external_id, id_source, client_name, "
    "client_version, created_at, last_activity_at, calls, denials, terminated_at, terminated_reason"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM tool_sessions"


def read(row: Sequence[Any]) -> ToolSession:
    """The session of a row, without its counts by name."""
    return ToolSession(
        id=ToolSessionId(row[0]),
        agent_id=AgentId(row[1]),
        member_id=MemberId(row[2]),
        member_key_row=row[3],
        external_mac=row[4],
        external_id=row[5],
        id_source=row[6],
        client_name=row[7],
        client_version=row[8],
        created_at=row[9],
        last_activity_at=row[10],
        calls=row[11],
        denials=row[12],
        terminated_at=row[13],
        terminated_reason=None if row[14] is None else SessionEnd(row[14]),
    )


def active() -> Query[ToolSession]:
    """Every session that has not ended; at start the daemon takes them over."""
    return Query(f"{_SELECT} WHERE terminated_at IS NULL AND external_mac > x''", (), read)


def of_agent(agent_id: AgentId, limit: int = 500) -> Query[ToolSession]:
    """Sessions of the agent, newest activity first."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? ORDER BY last_activity_at DESC LIMIT ?",
        (agent_id, limit),
        read,
    )


def of_member(agent_id: AgentId, member_id: MemberId, limit: int = 50) -> Query[ToolSession]:
    """Sessions of one member, newest activity first."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? AND member_id = ? ORDER BY last_activity_at DESC LIMIT ?",
        (agent_id, member_id, limit),
        read,
    )


def by_id(agent_id: AgentId, session_id: str) -> Query[ToolSession]:
    """One session of the agent."""
    return Query(f"{_SELECT} WHERE id = ? AND agent_id = ?", (session_id, agent_id), read)


def counts(session_id: ToolSessionId) -> Query[tuple[str, str, int]]:
    """(kind, name, n) of a session; kind is "tool", "allow" or "deny"."""
    return Query(
        "SELECT kind, name, n FROM tool_session_counts WHERE session_id = ? ORDER BY kind, name",
        (session_id,),
        lambda row: (str(row[0]), str(row[1]), int(row[2])),
    )


def insert(session: ToolSession) -> Statement:
    """Adds a session with zero counters; 0 rows when it was added before.

    Raises:
        Conflict: when run, if another active session has the same identity.
    """
    return Statement(
        f"INSERT INTO tool_sessions ({_COLUMNS}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, NULL, NULL) ON CONFLICT (id) DO NOTHING",
        (
            session.id,
            session.agent_id,
            session.member_id,
            session.member_key_row,
            session.external_mac,
            session.external_id,
            session.id_source,
            session.client_name,
            session.client_version,
            session.created_at,
            session.last_activity_at,
        ),
    )


def set_mac(session_id: ToolSessionId, mac: bytes) -> Statement:
    """Finds the session by another server key's MAC from now on.

    Raises:
        Conflict: when run, if another active session has the same identity.
    """
    return Statement("UPDATE tool_sessions SET external_mac = ? WHERE id = ?", (mac, session_id))


def fold_session(at_ms: int) -> Callable[[tuple[object, ...], tuple[int, ...]], Statement]:
    """For `Tx.fold` under the key ("session", id): counts are calls and denials to add."""

    def into(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
        return Statement(
            "UPDATE tool_sessions SET calls = calls + ?, denials = denials + ?, "
            "last_activity_at = max(last_activity_at, ?) WHERE id = ?",
            (counts[0], counts[1], at_ms, str(key[1])),
        )

    return into


def fold_count(key: tuple[object, ...], counts: tuple[int, ...]) -> Statement:
    """For `Tx.fold` under ("session_count", session id, kind, name): one count to add.

    Adds nothing for a session that is not stored: a broken reference would cost the whole group.
    """
    return Statement(
        "INSERT INTO tool_session_counts (session_id, kind, name, n) SELECT id, ?, ?, ? "
        "FROM tool_sessions WHERE id = ? "
        "ON CONFLICT (session_id, kind, name) DO UPDATE SET n = n + excluded.n",
        (str(key[2]), str(key[3]), counts[0], str(key[1])),
    )


def touch(session: ToolSession) -> Statement:
    """Writes calls, denials and time of the last activity as they are in memory."""
    return Statement(
        "UPDATE tool_sessions SET calls = ?, denials = ?, last_activity_at = ? WHERE id = ?",
        (session.calls, session.denials, session.last_activity_at, session.id),
    )


def put_counts(session: ToolSession) -> Sequence[Statement]:
    """Writes every count of a session as it is in memory."""
    by_kind = (
        ("tool", session.tools),
        ("allow", session.allow_counts),
        ("deny", session.deny_counts),
    )
    return [
        Statement(
            "INSERT INTO tool_session_counts (session_id, kind, name, n) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (session_id, kind, name) DO UPDATE SET n = excluded.n",
            (session.id, kind, name, n),
        )
        for kind, names in by_kind
        for name, n in names.items()
    ]


def end(session_id: ToolSessionId, at_ms: int, reason: SessionEnd) -> Statement:
    """Ends an active session; 0 rows when it had ended."""
    return Statement(
        "UPDATE tool_sessions SET terminated_at = ?, terminated_reason = ? "
        "WHERE id = ? AND terminated_at IS NULL",
        (at_ms, reason, session_id),
    )

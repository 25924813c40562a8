"""Invitations: table `invites`. The token is not stored, it is computed from the row.

An expired row is closed by `revoked_at = expires_at`: so a member has at most one open row.
"""

from collections.abc import Sequence
from typing import Any, Final

from wicketd.domain.accounts import Invite
from wicketd.domain.ids import AccountId, AgentId, InviteId, MemberId
from wicketd.domain.members import Role
from wicketd.domain.ports import Query, Statement

_COLUMNS: Final = (
    "id, agent_id, member_id, email, role, kid, created_by, created_at, expires_at, accepted_at, "
    "revoked_at, sent_at"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM invites"
_OPEN: Final = "accepted_at IS NULL AND revoked_at IS NULL"


def by_id(invite_id: InviteId) -> Query[Invite]:
    """The invitation with this id, in whatever state."""
    return Query(f"{_SELECT} WHERE id = ?", (invite_id,), _read)


def of_agent(agent_id: AgentId) -> Query[Invite]:
    """Every invitation to the agent, oldest first."""
    return Query(f"{_SELECT} WHERE agent_id = ? ORDER BY id", (agent_id,), _read)


def open_of_member(member_id: MemberId) -> Query[Invite]:
    """The member's invitation that was not closed, over or not."""
    return Query(f"{_SELECT} WHERE member_id = ? AND {_OPEN}", (member_id,), _read)


def open_of_account(account_id: AccountId) -> Query[Invite]:
    """The account's invitations that were not closed, over or not, oldest first."""
    columns = ", ".join(f"i.{column}" for column in _COLUMNS.split(", "))
    return Query(
        f"SELECT {columns} FROM members AS m "
        "JOIN invites AS i ON i.member_id = m.id AND i.accepted_at IS NULL "
        "AND i.revoked_at IS NULL "
        "WHERE m.agent_id IN (SELECT id FROM agents) AND m.account_id = ? "
        "AND m.state NOT IN ('rejected', 'removed') ORDER BY i.id",
        (account_id,),
        _read,
    )


def over(now_ms: int) -> Query[Invite]:
    """Invitations whose time is over and that were not closed yet."""
    return Query(
        f"{_SELECT} WHERE member_id > '' AND {_OPEN} AND expires_at <= ?", (now_ms,), _read
    )


def insert(invite: Invite) -> Statement:
    """Adds an invitation; `Conflict` when the member has an open one."""
    return Statement(
        f"INSERT INTO invites ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            invite.id,
            invite.agent_id,
            invite.member_id,
            invite.email,
            invite.role,
            invite.kid,
            invite.created_by,
            invite.created_at,
            invite.expires_at,
            invite.accepted_at,
            invite.revoked_at,
            invite.sent_at,
        ),
    )


def accept(invite_id: InviteId, now_ms: int) -> Statement:
    """Accepts an open invitation; 0 rows when it is closed or over."""
    return Statement(
        f"UPDATE invites SET accepted_at = ? WHERE id = ? AND {_OPEN} AND expires_at > ?",
        (now_ms, invite_id, now_ms),
    )


def revoke(invite_id: InviteId, now_ms: int) -> Statement:
    """Closes an open invitation; 0 rows when it is closed or over."""
    return Statement(
        f"UPDATE invites SET revoked_at = ? WHERE id = ? AND {_OPEN} AND expires_at > ?",
        (now_ms, invite_id, now_ms),
    )


def expire(invite_id: InviteId, now_ms: int) -> Statement:
    """Closes an invitation whose time is over; 0 rows when it is closed or not over."""
    return Statement(
        f"UPDATE invites SET revoked_at = expires_at WHERE id = ? AND {_OPEN} AND expires_at <= ?",
        (invite_id, now_ms),
    )


def mark_sent(invite_id: InviteId, at_ms: int) -> Statement:
    """Notes that the mail server took it."""
    return Statement("UPDATE invites SET sent_at = ? WHERE id = ?", (at_ms, invite_id))


def _read(row: Sequence[Any]) -> Invite:
    return Invite(
        id=InviteId(row[0]),
        agent_id=AgentId(row[1]),
        member_id=MemberId(row[2]),
        email=row[3],
        role=Role(row[4]),
        kid=row[5],
        created_by=row[6],
        created_at=row[7],
        expires_at=row[8],
        accepted_at=row[9],
        revoked_at=row[10],
        sent_at=row[11],
    )

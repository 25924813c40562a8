"""Members, their groups and tags: tables `members` and `member_labels`, the account's e-mail.

Labels hold no blank (a CHECK), so both sets of a member travel in its row, joined by blanks.
"""

from collections.abc import Sequence
from typing import Any, Final

from wicketd.domain.ids import AccountId, AgentId, MemberId, Revision
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.ports import Query, Statement

COLUMNS: Final = (
    "m.id, m.agent_id, m.account_id, account.email, m.local_name, m.role, m.state, m.state_at, "
    "m.state_by, m.created_at, m.rev, "
    "(SELECT group_concat(value, ' ') FROM member_labels AS label "
    "WHERE label.member_id = m.id AND label.kind = 'group'), "
    "(SELECT group_concat(value, ' ') FROM member_labels AS label "
    "WHERE label.member_id = m.id AND label.kind = 'tag')"
)
WIDTH: Final = 13
ACCOUNT: Final = "LEFT JOIN accounts AS account ON account.id = m.account_id"
_SELECT: Final = f"SELECT {COLUMNS} FROM members AS m {ACCOUNT}"
_LIVE: Final = "m.state NOT IN ('rejected', 'removed')"


def read(row: Sequence[Any]) -> Member:
    """The member of a row that begins with `COLUMNS`."""
    return Member(
        id=MemberId(row[0]),
        agent_id=AgentId(row[1]),
        account_id=None if row[2] is None else AccountId(row[2]),
        email=row[3],
        local_name=row[4],
        role=Role(row[5]),
        state=MemberState(row[6]),
        state_at=row[7],
        state_by=row[8],
        groups=_labels(row[11]),
        tags=_labels(row[12]),
        created_at=row[9],
        rev=Revision(row[10]),
    )


def by_id(agent_id: AgentId, ref: str) -> Query[Member]:
    """The agent's member with this id, else the one that has not ended and has this principal."""
    return Query(
        f"{_SELECT} WHERE m.agent_id = ? AND (m.id = ? OR m.id IN ("
        "SELECT id FROM members AS m WHERE m.agent_id = ? AND m.local_name = ? AND "
        f"{_LIVE} UNION ALL SELECT m.id FROM accounts AS a "
        f"JOIN members AS m ON m.agent_id = ? AND m.account_id = a.id AND {_LIVE} "
        "WHERE a.email = ?)) ORDER BY m.id = ? DESC LIMIT 1",
        (agent_id, ref, agent_id, ref, agent_id, ref, ref),
        read,
    )


def of_account(agent_id: AgentId, account_id: AccountId) -> Query[Member]:
    """The membership of an account that is not blocked, unless it has ended."""
    return Query(
        f"{_SELECT} WHERE m.agent_id = ? AND m.account_id = ? AND {_LIVE} "
        "AND account.status = 'active'",
        (agent_id, account_id),
        read,
    )


def of_agent(agent_id: AgentId, state: MemberState | None = None) -> Query[Member]:
    """Members of an agent, oldest first; `state` None: in every state."""
    if state is None:
        return Query(f"{_SELECT} WHERE m.agent_id = ? ORDER BY m.id", (agent_id,), read)
    return Query(
        f"{_SELECT} WHERE m.agent_id = ? AND m.state = ? ORDER BY m.id", (agent_id, state), read
    )


def memberships(account_id: AccountId) -> Query[Member]:
    """Memberships of an account that have not ended, over all agents, oldest first."""
    return Query(
        f"{_SELECT} WHERE m.agent_id IN (SELECT id FROM agents) AND m.account_id = ? "
        f"AND {_LIVE} ORDER BY m.id",
        (account_id,),
        read,
    )


def insert(member: Member) -> Statement:
    """Adds a member without labels; `Conflict` when the agent has this person already."""
    return Statement(
        "INSERT INTO members (id, agent_id, account_id, local_name, role, state, state_at, "
        "state_by, created_at, rev) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            member.id,
            member.agent_id,
            member.account_id,
            member.local_name,
            member.role,
            member.state,
            member.state_at,
            member.state_by,
            member.created_at,
            member.rev,
        ),
    )


def update(after: Member) -> Statement:
    """Writes role and state of a member; `after.rev` is the new revision. Labels: `set_labels`."""
    return Statement(
        "UPDATE members SET role = ?, state = ?, state_at = ?, state_by = ?, rev = ? "
        "WHERE id = ? AND agent_id = ? AND rev = ? - 1",
        (
            after.role,
            after.state,
            after.state_at,
            after.state_by,
            after.rev,
            after.id,
            after.agent_id,
            after.rev,
        ),
    )


def set_state(
    member_id: MemberId, state: MemberState, at_ms: int, by: str, rev: Revision
) -> Statement:
    """Moves a member; `rev`: as read, `by`: an actor's label."""
    return Statement(
        "UPDATE members SET state = ?, state_at = ?, state_by = ?, rev = rev + 1 "
        "WHERE id = ? AND rev = ?",
        (state, at_ms, by, member_id, rev),
    )


def update_role(member_id: MemberId, role: Role, rev: Revision) -> Statement:
    """Changes the role; `rev`: as read."""
    return Statement(
        "UPDATE members SET role = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
        (role, member_id, rev),
    )


def labels(member_id: MemberId) -> Query[tuple[str, str]]:
    """(kind, value) of all labels, sorted; kind is `group` or `tag`."""
    return Query(
        "SELECT kind, value FROM member_labels WHERE member_id = ? ORDER BY kind, value",
        (member_id,),
        lambda row: (str(row[0]), str(row[1])),
    )


def set_labels(
    member_id: MemberId, groups: Sequence[str], tags: Sequence[str]
) -> Sequence[Statement]:
    """Replaces both sets."""
    values = [("group", value) for value in groups] + [("tag", value) for value in tags]
    return [
        Statement("DELETE FROM member_labels WHERE member_id = ?", (member_id,)),
        *(
            Statement(
                "INSERT INTO member_labels (member_id, kind, value) VALUES (?, ?, ?)",
                (member_id, kind, value),
            )
            for kind, value in sorted(set(values))
        ),
    ]


def _labels(joined: str | None) -> tuple[str, ...]:
    return tuple(sorted(joined.split(" "))) if joined else ()

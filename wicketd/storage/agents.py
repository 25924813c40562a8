"""Agents: table `agents`. Deleted ones stay: keys are never reused, the audit stays readable.

`update` and its kin take the revision that the change is based on and touch no row if it has moved.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wicketd.domain.agents import Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.ids import AgentId, PolicyRevision, Revision
from wicketd.domain.ports import Query, Statement

COLUMNS: Final = (
    "id, key, name, status, disabled_reason, trust, tz, session_scope, policy_revision, tags, "
    "created_by, created_at, deleted_at, rev"
)
WIDTH: Final = 14
_SELECT: Final = f"SELECT {COLUMNS} FROM agents"


def read(row: Sequence[Any]) -> Agent:
    """The agent of a row that begins with `COLUMNS`."""
    return Agent(
        id=AgentId(row[0]),
        key=row[1],
        name=row[2],
        status=AgentStatus(row[3]),
        disabled_reason=row[4],
        trust=Trust(row[5]),
        tz=row[6],
        session_scope=SessionScope(row[7]),
        policy_revision=PolicyRevision(row[8]),
        tags=tuple(msgspec.json.decode(row[9], type=list[str])),
        created_by=row[10],
        created_at=row[11],
        deleted_at=row[12],
        rev=Revision(row[13]),
    )


def by_key_or_id(ref: str) -> Query[Agent]:
    """The agent named by key or id, deleted or not; a key begins with a letter, an id does not."""
    return Query(f"{_SELECT} WHERE key = ? OR id = ?", (ref, ref), read)


def all() -> Query[Agent]:  # noqa: A001  # read as `agents.all()`
    """Every agent, deleted ones too, by key."""
    return Query(f"{_SELECT} ORDER BY key", (), read)


def insert(agent: Agent) -> Statement:
    """Adds an agent; `Conflict` when its key is or was in use."""
    return Statement(
        f"INSERT INTO agents ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            agent.id,
            agent.key,
            agent.name,
            agent.status,
            agent.disabled_reason,
            agent.trust,
            agent.tz,
            agent.session_scope,
            agent.policy_revision,
            _tags(agent.tags),
            agent.created_by,
            agent.created_at,
            agent.deleted_at,
            agent.rev,
        ),
    )


def update(after: Agent) -> Statement:
    """Writes what may change of an agent but its policy revision; `after.rev`: the new one."""
    return Statement(
        "UPDATE agents SET name = ?, status = ?, disabled_reason = ?, tz = ?, session_scope = ?, "
        "tags = ?, deleted_at = ?, rev = ? WHERE id = ? AND rev = ? - 1",
        (
            after.name,
            after.status,
            after.disabled_reason,
            after.tz,
            after.session_scope,
            _tags(after.tags),
            after.deleted_at,
            after.rev,
            after.id,
            after.rev,
        ),
    )


def set_status(
    agent_id: AgentId, status: AgentStatus, reason: str | None, rev: Revision
) -> Statement:
    """Disables or enables; `rev`: as read."""
    return Statement(
        "UPDATE agents SET status = ?, disabled_reason = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
        (status, reason, agent_id, rev),
    )


def mark_deleted(agent_id: AgentId, at_ms: int, rev: Revision) -> Statement:
    """Deletes for good; `rev`: as read."""
    return Statement(
        "UPDATE agents SET status = 'deleted', deleted_at = ?, rev = rev + 1 "
        "WHERE id = ? AND rev = ?",
        (at_ms, agent_id, rev),
    )


def bump_revision(agent_id: AgentId, expected: PolicyRevision) -> Statement:
    """Raises the policy revision by one; 0 rows when it is not `expected` any more."""
    return Statement(
        "UPDATE agents SET policy_revision = policy_revision + 1 "
        "WHERE id = ? AND policy_revision = ?",
        (agent_id, expected),
    )


def _tags(tags: tuple[str, ...]) -> str:
    return msgspec.json.encode(tags).decode()

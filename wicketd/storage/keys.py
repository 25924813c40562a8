"""Member keys: table `member_keys`, joined with what a call must know of its owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wicketd.domain.agents import Agent
from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.domain.members import KeyState, Member, MemberKey
from wicketd.domain.ports import Query, Statement
from wicketd.storage import agents, members

_COLUMNS: Final = (
    "id, key_id, agent_id, member_id, srv_kid, verifier, seal_public, seal_mac, created_at, "
    "last_used_day, ended_at, ended_kind, ended_reason, ended_by"
)
_WIDTH: Final = 14
_SELECT: Final = f"SELECT {_COLUMNS} FROM member_keys"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with the agent and member it is for, all as they are now."""

    key: MemberKey
    agent: Agent
    member: Member
    account_blocked: bool


def read(row: Sequence[Any]) -> MemberKey:
    """The key of a row of `member_keys`."""
    return MemberKey(
        id=row[0],
        key_id=KeyId(row[1]),
        agent_id=AgentId(row[2]),
        member_id=MemberId(row[3]),
        srv_kid=row[4],
        verifier=row[5],
        seal_public=row[6],
        seal_mac=row[7],
        created_at=row[8],
        last_used_day=row[9],
        ended_at=row[10],
        ended_kind=None if row[11] is None else KeyState(row[11]),
        ended_reason=row[12],
        ended_by=row[13],
    )


def by_key_id(key_id: KeyId | str) -> Query[KeyRecord]:
    """What an incoming key names, active or ended."""
    keys = ", ".join(f"k.{column}" for column in _COLUMNS.split(", "))
    owners = ", ".join(f"a.{column}" for column in agents.COLUMNS.split(", "))
    return Query(
        f"SELECT {keys}, {owners}, {members.COLUMNS}, account.status FROM member_keys AS k "
        "JOIN agents AS a ON a.id = k.agent_id JOIN members AS m ON m.id = k.member_id "
        f"{members.ACCOUNT} WHERE k.key_id = ?",
        (key_id,),
        _read_record,
    )


def of_agent(agent_id: AgentId) -> Query[MemberKey]:
    """Every key of the agent's members, oldest first."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? ORDER BY created_at, id",
        (agent_id,),
        read,
    )


def active_of(agent_id: AgentId, member_id: MemberId) -> Query[MemberKey]:
    """The member's one active key."""
    return Query(
        f"{_SELECT} WHERE agent_id = ? AND member_id = ? AND ended_at IS NULL",
        (agent_id, member_id),
        read,
    )


def active_under(kid: str) -> Query[MemberKey]:
    """Every active key whose verifier names a server key, for its retirement."""
    return Query(
        f"{_SELECT} WHERE srv_kid = ? AND ended_at IS NULL ORDER BY agent_id, created_at, id",
        (kid,),
        read,
    )


def insert(key: MemberKey) -> Statement:
    """Adds an active key; `Conflict` when the member has one or the public id is taken."""
    return Statement(
        f"INSERT INTO member_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.id,
            key.key_id,
            key.agent_id,
            key.member_id,
            key.srv_kid,
            key.verifier,
            key.seal_public,
            key.seal_mac,
            key.created_at,
            key.last_used_day,
            key.ended_at,
            key.ended_kind,
            key.ended_reason,
            key.ended_by,
        ),
    )


def end(row_id: str, at_ms: int, kind: KeyState, reason: str | None, by: str) -> Statement:
    """Ends an active key; 0 rows when it had ended. `row_id`: the row's id, not the public one."""
    return Statement(
        "UPDATE member_keys SET ended_at = ?, ended_kind = ?, ended_reason = ?, ended_by = ? "
        "WHERE id = ? AND ended_at IS NULL",
        (at_ms, kind, reason, by, row_id),
    )


def touch_day(row_id: str, day: int) -> Statement:
    """Notes the day (days since 1970) of a use; 0 rows when it was noted."""
    return Statement(
        "UPDATE member_keys SET last_used_day = ? WHERE id = ? AND coalesce(last_used_day, -1) < ?",
        (day, row_id, day),
    )


def set_verifier(row_id: str, srv_kid: str, verifier: bytes, seal_mac: bytes) -> Statement:
    """Moves both macs to another server key, at a successful use."""
    return Statement(
        "UPDATE member_keys SET srv_kid = ?, verifier = ?, seal_mac = ? "
        "WHERE id = ? AND ended_at IS NULL",
        (srv_kid, verifier, seal_mac, row_id),
    )


def _read_record(row: Sequence[Any]) -> KeyRecord:
    member_at = _WIDTH + agents.WIDTH
    return KeyRecord(
        key=read(row),
        agent=agents.read(row[_WIDTH:member_at]),
        member=members.read(row[member_at:]),
        account_blocked=row[member_at + members.WIDTH] == "blocked",
    )

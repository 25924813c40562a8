"""Looks objects up by what people call them, in a transaction or from a reader."""

from typing import TypeVar

from wicketd.domain.agents import Agent, AgentStatus
from wicketd.domain.catalogue import Service
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.members import Member
from wicketd.domain.ports import Database, Query, Tx
from wicketd.storage import agents, members, services

T = TypeVar("T")


def agent(tx: Tx, ref: str) -> Agent:
    """The agent with this key or id.

    Raises:
        NotFound: there is none.
    """
    return _found(tx.one(agents.by_key_or_id(ref)), _no_agent(ref))


def live_agent(tx: Tx, ref: str) -> Agent:
    """The same, to be changed.

    Raises:
        NotFound: there is none.
        Conflict: it is deleted.
    """
    return _live(agent(tx, ref))


async def read_agent(db: Database, ref: str) -> Agent:
    """The agent with this key or id, from a reader.

    Raises:
        NotFound: there is none.
    """
    row = await db.one(agents.by_key_or_id(ref))
    return _found(row, _no_agent(ref))


async def read_live_agent(db: Database, ref: str) -> Agent:
    """The same, to be changed.

    Raises:
        NotFound: there is none.
        Conflict: it is deleted.
    """
    return _live(await read_agent(db, ref))


def member(tx: Tx, owner: Agent, ref: str) -> Member:
    """The agent's member with this id, address or local name.

    Raises:
        NotFound: there is none.
    """
    return _found(tx.one(members.by_id(owner.id, ref)), _no_member(owner, ref))


async def read_member(db: Database, owner: Agent, ref: str) -> Member:
    """The same, from a reader.

    Raises:
        NotFound: there is none.
    """
    row = await db.one(members.by_id(owner.id, ref))
    return _found(row, _no_member(owner, ref))


def service(tx: Tx, owner: Agent, key: str) -> Service:
    """The agent's service with this key, unless it was removed.

    Raises:
        NotFound: there is none.
    """
    return _found(tx.one(services.by_key(owner.id, key)), _no_service(owner, key))


async def read_service(db: Database, owner: Agent, key: str) -> Service:
    """The same, from a reader.

    Raises:
        NotFound: there is none.
    """
    row = await db.one(services.by_key(owner.id, key))
    return _found(row, _no_service(owner, key))


def require(tx: Tx, query: Query[T], missing: NotFound) -> T:
    """The one row of `query`.

    Raises:
        NotFound: `missing`, if there is none.
    """
    return _found(tx.one(query), missing)


def _found(row: T | None, missing: NotFound) -> T:
    if row is None:
        raise missing
    return row


def _live(found: Agent) -> Agent:
    if found.status is AgentStatus.DELETED:
        message = f"The agent {found.key} is deleted. Create a new one under another key."
        raise Conflict(message)
    return found


def _no_agent(ref: str) -> NotFound:
    return NotFound(
        f"There is no agent {ref[:80]!r}. List the agents to see their keys.",
        hint="wicket agent list",
    )


def _no_member(owner: Agent, ref: str) -> NotFound:
    return NotFound(
        f"The agent {owner.key} has no member {ref[:80]!r}. List its members to see their names.",
        hint=f"wicket member list {owner.key}",
    )


def _no_service(owner: Agent, key: str) -> NotFound:
    return NotFound(
        f"The agent {owner.key} has no service {key[:80]!r}. List its services or enable it.",
        hint=f"wicket service list {owner.key}",
    )

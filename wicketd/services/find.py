"""Looks objects up by what people call them, in a transaction or from a reader."""

from typing import TypeVar

from wicketd.domain.accounts import Visitor
from wicketd.domain.agents import Agent, AgentStatus
from wicketd.domain.catalogue import Service, ServiceState
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ids import AgentId
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


def own_member(tx: Tx, visitor: Visitor, agent_id: str) -> Member:
    """The visitor's membership of an agent, in any state that has not ended.

    Raises:
        NotFound: there is no such agent, or the visitor is not of it: the same for both.
    """
    owner = _own_agent(tx.one(agents.by_key_or_id(agent_id)), agent_id)
    return _found(tx.one(members.of_account(owner.id, visitor.account.id)), no_page())


async def read_own_member(db: Database, visitor: Visitor, agent_id: str) -> Member:
    """The same, from a reader.

    Raises:
        NotFound: there is no such agent, or the visitor is not of it.
    """
    found = await db.one(agents.by_key_or_id(agent_id))
    owner = _own_agent(found, agent_id)
    row = await db.one(members.of_account(owner.id, visitor.account.id))
    return _found(row, no_page())


def service(tx: Tx, owner: Agent, key: str) -> Service:
    """The agent's service with this key, unless it was removed.

    Raises:
        NotFound: there is none.
    """
    return _found(tx.one(services.by_key(owner.id, key)), _no_service(owner, key))


def own_service(tx: Tx, agent_id: AgentId, key: str) -> Service:
    """The enabled service with this key, as members see it.

    Raises:
        NotFound: there is none, or it is off: the same for both.
    """
    found = _found(tx.one(services.by_key(agent_id, key)), no_page())
    if found.state is not ServiceState.ENABLED:
        raise no_page()
    return found


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


def _own_agent(found: Agent | None, agent_id: str) -> Agent:
    """Members name an agent by its id alone: a key would tell that it exists."""
    if found is None or found.id != agent_id or found.status is AgentStatus.DELETED:
        raise no_page()
    return found


def no_page() -> NotFound:
    """What members are told of an object that is unknown or not theirs: the same for both."""
    return NotFound("There is no such page. Your agents are listed under /agents.")


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

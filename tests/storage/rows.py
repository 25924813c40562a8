"""Builders of stored values with defaults: a test states only what matters."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from wicketd.domain.accounts import Account, AccountStatus
from wicketd.domain.agents import Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.domain.catalogue import Service, ServiceState, Tier, TierSource, Tool
from wicketd.domain.connections import Connection, ConnectionState, Destination
from wicketd.domain.ids import (
    AccountId,
    AgentId,
    ConnectionId,
    KeyId,
    MemberId,
    OAuthFlowId,
    PolicyId,
    PolicyRevision,
    Revision,
    ServiceId,
    ToolSessionId,
)
from wicketd.domain.members import Member, MemberKey, MemberState, Role
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.domain.policies import Cause, Mode, PolicyVersion
from wicketd.domain.ports import Query, Statement
from wicketd.domain.sessions import ToolSession
from wicketd.storage import agents, keys, members, services
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.policies import RevisionRow

T = TypeVar("T")
AT = 1_800_000_000_000
HOUR = 3_600_000
AGENT = AgentId("agent-1")
MEMBER = MemberId("member-1")
ACCOUNT = AccountId("account-1")
SERVICE = ServiceId("service-1")
SESSION = ToolSessionId("ts_" + "0" * 32)


@dataclass(slots=True)
class FakeClock:
    """A clock that stands until it is set."""

    ms: int = AT

    def now_ms(self) -> int:
        """The time it was set to."""
        return self.ms

    def monotonic_s(self) -> float:
        """The same, in seconds."""
        return self.ms / 1000


def agent(**changes: Any) -> Agent:
    """An active, trusted agent `demo`."""
    base = Agent(
        AGENT,
        "demo",
        "Demo",
        AgentStatus.ACTIVE,
        None,
        Trust.TRUSTED,
        "UTC",
        SessionScope.CONVERSATION,
        PolicyRevision(0),
        (),
        "uid:0",
        AT,
        None,
        Revision(1),
    )
    return replace(base, **changes)


def member(**changes: Any) -> Member:
    """An approved local member `ann`."""
    base = Member(
        MEMBER,
        AGENT,
        None,
        None,
        "ann",
        Role.MEMBER,
        MemberState.APPROVED,
        AT,
        "uid:0",
        (),
        (),
        AT,
        Revision(1),
    )
    return replace(base, **changes)


def account(**changes: Any) -> Account:
    """An active account that never signed in."""
    base = Account(
        ACCOUNT, "ann@example.org", None, AccountStatus.ACTIVE, None, None, AT, None, Revision(1)
    )
    return replace(base, **changes)


def key(**changes: Any) -> MemberKey:
    """The member's active key."""
    base = MemberKey(
        "key-1",
        KeyId("ABCDEFGH"),
        AGENT,
        MEMBER,
        "k1",
        b"v" * 32,
        b"p" * 32,
        b"m" * 32,
        AT,
        None,
        None,
        None,
        None,
        None,
    )
    return replace(base, **changes)


def service(**changes: Any) -> Service:
    """An enabled service `git` that was never listed."""
    base = Service(
        SERVICE,
        AGENT,
        "git",
        "0" * 64,
        ServiceState.ENABLED,
        "declared",
        None,
        None,
        None,
        None,
        "clean",
        None,
        AT,
        Revision(1),
    )
    return replace(base, **changes)


def tool(name: str = "status", **changes: Any) -> Tool:
    """A listed read tool."""
    base = Tool(
        name,
        {"name": name, "inputSchema": {"type": "object"}},
        "h1",
        Tier.READ,
        TierSource.CATALOGUE,
        first_seen_at=AT,
        last_seen_at=AT,
    )
    return replace(base, **changes)


def connection(**changes: Any) -> Connection:
    """A sealed connection under key k1."""
    base = Connection(
        id=ConnectionId("connection-1"),
        agent_id=AGENT,
        member_id=MEMBER,
        service_id=SERVICE,
        state=ConnectionState.SEALED,
        destination=Destination("https://git.example:443", "header:authorization"),
        account_label="ann",
        sealed_ct=envelope("k1"),
        sealed_suite=1,
        outer_kid="k1",
        sealed_key_id="ABCDEFGH",
        generation=1,
        created_at=AT,
        updated_at=AT,
        rev=Revision(1),
    )
    return replace(base, **changes)


def oauth_flow(**changes: Any) -> OAuthFlow:
    """A sign-in of the member for the service, begun by an admin and not redeemed."""
    base = OAuthFlow(
        id=OAuthFlowId("flow-1"),
        state_mac=b"m" * 32,
        kid="k1",
        web_session_id=None,
        agent_id=AGENT,
        member_id=MEMBER,
        service_id=SERVICE,
        connection_id=ConnectionId("connection-9"),
        issuer="https://as.example",
        token_endpoint="https://as.example/token",
        redirect_uri="https://wicket.example/oauth/callback/git",
        resource="https://git.example/mcp",
        verifier_ct=envelope("k1"),
        tokens_ct=None,
        scopes="read write",
        created_at=AT,
        expires_at=AT + 600_000,
        used_at=None,
    )
    return replace(base, **changes)


def envelope(kid: str) -> bytes:
    """Bytes with an envelope's header."""
    return bytes((1, 1, 1, len(kid))) + kid.encode() + b"\x00" * 40


def policy(version: int = 1, **changes: Any) -> PolicyVersion:
    """An enforced, enabled version of the record `no-destructive`."""
    base = PolicyVersion(
        PolicyId("policy-1"),
        AGENT,
        "no-destructive",
        None,
        version,
        "No destructive",
        "forbid (principal, action, resource);",
        b"t" * 32,
        True,
        Mode.ENFORCE,
        1,
        {"actions": {}},
        Cause.CREATE,
        None,
        None,
        "uid:0",
        AT,
    )
    return replace(base, **changes)


def revision(number: int = 1) -> RevisionRow:
    """A revision of the agent's set."""
    return RevisionRow(
        AGENT,
        PolicyRevision(number),
        '[["no-destructive",1]]',
        b"1" * 32,
        b"2" * 32,
        b"3" * 32,
        "k1",
        Cause.CREATE,
        "uid:0",
        AT,
    )


def session(**changes: Any) -> ToolSession:
    """A fresh session of the member's key."""
    base = ToolSession(
        SESSION,
        AGENT,
        MEMBER,
        "key-1",
        b"x" * 32,
        "conversation-1",
        "mcp-session-id",
        "client",
        "1.0",
        AT,
        AT,
    )
    return replace(base, **changes)


def audit_row(seq: int, kind: str = "call.denied", **changes: Any) -> AuditRow:
    """A row of the log; hashes are of no meaning here."""
    base = AuditRow(
        seq=seq,
        id=f"row-{seq}",
        ts=AT + seq,
        kind=kind,
        call_id=f"call-{seq}",
        ref=f"{seq:08d}",
        agent_id=AGENT,
        member_id=MEMBER,
        key_id="ABCDEFGH",
        session_id=SESSION,
        service="git",
        tool="push",
        decision="DENY",
        reason_code="no_permit",
        body=f'{{"policyRevision":{seq},"seq":{seq}}}',
        prev=b"0" * 32,
        hash=seq.to_bytes(32, "big"),
        epoch=1,
    )
    return replace(base, **changes)


def checkpoint(size: int, epoch: int = 1) -> Checkpoint:
    """A checkpoint over `size` rows."""
    return Checkpoint(epoch, size, b"r" * 32, f"note {size}", AT)


async def run(db: SqliteDatabase, *statements: Statement) -> list[int]:
    """Runs statements as one unit; gives the rows each touched."""
    return await db.write(lambda tx: [tx.run(statement) for statement in statements])


async def seed(db: SqliteDatabase) -> None:
    """The agent, its member with a key, and its service."""
    await run(
        db,
        agents.insert(agent()),
        members.insert(member()),
        keys.insert(key()),
        services.insert(service()),
    )


def count(table: str) -> Query[int]:
    """How many rows a table has."""
    return Query(f"SELECT count(*) FROM {table}", (), lambda row: int(row[0]))

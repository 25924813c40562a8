"""A whole administrative daemon in a temporary directory: real database, vault, journal, policies.

Only clock, randomness and the providers' servers are scripted. What leaves no trace otherwise
(cached callers, calls in flight) is written down by `Neighbours`.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.upstreams import Tasks
from wicketd.audit.journal import Journal
from wicketd.connectors.catalogue import Catalogue, parse_connector
from wicketd.domain.actor import Actor, Permission
from wicketd.domain.agents import Agent, Trust
from wicketd.domain.audit import AuditRow
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import Connection, Credential
from wicketd.domain.errors import SignInRejected, Upstream
from wicketd.domain.ids import AgentId, KeyId, MemberId, uuid7
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberKey
from wicketd.domain.policies import Problem
from wicketd.domain.ports import Tx
from wicketd.net.client import GuardedClient
from wicketd.oauth.client import OAuthHttp
from wicketd.policy import checker, engine, formatting, touches
from wicketd.policy.checks import Scope
from wicketd.policy.entities import ActionAt
from wicketd.policy.stack import BigStack
from wicketd.services.agents import Agents
from wicketd.services.connections import Connections
from wicketd.services.connector_files import ConnectorFiles
from wicketd.services.connectors import Services
from wicketd.services.desk import Desk
from wicketd.services.enabling import ServiceSettings
from wicketd.services.issuers import Issuers
from wicketd.services.keys import KeyMint, Keys
from wicketd.services.members import Members
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.policies import Policies
from wicketd.services.policy_sets import PolicySets, PolicyTools, SetRules
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.refresh_tools import RefreshTools
from wicketd.services.refreshing import Refreshing
from wicketd.services.resealing import Resealer
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.sign_ins import SignInEnds, SignIns, SignInSettings
from wicketd.services.snapshots import Snapshots
from wicketd.services.tokens import TokenBox
from wicketd.services.wal import Wal
from wicketd.storage import audit, connections, keys
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import Limits, SqliteDatabase
from wicketd.vault import keyring, member_key
from wicketd.vault.keyring import Keyring
from wicketd.vault.sealing import Sealer

READ_S = 2.0
"""How long tests wait for a silent authorization server."""
START_MS = 1_800_000_000_000
PUBLIC_URL = "https://wicket.example.test"
INSTALL_ID = bytes(range(0x40, 0x50))
ADMIN = Actor(uid=1000, name="ada", pid=4242, permission=Permission.WRITE)

NOTES = """
key = "notes"
name = "Notes"
transport = { kind = "streamable-http", url = "https://notes.example.test/mcp" }
credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }
[tools]
read = ["search_notes"]
write = ["create_note"]
destructive = ["delete_note"]
"""
OPEN = """
key = "open"
name = "Open"
transport = { kind = "streamable-http", url = "https://open.example.test/mcp" }
credential = { kind = "none" }
[tools]
rest = "read"
destructive = ["wipe"]
"""


class FakeClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self.ms

    def monotonic_s(self) -> float:
        """The same clock in seconds."""
        return self.ms / 1000

    def pass_s(self, seconds: float) -> None:
        """Moves on."""
        self.ms += int(seconds * 1000)


class CountedRandom:
    """Bytes that are all different and the same in every run."""

    def __init__(self, seed: bytes = b"") -> None:
        self._seed = seed
        self._count = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(count)


class CountedIds:
    """UUIDv7s that rise by one."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._count = 0

    def uuid7(self) -> str:
        """The next one."""
        self._count += 1
        return uuid7(self._clock.now_ms(), self._count.to_bytes(10, "big"))


class InProcessChecker:
    """The policy child's own code without the process around it."""

    def __init__(self, stack: BigStack) -> None:
        self._stack = stack

    async def check(self, schema_text: str, text: str, scope: Scope) -> list[Problem]:
        """See `PolicyChild.check`."""
        return await self._stack.run(
            lambda: checker.check(engine.parse_schema(schema_text), text, scope)
        )

    async def touches(
        self, schema_text: str, text: str, at: Sequence[ActionAt]
    ) -> list[touches.Touch] | None:
        """See `PolicyChild.touches`."""

        def work() -> list[touches.Touch]:
            schema, subjects = engine.parse_schema(schema_text), [one.subject() for one in at]
            return touches.touches(
                text,
                lambda one: bool(engine.validate(one, schema)),
                lambda one, facts: tuple(
                    found.action for found in touches.touched(one, facts, subjects, schema)
                ),
            )

        return await self._stack.run(work)

    async def format(self, text: str) -> str:
        """See `PolicyChild.format`."""
        return await self._stack.run(lambda: formatting.format_text(text))


class Neighbours:
    """Cached callers, calls in flight and tool sessions, as notes of what they were told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def forget_agent(self, agent_id: AgentId) -> None:
        """Notes it."""
        self.told.append(("forget_agent", agent_id))

    def forget_member(self, member_id: MemberId) -> None:
        """Notes it."""
        self.told.append(("forget_member", member_id))

    def forget_key(self, key_id: KeyId) -> None:
        """Notes it."""
        self.told.append(("forget_key", key_id))

    def end_agent(self, agent_id: AgentId) -> None:
        """Notes it."""
        self.told.append(("end_agent", agent_id))

    def end_member(self, member_id: MemberId) -> None:
        """Notes it."""
        self.told.append(("end_member", member_id))

    def end_key(self, key_id: KeyId) -> None:
        """Notes it."""
        self.told.append(("end_key", key_id))

    def end_of_key(self, tx: Tx, key_row: str) -> Callable[[], None]:
        """Notes that sessions end in the transaction, and when they are let go."""
        self.told.append(("sessions_end", key_row))
        return lambda: self.told.append(("sessions_gone", key_row))


@dataclass
class ScriptedUpstreams:
    """Servers by connector key: a tool list, or the error that asking gives."""

    lists: dict[str, list[JsonObject] | Upstream] = field(default_factory=dict)
    asked: list[tuple[str, Credential]] = field(default_factory=list)

    async def list_tools(
        self, connector: Connector, agent_id: AgentId, credential: Credential
    ) -> list[JsonObject]:
        """What was scripted; a server of which nothing is known wants a credential."""
        self.asked.append((connector.key, credential))
        said = self.lists.get(connector.key, SignInRejected("The server wants a credential."))
        if isinstance(said, Upstream):
            raise said
        return said


@dataclass
class State:
    """Every use case over one database, with builders whose defaults suit most tests."""

    directory: Path
    clock: FakeClock
    db: SqliteDatabase
    keyring: Keyring
    sealer: Sealer
    box: TokenBox
    files: ConnectorFiles
    connectors: dict[str, str]
    upstreams: ScriptedUpstreams
    neighbours: Neighbours
    desk: Desk
    sets: PolicySets
    snapshots: Snapshots
    agents: Agents
    members: Members
    keys: Keys
    connections: Connections
    refreshing: Refreshing
    http: OAuthHttp
    tasks: Tasks
    services: Services
    policies: Policies
    flows: OAuthFlows

    async def agent(self, key: str = "demo", trust: Trust = Trust.TRUSTED) -> Agent:
        """A new agent."""
        return await self.agents.create(ADMIN, key=key, name=key.title(), trust=trust)

    async def member(self, agent: str = "demo", name: str = "bob") -> Member:
        """A new local member."""
        return await self.members.add_local(ADMIN, agent, name=name)

    async def service(self, agent: str = "demo", key: str = "notes") -> None:
        """An enabled service."""
        await self.services.enable(ADMIN, agent, key)

    async def connected(self) -> tuple[Agent, Member]:
        """Agent `demo` with service `notes` and member `bob`."""
        await self.agent()
        await self.service()
        return (await self.agents.get("demo")), await self.member()

    async def caller(self, agent: str = "demo", member: str = "bob") -> Caller:
        """A call's caller with a key that is issued now."""
        key, text = await self.keys.issue(ADMIN, agent, member)
        return await self.caller_of(key, text)

    async def caller_of(self, key: MemberKey, text: str) -> Caller:
        """The caller that presents this key."""
        parsed = member_key.parse(text)
        record = await self.db.one(keys.by_key_id(key.key_id))
        assert parsed is not None
        assert record is not None
        return Caller(
            agent=record.agent,
            member=record.member,
            key_id=parsed.key_id,
            key_row=record.key.id,
            secret=parsed.secret,
            ip="127.0.0.1",
            user_agent="test",
        )

    async def held(self, agent: str = "demo", member: str = "bob") -> Connection | None:
        """The member's only connection, ciphertexts included."""
        owner = await self.agents.get(agent)
        who = await self.members.get(agent, member)
        rows = await self.db.all(connections.of_member_with_service(owner.id, who.id))
        return rows[0][0] if rows else None

    async def rows(self) -> Sequence[AuditRow]:
        """The whole audit."""
        return await self.db.all(audit.rows_from(1))

    async def kinds(self, since: int = 0) -> list[str]:
        """Kinds of the audit rows behind the first `since`."""
        return [row.kind for row in await self.rows()][since:]

    async def recorded(self) -> int:
        """How many audit rows there are."""
        return len(await self.rows())

    def catalogue(self) -> Catalogue:
        """The connector files as they are now."""
        parsed = [
            parse_connector(text.encode(), f"/etc/wicket/connectors.d/{key}.toml")
            for key, text in self.connectors.items()
        ]
        return Catalogue({one.key: one for one in parsed})

    def file_bytes(self) -> bytes:
        """Everything that the database has on disk."""
        return b"".join(path.read_bytes() for path in sorted(self.directory.glob("wicket.db*")))


@asynccontextmanager
async def open_state(
    directory: Path,
    *,
    settings: SetRules | None = None,
    pending_hours: int = 24,
    read_s: float = READ_S,
    limits: Limits | None = None,
) -> AsyncIterator[State]:
    """A fresh state in `directory`, closed with the block. `read_s`: of authorization servers."""
    http = OAuthHttp(GuardedClient(), loopback_http=True, read_s=read_s)
    clock, random = FakeClock(), CountedRandom()
    db = await SqliteDatabase.open(directory / "wicket.db", clock, limits)
    stack = BigStack()
    try:
        ring = keyring.parse(keyring.generate("2026-11-24T00:00:00Z", random)).bind(INSTALL_ID)
        state = _assembled(directory, clock, random, db, ring, stack, http, settings, pending_hours)
        try:
            yield state
        finally:
            for task in list(state.tasks.running):
                task.cancel()
            await http.close()
    finally:
        stack.close()
        await db.close()


def _assembled(
    directory: Path,
    clock: FakeClock,
    random: CountedRandom,
    db: SqliteDatabase,
    ring: Keyring,
    stack: BigStack,
    http: OAuthHttp,
    settings: SetRules | None,
    pending_hours: int,
) -> State:
    texts = {"notes": NOTES, "open": OPEN}

    def load() -> Catalogue:
        return state.catalogue() if state is not None else _first(texts)

    state: State | None = None
    files = ConnectorFiles(load)
    sealer = Sealer(ring, INSTALL_ID, random)
    box = TokenBox(sealer, pending_hours)
    tasks = Tasks()
    ends = SignInSettings(PUBLIC_URL, loopback=True)
    sign_ins = SignIns(SignInEnds(http, box, sealer, clock, files, tasks, ends))
    ids, neighbours, upstreams = CountedIds(clock), Neighbours(), ScriptedUpstreams()
    snapshots = Snapshots(db, files, lambda agent: sets.load(agent))  # noqa: PLW0108  # bound later
    journal = Journal(AuditTable(), clock, ids)
    desk = replace(
        Desk.alone(db, journal, clock, ids),
        callers=neighbours,
        calls=neighbours,
        snapshots=snapshots,
        sessions=neighbours,
        wal=Wal(db, clock),
        revocation=sign_ins.revoker,
    )
    flows = sign_ins.flows(desk, random)
    tools = PolicyTools(InProcessChecker(stack), stack, RevisionSeal(ring))
    sets = PolicySets(desk, tools, files, settings)
    issuers = Issuers(http, db, sealer, loopback=True)
    flights = RefreshTools(desk, box, sealer, http, issuers, db.is_writable)
    refreshing = Refreshing(flights, tasks)
    connected = Connections(desk, box, files, refreshing)
    state = State(
        directory=directory,
        clock=clock,
        db=db,
        keyring=ring,
        sealer=sealer,
        box=box,
        files=files,
        connectors=texts,
        upstreams=upstreams,
        neighbours=neighbours,
        desk=desk,
        sets=sets,
        snapshots=snapshots,
        agents=Agents(desk, sets),
        members=Members(desk, sets),
        keys=Keys(
            desk,
            KeyMint(ring, sealer, random),
            Resealer(box, flows.deposits),
            RecentFactor(clock),
            connected.unlocker.refresh_at_seal,
        ),
        connections=connected,
        refreshing=refreshing,
        http=http,
        tasks=tasks,
        services=Services(
            desk, sets, files, upstreams, connected, ServiceSettings(public_url=PUBLIC_URL)
        ),
        policies=Policies(desk, sets),
        flows=flows,
    )
    return state


def _first(texts: dict[str, str]) -> Catalogue:
    parsed = [parse_connector(text.encode(), "test") for text in texts.values()]
    return Catalogue({one.key: one for one in parsed})


def tool(name: str, annotations: JsonObject | None = None, **fields: str) -> JsonObject:
    """A tool definition as a server sends it, with one text argument."""
    definition: JsonObject = {
        "name": name,
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    }
    if annotations is not None:
        definition["annotations"] = annotations
    return {**definition, **fields}


def moved(text: str, old: str = "notes.example.test", new: str = "other.example.test") -> str:
    """A connector file edited to another host."""
    assert old in text
    return text.replace(old, new)

"""The composition root: configuration and keys in, three ASGI apps and their background work out.

The only module that knows every room; it decides nothing. `system.py`'s clock, ids and randomness
come in from outside, so that tests compose the same daemon under a clock of their own.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wicketd import __version__
from wicketd.admin.app import AdminApp
from wicketd.admin.handlers import HANDLERS
from wicketd.admin.peer import Admission
from wicketd.admin.usecases import UseCases
from wicketd.audit import checkpoint
from wicketd.audit.export import Csv, Jsonl
from wicketd.audit.journal import Journal
from wicketd.config import Config
from wicketd.connectors import catalogue
from wicketd.domain.calls import FrontRequest, Reply
from wicketd.domain.health import Settings
from wicketd.domain.ids import AgentId
from wicketd.domain.ports import Clock, Front, Ids, Random, Spawn
from wicketd.entrance import entrance, settings_of
from wicketd.oauth.refresh import Reached
from wicketd.policy.child import PolicyChild, replay_child
from wicketd.policy.selftest import self_test
from wicketd.policy.stack import BigStack
from wicketd.portal.admission import PortalRules
from wicketd.providers import refreshing, sign_ins_of, upstreams_of
from wicketd.proxy.calls import handle_call
from wicketd.proxy.errors import RequestErrors
from wicketd.proxy.front import Desk as FrontDesk
from wicketd.proxy.gate import Gate
from wicketd.proxy.hub import Hub
from wicketd.proxy.live_calls import LiveCalls
from wicketd.proxy.member_lists import MemberLists, UpstreamTools
from wicketd.proxy.ports import Ports
from wicketd.proxy.presence import Presences
from wicketd.proxy.responder import Surroundings
from wicketd.proxy.session_table import SessionTable
from wicketd.proxy.transport import McpApp, Rules
from wicketd.reception import Counters, connect_page, portal
from wicketd.services.agents import Agents
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.callers import Callers, Limits
from wicketd.services.calls import Calls
from wicketd.services.clock_guard import ClockGuard
from wicketd.services.connection_rows import ConnectionRows
from wicketd.services.connections import Connections
from wicketd.services.connector_files import ConnectorFiles
from wicketd.services.connectors import Services
from wicketd.services.desk import Desk
from wicketd.services.enabling import ServiceSettings
from wicketd.services.entries import Recorder, Recording
from wicketd.services.events import Events, Topic
from wicketd.services.installation import Installation, Keys
from wicketd.services.keyring import KeyringStatus
from wicketd.services.keys import KeyMint
from wicketd.services.keys import Keys as MemberKeys
from wicketd.services.listing import Listings, Reach
from wicketd.services.members import Members
from wicketd.services.metrics import Metrics
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.own import Own
from wicketd.services.policies import Policies
from wicketd.services.policy_sets import PolicySets, PolicyTools, SetRules
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.refreshing import nowhere
from wicketd.services.rehearsals import Rehearsals
from wicketd.services.replay import Replays
from wicketd.services.resealing import Resealer
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.rewrapping import Rewrapper
from wicketd.services.sessions import ToolSessions
from wicketd.services.simulate import Simulations
from wicketd.services.snapshots import Snapshots
from wicketd.services.status import Status, StatusSources
from wicketd.services.tokens import TokenBox
from wicketd.services.verifier_moves import VerifierMoves
from wicketd.services.wal import Wal
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import SqliteDatabase
from wicketd.upkeep import Kept, Sweep, Upkeep, called
from wicketd.vault.keyring import KeyringFile
from wicketd.vault.sealing import Sealer

_CHECKPOINTS: Final = logging.getLogger("wicketd.checkpoint")


@dataclass(frozen=True, slots=True)
class System:
    """What the operating system gives, and tests replace."""

    clock: Clock
    ids: Ids
    random: Random
    spawn: Spawn
    daemon_uid: int
    reached: Reached = nowhere
    """Told the steps of refreshes; tests end the process there."""
    may_spawn: bool = True
    """Commands of connector files may run with the daemon's own rights."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The composed daemon. `start` before listening, `stop` after the last answer."""

    mcp: McpApp
    admin: AdminApp
    admin_read_only: AdminApp
    db: SqliteDatabase
    start: Callable[[], Coroutine[Any, Any, None]]
    settle: Callable[[], Coroutine[Any, Any, None]]
    """Waits for what nobody may cancel; after the last answer, before the tasks end."""
    stop: Callable[[], Coroutine[Any, Any, None]]
    reload: Callable[[KeyringFile], Coroutine[Any, Any, str]]
    """Takes a changed keyring in and gives its active kid; see `Installation.reload`."""


@dataclass(slots=True)
class _Rooms:
    """Parts that later steps of the composition need."""

    kept: Kept
    files: ConnectorFiles
    sets: PolicySets
    sealer: Sealer
    presences: Presences
    legacy: SessionTable
    wal: Wal
    box: TokenBox
    flows: OAuthFlows
    moves: VerifierMoves


async def compose(
    config: Config, settings: Settings, rules: Rules, keys: Keys, system: System
) -> Daemon:
    """Opens the database, checks the keys against it and wires everything.

    Raises:
        Fatal: keyring, schema, storage or lock refuse the start.
        ConfigInvalid: a connector file is refused.
    """
    self_test()
    db = await SqliteDatabase.open(config.state / "wicket.db", system.clock)
    try:
        return await _compose(config, settings, rules, keys, system, db)
    except BaseException:
        await db.close()
        raise


async def _compose(  # the whole of what a daemon is made of
    config: Config,
    settings: Settings,
    rules: Rules,
    keys: Keys,
    system: System,
    db: SqliteDatabase,
) -> Daemon:
    home = await Installation.open(db, keys, system.random)
    rooms = _rooms(config, home, system, db)
    audit = _audit_log(rooms.kept.desk, home)
    services = Services(
        rooms.kept.desk, rooms.sets, rooms.files, rooms.kept.upstreams, rooms.kept.connections,
        ServiceSettings(config.mcp.tool_name_max, config.url),
    )  # fmt: skip
    lists = _lists(config, system, rooms, services)
    recording = Recording(config.audit.arguments, config.audit.arguments_days)
    is_strict = config.policy.unnamed_arguments == "strict"
    calls = Calls(
        rooms.kept.desk,
        rooms.kept.snapshots,
        rooms.kept.sessions,
        Recorder(rooms.sealer, system.random, recording),
        strict_arguments=is_strict,
    )
    ring = KeyringStatus(db, home.keyring, system.clock)
    sources = StatusSources(rooms.kept.snapshots, rooms.wal, ring, Metrics(), settings)
    status = Status(db, system.clock, sources)
    front, hub = _front(config, system, rooms, lists)
    ports = _ports(config, system, rooms, calls, lists)

    async def handle(request: FrontRequest, visitor: Front) -> Reply:
        return await handle_call(request, ports, front, visitor)

    enter = entrance(
        rooms.kept.desk,
        rooms.sealer,
        system.random,
        system.spawn,
        settings_of(config, system.clock, system.ids),
    )
    members = Members(rooms.kept.desk, rooms.sets)
    recent = RecentFactor(system.clock, config.portal.require_mfa)
    keys_of_members = MemberKeys(
        rooms.kept.desk,
        KeyMint(home.keyring, rooms.sealer, system.random),
        Resealer(rooms.box, rooms.flows.deposits),
        recent,
        rooms.kept.connections.unlocker.refresh_at_seal,
    )
    own = Own(db, rooms.kept.sessions, rooms.files)
    mcp = McpApp(
        handle,
        rules,
        lambda: "degraded" if status.is_degraded else "ok",
        around=Surroundings(rooms.presences, system.clock, system.spawn),
        rest=portal(
            rooms.kept.desk,
            enter,
            Counters(keys_of_members, recent, rooms.kept.connections, members, rooms.flows, own),
            PortalRules(rules.hosts, config.url, rules.trusted),
            rooms.sealer,
            system.random,
        ),
    )
    rehearsals = Rehearsals(
        rooms.kept.desk, rooms.sets, rooms.kept.child, rooms.sealer, strict=is_strict
    )
    uses = UseCases(
        agents=Agents(rooms.kept.desk, rooms.sets),
        members=members,
        invites=enter.invites,
        accounts=enter.accounts,
        keys=keys_of_members,
        services=services,
        connections=rooms.kept.connections,
        apps=rooms.flows.apps,
        flows=rooms.flows,
        policies=Policies(rooms.kept.desk, rooms.sets),
        simulations=Simulations(rooms.kept.desk, rehearsals, audit),
        replays=Replays(rooms.kept.desk, rehearsals, system.spawn, replay_child),
        sessions=rooms.kept.sessions,
        audit=audit,
        events=rooms.kept.desk.events,
        status=status,
        clock=system.clock,
    )
    admission = Admission(system.daemon_uid, config.admin.write_group, config.admin.read_group)
    sweeps = (
        Sweep("probe", 5, db.probe),
        Sweep("key usage", 1, lambda: home.top_up(db)),
        Sweep("tool sessions", 60, rooms.kept.sessions.sweep),
        Sweep("legacy sessions", 60, called(rooms.legacy.sweep)),
        Sweep("verifiers", 1, rooms.moves.flush),
        Sweep("re-wrap", 0.1, Rewrapper(rooms.kept.desk, home.keyring, rooms.sealer).step),
        Sweep("refusals", 60, rooms.kept.callers.flush_refusals),
        Sweep("clock", 60, rooms.kept.desk.guard.advance),
        Sweep("entrance", 60, enter.sweep),
        Sweep("sign-ins", 60, rooms.flows.sweep),
        Sweep("pending connections", 300, rooms.kept.connections.expire_pending),
        Sweep("write-ahead log", 5, rooms.wal.retry),
        Sweep("kept tokens", 5, rooms.kept.refreshing.write_kept),
        Sweep("checkpoint", 5, audit.sign_if_due),
        Sweep("idle servers", 5, called(rooms.kept.upstreams.sweep)),
        Sweep("audit events", 0.25, audit.announce),
    )
    life = Upkeep(rooms.kept, calls.intents, audit, sweeps, system.spawn, hub.changed)
    return Daemon(
        mcp=mcp,
        admin=AdminApp(uses, admission, HANDLERS, clock=system.clock, version=__version__),
        admin_read_only=AdminApp(
            uses, admission, HANDLERS, clock=system.clock, version=__version__, read_only=True
        ),
        db=db,
        start=life.start,
        settle=life.settle,
        stop=life.stop,
        reload=lambda file: home.reload(db, file),
    )


def _rooms(config: Config, home: Installation, system: System, db: SqliteDatabase) -> _Rooms:
    clock, ids = system.clock, system.ids
    journal = Journal(AuditTable(), clock, ids)
    sealer = Sealer(home.keyring, home.install_id, system.random, home.usage)
    stack, child = BigStack(), PolicyChild()
    files = ConnectorFiles(
        lambda: catalogue.load(bundled=True, directory=Path(config.services.connectors_dir))
    )
    presences, legacy = Presences(), SessionTable(clock, system.random)
    upstreams = upstreams_of(config, db, clock, system.spawn, may_spawn=system.may_spawn)
    rate = config.rate
    limits = Limits(rate.burst, rate.per_second, rate.wait_s, rate.in_flight)
    callers = Callers(
        db, journal, home.keyring, clock, limits,
        lambda key, secret: moves.used(key, secret),  # noqa: PLW0108  # bound below
    )  # fmt: skip
    sessions = ToolSessions(
        db, journal, clock, ids, lambda data: sealer.digests("tool-session", data).values()
    )
    snapshots = Snapshots(db, files, lambda agent: sets.load(agent))  # noqa: PLW0108  # bound below
    wal = Wal(db, clock)
    box = TokenBox(sealer, config.portal.pending_hours)
    sign_ins = sign_ins_of(config, sealer, box, clock, files, system.spawn)
    desk = Desk(
        db=db,
        journal=journal,
        clock=clock,
        ids=ids,
        events=Events(clock),
        rows=ConnectionRows(db, clock),
        guard=ClockGuard(db, journal, clock),
        callers=callers,
        calls=LiveCalls(presences, legacy, upstreams),
        snapshots=snapshots,
        sessions=sessions,
        wal=wal,
        revocation=sign_ins.revoker,
    )
    moves = VerifierMoves(db, home.keyring, sealer, desk.events, callers.forget_key)
    sets = PolicySets(
        desk,
        PolicyTools(child, stack, RevisionSeal(home.keyring)),
        files,
        SetRules(config.mcp.status_tool, config.services.drift == "hold"),
    )
    renewing = refreshing(desk, db, sign_ins, system.spawn, system.reached)
    kept = Kept(
        db=db,
        desk=desk,
        snapshots=snapshots,
        connections=Connections(desk, box, files, renewing),
        refreshing=renewing,
        http=sign_ins.http,
        sessions=sessions,
        callers=callers,
        upstreams=upstreams,
        child=child,
        stack=stack,
    )
    flows = sign_ins.flows(desk, system.random)
    return _Rooms(kept, files, sets, sealer, presences, legacy, wal, box, flows, moves)


def _audit_log(desk: Desk, home: Installation) -> AuditLog:
    def sign(epoch: int, size: int, root: bytes) -> str:
        return checkpoint.sign(home.audit_key, home.install_id, epoch, size, root)

    notary = Notary(sign, lambda note: _CHECKPOINTS.info("%s", note))
    return AuditLog(desk, notary, {"jsonl": Jsonl(), "csv": Csv()})


def _lists(config: Config, system: System, rooms: _Rooms, services: Services) -> MemberLists:
    def late(agent_id: AgentId, service: str) -> None:
        rooms.kept.desk.events.publish(Topic.SERVICES, {"listed": service}, agent_id)

    reach = Reach(
        source=UpstreamTools(rooms.kept.upstreams),
        unlocker=rooms.kept.connections.unlocker,
        observe=services.observe,
        late=late,
    )
    listings = Listings(rooms.kept.snapshots, reach, system.clock, system.spawn)
    return MemberLists(listings, connect_page(config.url), name_max=config.mcp.tool_name_max)


def _front(
    config: Config, system: System, rooms: _Rooms, lists: MemberLists
) -> tuple[FrontDesk, Hub]:
    hub = Hub(
        lists.digest,
        timers=asyncio.get_running_loop(),
        spawn=system.spawn,
        clock=system.clock,
        random=system.random,
    )
    front = FrontDesk(
        lists,
        sessions=rooms.legacy,
        hub=hub,
        presences=rooms.presences,
        request_errors=RequestErrors(config.mcp.request_errors),
    )
    return front, hub


def _ports(
    config: Config, system: System, rooms: _Rooms, calls: Calls, lists: MemberLists
) -> Ports:
    return Ports(
        callers=rooms.kept.callers,
        gate=Gate(calls),
        snapshots=rooms.kept.snapshots,
        connections=rooms.kept.connections,
        upstreams=rooms.kept.upstreams,
        lists=lists,
        clock=system.clock,
        ids=system.ids,
        portal=connect_page(config.url),
        sealer=rooms.sealer,
    )

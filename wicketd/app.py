"""The composition root: configuration and keys in, three ASGI apps and their background work out.

The only module that knows every room; it decides nothing. `system.py`'s clock, ids and randomness
come in from outside, so that tests compose the same daemon under a clock of their own.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from wicketd import __version__
from wicketd.admin.app import AdminApp
from wicketd.admin.handlers import HANDLERS
from wicketd.admin.peer import Admission
from wicketd.admin.usecases import UseCases
from wicketd.audit.export import Csv, Jsonl
from wicketd.config import Config
from wicketd.domain.calls import FrontRequest, Reply
from wicketd.domain.health import Settings
from wicketd.domain.ids import AgentId
from wicketd.domain.ports import Front
from wicketd.entrance import Entrance, entrance, settings_of
from wicketd.foundation import Foundation, System, founded
from wicketd.policy.child import replay_child
from wicketd.policy.selftest import self_test
from wicketd.portal.admission import PortalRules
from wicketd.proxy.calls import handle_call
from wicketd.proxy.errors import RequestErrors
from wicketd.proxy.front import Desk as FrontDesk
from wicketd.proxy.gate import Gate
from wicketd.proxy.held import HeldCalls
from wicketd.proxy.hub import Hub
from wicketd.proxy.listening import Listening
from wicketd.proxy.member_lists import MemberLists, UpstreamTools
from wicketd.proxy.news import News, Sources
from wicketd.proxy.ports import Ports
from wicketd.proxy.responder import Handle, Surroundings
from wicketd.proxy.transport import McpApp, Rules
from wicketd.reception import Counters, connect_page, portal
from wicketd.services.agents import Agents
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.calls import Calls
from wicketd.services.connectors import Services
from wicketd.services.enabling import ServiceSettings
from wicketd.services.entries import Recorder, Recording
from wicketd.services.events import Topic
from wicketd.services.installation import Installation, Keys
from wicketd.services.intents import Intents
from wicketd.services.keyring import KeyringStatus
from wicketd.services.keys import KeyMint
from wicketd.services.keys import Keys as MemberKeys
from wicketd.services.listing import Listings, Reach
from wicketd.services.members import Members
from wicketd.services.offboarding import Offboarding
from wicketd.services.own import Own
from wicketd.services.policies import Policies
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.rehearsals import Rehearsals
from wicketd.services.removal import Removal
from wicketd.services.replay import Replays
from wicketd.services.replay_pages import Pace
from wicketd.services.resealing import Resealer
from wicketd.services.reveals import Reveals
from wicketd.services.rewrapping import Rewrapper
from wicketd.services.simulate import Simulations
from wicketd.services.status import Status, StatusSources
from wicketd.storage.db import SqliteDatabase
from wicketd.upkeep import Sweep, Upkeep, called
from wicketd.vault.keyring import KeyringFile

_CHECKPOINTS: Final = logging.getLogger("wicketd.checkpoint")


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


@dataclass(frozen=True, slots=True)
class _People:
    """Who signs in and holds keys: the same use cases behind portal and admin socket."""

    enter: Entrance
    members: Members
    keys: MemberKeys
    recent: RecentFactor


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
        home = await Installation.open(db, keys, system.random)
        return _compose(founded(config, home, system, db), settings, rules)
    except BaseException:
        await db.close()
        raise


def _compose(base: Foundation, settings: Settings, rules: Rules) -> Daemon:
    audit = _audit_log(base)
    services = _services(base)
    listings = _listings(base, services)
    lists = _lists(base, listings)
    calls = _calls(base)
    status = _status(base, settings, listings, calls)
    people = _people(base)
    gate = Gate(calls)
    news = _news(base, lists, listings, gate)
    handle = _bound(_ports(base, gate, lists), _front(base, lists, news))
    uses = _uses(base, people, services, audit, status, calls.intents)
    life = Upkeep(
        base.kept,
        calls.intents,
        audit,
        _sweeps(base, people.enter, audit),
        base.system.spawn,
        news,
    )
    return Daemon(
        mcp=_mcp(base, rules, people, status, handle),
        admin=_admin(base, uses, read_only=False),
        admin_read_only=_admin(base, uses, read_only=True),
        db=base.kept.db,
        start=life.start,
        settle=life.settle,
        stop=life.stop,
        reload=lambda file: base.home.reload(base.kept.db, file),
    )


def _services(base: Foundation) -> Services:
    config, kept = base.config, base.kept
    return Services(
        kept.desk,
        base.sets,
        base.files,
        kept.upstreams,
        kept.connections,
        ServiceSettings(config.mcp.tool_name_max, config.url),
    )


def _calls(base: Foundation) -> Calls:
    config, kept = base.config, base.kept
    recording = Recording(config.audit.arguments, config.audit.arguments_days)
    return Calls(
        kept.desk,
        kept.snapshots,
        kept.sessions,
        Recorder(base.sealer, base.system.random, recording),
        strict_arguments=_is_strict(config),
    )


def _status(base: Foundation, settings: Settings, listings: Listings, calls: Calls) -> Status:
    kept, clock = base.kept, base.system.clock
    sources = StatusSources(
        snapshots=kept.snapshots,
        wal=base.wal,
        keyring=KeyringStatus(kept.db, base.home.keyring, clock),
        metrics=calls.metrics,
        settings=settings,
        faults=listings.faults,
        servers=kept.upstreams.servers,
    )
    return Status(kept.db, clock, sources)


def _admin(base: Foundation, uses: UseCases, *, read_only: bool) -> AdminApp:
    """One of the two doors for administrators."""
    system, groups = base.system, base.config.admin
    return AdminApp(
        uses,
        Admission(system.daemon_uid, groups.write_group, groups.read_group),
        HANDLERS,
        clock=system.clock,
        version=__version__,
        read_only=read_only,
    )


def _people(base: Foundation) -> _People:
    desk = base.kept.desk
    recent = RecentFactor(base.system.clock, base.config.portal.require_mfa)
    return _People(
        enter=entrance(
            desk,
            base.sealer,
            base.system.random,
            base.system.spawn,
            settings_of(base.config, base.system.clock, base.system.ids),
        ),
        members=Members(desk, base.sets),
        keys=MemberKeys(
            desk,
            KeyMint(base.home.keyring, base.sealer, base.system.random),
            Resealer(base.box, base.flows.deposits),
            recent,
            base.kept.connections.unlocker.refresh_at_seal,
        ),
        recent=recent,
    )


def _bound(ports: Ports, front: FrontDesk) -> Handle:
    async def handle(request: FrontRequest, visitor: Front) -> Reply:
        return await handle_call(request, ports, front, visitor)

    return handle


def _mcp(
    base: Foundation,
    rules: Rules,
    people: _People,
    status: Status,
    handle: Handle,
) -> McpApp:
    """The public door: MCP, and the portal on the paths that are left."""
    own = Own(base.kept.db, base.kept.sessions, base.files)
    counters = Counters(
        people.keys, people.recent, base.kept.connections, people.members, base.flows, own
    )
    return McpApp(
        handle,
        rules,
        lambda: "degraded" if status.is_degraded else "ok",
        around=Surroundings(
            base.presences,
            base.system.clock,
            base.system.spawn,
            input_timeout_s=base.config.mcp.input_timeout_s,
        ),
        rest=portal(
            base.kept.desk,
            people.enter,
            counters,
            PortalRules(rules.hosts, base.config.url, rules.trusted),
            base.sealer,
            base.system.random,
        ),
    )


def _is_strict(config: Config) -> bool:
    """Whether a call is refused for an argument that Cedar cannot hold, named or not."""
    return config.policy.unnamed_arguments == "strict"


def _uses(
    base: Foundation,
    people: _People,
    services: Services,
    audit: AuditLog,
    status: Status,
    intents: Intents,
) -> UseCases:
    """What the admin socket offers."""
    desk = base.kept.desk
    is_strict = _is_strict(base.config)
    rehearsals = Rehearsals(desk, base.sets, base.kept.child, base.sealer, strict=is_strict)
    return UseCases(
        agents=Agents(desk, base.sets),
        members=people.members,
        invites=people.enter.invites,
        accounts=people.enter.accounts,
        offboarding=Offboarding(desk, people.enter.links, Removal(desk, base.sets)),
        keys=people.keys,
        services=services,
        connections=base.kept.connections,
        apps=base.flows.apps,
        flows=base.flows,
        policies=Policies(desk, base.sets),
        simulations=Simulations(desk, rehearsals, audit),
        replays=Replays(desk, rehearsals, base.system.spawn, replay_child, lambda: Pace(intents)),
        sessions=base.kept.sessions,
        audit=audit,
        reveals=Reveals(desk, audit, rehearsals),
        events=desk.events,
        status=status,
        clock=base.system.clock,
    )


def _sweeps(base: Foundation, enter: Entrance, audit: AuditLog) -> tuple[Sweep, ...]:
    """What is repeated, and how often in seconds."""
    kept, home, db = base.kept, base.home, base.kept.db
    return (
        Sweep("probe", 5, db.probe),
        Sweep("key usage", 1, lambda: home.top_up(db)),
        Sweep("tool sessions", 60, kept.sessions.sweep),
        Sweep("legacy sessions", 60, called(base.legacy.sweep)),
        Sweep("verifiers", 1, base.moves.flush),
        Sweep("re-wrap", 0.1, Rewrapper(kept.desk, home.keyring, base.sealer).step),
        Sweep("refusals", 60, kept.callers.flush_refusals),
        Sweep("clock", 60, kept.desk.guard.advance),
        Sweep("entrance", 60, enter.sweep),
        Sweep("sign-ins", 60, base.flows.sweep),
        Sweep("pending connections", 300, kept.connections.expire_pending),
        Sweep("write-ahead log", 5, base.wal.retry),
        Sweep("kept tokens", 5, kept.refreshing.write_kept),
        Sweep("checkpoint", 5, audit.sign_if_due),
        Sweep("idle servers", 5, called(kept.upstreams.sweep)),
        Sweep("audit events", 0.25, audit.announce),
        Sweep("recorded arguments", 2, audit.erase_arguments),
    )


def _audit_log(base: Foundation) -> AuditLog:
    home = base.home

    notary = Notary(home.signed_checkpoint, lambda note: _CHECKPOINTS.info("%s", note))
    return AuditLog(base.kept.desk, notary, {"jsonl": Jsonl(), "csv": Csv()})


def _listings(base: Foundation, services: Services) -> Listings:
    def late(agent_id: AgentId, service: str) -> None:
        base.kept.desk.events.publish(Topic.SERVICES, {"listed": service}, agent_id)

    reach = Reach(
        source=UpstreamTools(base.kept.upstreams),
        unlocker=base.kept.connections.unlocker,
        observe=services.observe,
        late=late,
    )
    return Listings(base.kept.snapshots, reach, base.system.clock, base.system.spawn)


def _lists(base: Foundation, listings: Listings) -> MemberLists:
    config = base.config
    return MemberLists(listings, connect_page(config.url), name_max=config.mcp.tool_name_max)


def _front(base: Foundation, lists: MemberLists, news: News) -> FrontDesk:
    return FrontDesk(
        lists,
        sessions=base.legacy,
        listening=Listening(base.presences, news.hub, news.subscriptions, news.channels),
        request_errors=RequestErrors(base.config.mcp.request_errors),
    )


def _news(base: Foundation, lists: MemberLists, listings: Listings, gate: Gate) -> News:
    system = base.system
    hub = Hub(
        lists.digest,
        timers=asyncio.get_running_loop(),
        spawn=system.spawn,
        clock=system.clock,
        random=system.random,
    )
    kept = base.kept
    unlocker = kept.connections.unlocker
    sources = Sources(kept.upstreams, unlocker, listings, kept.snapshots, hub)
    return News(sources, gate.decide, spawn=system.spawn, clock=system.clock, random=system.random)


def _ports(base: Foundation, gate: Gate, lists: MemberLists) -> Ports:
    return Ports(
        callers=base.kept.callers,
        gate=gate,
        snapshots=base.kept.snapshots,
        connections=base.kept.connections,
        upstreams=base.kept.upstreams,
        lists=lists,
        clock=base.system.clock,
        ids=base.system.ids,
        portal=connect_page(base.config.url),
        sealer=base.sealer,
        held=HeldCalls(
            base.presences,
            base.system.spawn,
            base.system.random,
            timeout_s=base.config.mcp.input_timeout_s,
        ),
    )

"""Composes what every door stands on: database, vault, policy child, desk, and what they share.

A part of the composition root, below the doors of `app.py`. It decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from wicketd.audit.journal import Journal
from wicketd.config import Config
from wicketd.connectors import catalogue
from wicketd.domain.ports import Clock, Ids, Random, Spawn
from wicketd.oauth.refresh import Reached
from wicketd.policy.child import PolicyChild
from wicketd.policy.stack import BigStack
from wicketd.providers import refreshing, sign_ins_of, upstreams_of
from wicketd.proxy.live_calls import LiveCalls
from wicketd.proxy.presence import Presences
from wicketd.proxy.session_table import SessionTable
from wicketd.services.callers import Callers, Limits
from wicketd.services.connections import Connections
from wicketd.services.connector_files import ConnectorFiles
from wicketd.services.desk import Desk
from wicketd.services.installation import Installation
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.policy_sets import PolicySets, PolicyTools, SetRules
from wicketd.services.refreshing import nowhere
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.sessions import ToolSessions
from wicketd.services.snapshots import Snapshots
from wicketd.services.tokens import TokenBox
from wicketd.services.verifier_moves import VerifierMoves
from wicketd.services.wal import Wal
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import SqliteDatabase
from wicketd.upkeep import Kept
from wicketd.vault.sealing import Sealer


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
class Foundation:
    """Parts that the composition of the doors needs."""

    config: Config
    system: System
    home: Installation
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


def founded(config: Config, home: Installation, system: System, db: SqliteDatabase) -> Foundation:
    """Makes the parts; nothing runs yet. Each is handed what it needs, and knows no other."""
    clock = system.clock
    journal = Journal(AuditTable(), clock, system.ids)
    sealer = Sealer(home.keyring, home.install_id, system.random, home.usage)
    stack, child = BigStack(), PolicyChild()
    files = _files(config)
    presences, legacy = Presences(), SessionTable(clock, system.random)
    upstreams = upstreams_of(config, db, clock, system.spawn, may_spawn=system.may_spawn)
    callers = Callers(
        db, journal, home.keyring, clock, _limits(config),
        lambda key, secret: moves.used(key, secret),  # noqa: PLW0108  # bound below
    )  # fmt: skip
    sessions = _sessions(db, journal, system, sealer)
    snapshots = Snapshots(db, files, lambda agent: sets.load(agent))  # noqa: PLW0108  # bound below
    wal, box = Wal(db, clock), TokenBox(sealer, config.portal.pending_hours)
    sign_ins = sign_ins_of(config, sealer, box, clock, files, system.spawn)
    desk = replace(
        Desk.alone(db, journal, clock, system.ids),
        callers=callers,
        calls=LiveCalls(presences, legacy, upstreams),
        snapshots=snapshots,
        sessions=sessions,
        wal=wal,
        revocation=sign_ins.revoker,
    )
    moves = VerifierMoves(db, home.keyring, sealer, desk.events, callers.forget_key)
    sets = PolicySets(
        desk, PolicyTools(child, stack, RevisionSeal(home.keyring)), files, _set_rules(config)
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
    return Foundation(
        config, system, home, kept, files, sets, sealer, presences, legacy, wal, box, flows, moves
    )


def _files(config: Config) -> ConnectorFiles:
    directory = Path(config.services.connectors_dir)
    return ConnectorFiles(lambda: catalogue.load(bundled=True, directory=directory))


def _limits(config: Config) -> Limits:
    rate = config.rate
    return Limits(rate.burst, rate.per_second, rate.wait_s, rate.in_flight)


def _sessions(db: SqliteDatabase, journal: Journal, system: System, sealer: Sealer) -> ToolSessions:
    def digests(data: bytes) -> Iterable[bytes]:
        return sealer.digests("tool-session", data).values()

    return ToolSessions(db, journal, system.clock, system.ids, digests)


def _set_rules(config: Config) -> SetRules:
    return SetRules(config.mcp.status_tool, config.services.drift == "hold")

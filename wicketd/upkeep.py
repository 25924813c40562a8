"""What a composed daemon does besides answering: start, repeated work, stop.

Counterpart of `app.py`, which says what is repeated. Invariant: what a crash left open is closed
before anything new is decided, and the last checkpoint covers the last row.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from wicketd import __version__
from wicketd.domain.audit import Entry
from wicketd.domain.catalogue import ServiceState
from wicketd.domain.errors import Unhealthy, WicketError
from wicketd.domain.ids import MemberId
from wicketd.domain.ports import Spawn
from wicketd.oauth.client import OAuthHttp
from wicketd.policy.child import PolicyChild
from wicketd.policy.stack import BigStack
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.news import News
from wicketd.services.audit import AuditLog
from wicketd.services.callers import Callers
from wicketd.services.connections import Connections
from wicketd.services.desk import Desk
from wicketd.services.events import Event, Topic
from wicketd.services.intents import Intents
from wicketd.services.refreshing import Refreshing
from wicketd.services.sessions import ToolSessions
from wicketd.services.snapshots import Snapshots
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.health import Health

_LOG: Final = logging.getLogger(__name__)
REFRESHES_S: Final = 15.0
"""Behind the 20 s of running calls: a shielded refresh has 35 s in all (security spec, 5)."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Background work that is repeated: what, and how often in seconds."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What lives as long as the daemon and is started or stopped with it."""

    db: SqliteDatabase
    desk: Desk
    snapshots: Snapshots
    connections: Connections
    refreshing: Refreshing
    http: OAuthHttp
    sessions: ToolSessions
    callers: Callers
    upstreams: UpstreamClient
    child: PolicyChild
    stack: BigStack


_OFF: Final = frozenset({ServiceState.DISABLED.value, ServiceState.REMOVED.value})
_CHANGES: Final = frozenset({Topic.POLICIES, Topic.SERVICES, Topic.CONNECTIONS, Topic.MEMBERS})


class Upkeep:
    """Start, repeated work, stop; in the order that loses nothing."""

    def __init__(
        self,
        kept: Kept,
        intents: Intents,
        audit: AuditLog,
        sweeps: tuple[Sweep, ...],
        spawn: Spawn,
        news: News,
    ) -> None:
        self._spawn = spawn
        self._kept = kept
        self._intents = intents
        self._audit = audit
        self._sweeps = sweeps
        self._news = news
        self._fault: Health | None = None

    async def start(self) -> None:
        """Closes what a crash left open, compiles every agent, then starts the repeated work."""
        kept = self._kept
        kept.db.listen(self._heard)
        await kept.child.start()
        await self._intents.close_left()
        await kept.sessions.load()
        await kept.refreshing.flag_doubts()
        await kept.connections.follow_destinations()
        await kept.connections.expire_pending()
        await kept.snapshots.start()
        await self._record("system.started")
        for sweep in self._sweeps:
            self._spawn(_repeat(sweep), name=sweep.name)
        self._spawn(self._announce(), name="list changes")

    async def settle(self) -> None:
        """Gives refreshes and processes their time: a lost answer costs the member a connection."""
        await asyncio.gather(
            self._kept.refreshing.settle(REFRESHES_S), self._kept.upstreams.settle()
        )

    async def stop(self) -> None:
        """The last rows, a last checkpoint, then every connection and process."""
        await self._kept.refreshing.write_kept()
        with suppress(WicketError):
            await self._kept.callers.flush_refusals()
            await self._record("system.stopped")
            await self._audit.checkpoint()
        await self._kept.upstreams.close()
        await self._kept.http.close()
        await self._kept.child.stop()
        self._kept.stack.close()
        await self._kept.db.close()

    def _heard(self, health: Health) -> None:
        """Degraded is told when the log can be written again: until then nothing can."""
        if health.degraded:
            self._fault = health
            _LOG.error("degraded: %s. No calls are let through.", health.reason)
        elif self._fault is not None:
            _LOG.warning("the log can be written again")
            self._spawn(self._recovered(self._fault), name="recovery")

    async def _recovered(self, fault: Health) -> None:
        with suppress(Unhealthy):  # unwritable again: the next recovery tells of it
            await self._intents.recovered(fault.reason or "", fault.since_ms)

    async def _record(self, kind: str) -> None:
        entry = Entry(kind=kind, fields={"version": __version__})
        await self._kept.desk.db.write(lambda tx: self._kept.desk.journal.append(tx, entry))

    async def _announce(self) -> None:
        """Tells open streams when what their member sees may have changed."""
        changes = self._kept.desk.events.subscribe(_CHANGES)
        while True:
            batch = await changes.next(60.0)
            for event in batch.events if batch is not None else ():
                self._end_old(event)
                self._news.changed(event.agent_id)

    def _end_old(self, event: Event) -> None:
        """Processes and channels hold their credential: they end with the connection.

        Processes end with their service too; channels follow the services by themselves.
        """
        upstreams, data = self._kept.upstreams, event.data
        if event.topic is Topic.CONNECTIONS:
            member = data.get("member")
            member_id = MemberId(member) if isinstance(member, str) else None
            upstreams.forget_credentials(event.agent_id, member_id)
            if event.agent_id is not None and member_id is not None:
                self._news.channels.reconnected(event.agent_id, member_id)
        elif event.topic is Topic.SERVICES and data.get("state") in _OFF:
            upstreams.forget(event.agent_id, service=str(data.get("service")))


async def _repeat(sweep: Sweep) -> None:
    while True:
        await asyncio.sleep(sweep.every_s)
        try:
            await sweep.work()
        except WicketError as error:
            _LOG.warning("%s: %s", sweep.name, error.message)
        except Exception:  # noqa: BLE001  # a bug in one round must not end the rounds to come
            _LOG.exception("%s failed", sweep.name)


def called(work: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """A plain function as a sweep's work."""

    async def call() -> object:
        return work()

    return call

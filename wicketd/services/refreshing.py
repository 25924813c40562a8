"""Refreshes connections inside calls: one flight a connection, whose result all waiters share.

Counterparts: `oauth.refresh`, the order of the steps; `refresh_flight`, the steps. A flight
outlives the call that began it: a client that leaves must not lose an answer that replaces a
refresh token. Source: security spec, section 5.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.actor import SYSTEM
from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, Unhealthy
from wicketd.domain.ids import ConnectionId
from wicketd.domain.ports import Spawn
from wicketd.oauth.refresh import Fault, Reached, refresh
from wicketd.services.back_off import BackOff
from wicketd.services.breaking import current
from wicketd.services.desk import Unit
from wicketd.services.refresh_flight import Flight, Grant, Ground, Keyed, Wanted, doubt
from wicketd.services.refresh_tools import RefreshTools
from wicketd.services.transitions import Held
from wicketd.services.unwritten import Unwritten
from wicketd.storage import connections, refresh_intents

AT_SEAL_S: Final = 10.0
DUE: Final = Wanted()


def nowhere(_step: str) -> None:
    """The failpoint of a daemon in service."""


class Refreshing:
    """All flights of this process."""

    def __init__(self, tools: RefreshTools, spawn: Spawn, reached: Reached = nowhere) -> None:
        self._ground = Ground(tools, BackOff(tools.desk.clock), Unwritten(spawn))
        self._desk = tools.desk
        self._spawn = spawn
        self._reached = reached
        self._flights: dict[ConnectionId, asyncio.Future[Grant | Fault]] = {}

    async def fresh(
        self, keyed: Keyed, held: Held, connector: Connector, wanted: Wanted = DUE
    ) -> Grant | Fault:
        """A grant whose access token may be used. Cancelling the caller leaves the flight alone."""
        connection_id = held.connection.id
        while True:
            flight = self._flights.get(connection_id)
            is_own = flight is None
            if flight is None:
                flight = self._start(Flight(self._ground, keyed, held, connector, wanted), held)
            outcome = await asyncio.shield(flight)
            if is_own or isinstance(outcome, Fault):
                return outcome
            if wanted.is_met(outcome, self._desk.clock.now_ms()):
                return outcome

    def is_behind(self, connection_id: ConnectionId) -> bool:
        """Whether newer tokens of the connection wait for the disk: the stored ones are dead."""
        return self._ground.unwritten.holds(connection_id)

    async def at_seal(
        self, keyed: Keyed, catalogue: Callable[[], Catalogue], within_s: float = AT_SEAL_S
    ) -> None:
        """Replaces what lay in the pending window, right after it was sealed to a first key.

        What takes longer goes on by itself or is left to the next call. Does not raise.
        """
        query = connections.of_member_with_service(keyed.agent_id, keyed.member_id)
        files = catalogue()
        with suppress(TimeoutError, Unhealthy):
            async with asyncio.timeout(within_s):
                flights = [
                    self.fresh(keyed, Held(row, service), connector)
                    for row, service in await self._desk.db.all(query)
                    if row.state is ConnectionState.SEALED
                    and row.refresh_due
                    and (connector := files.get(service)) is not None
                ]
                await asyncio.gather(*flights)

    async def flag_doubts(self) -> int:
        """At start: marks rows whose refresh a crash left without an answer. Gives how many."""
        rows = await self._desk.db.all(refresh_intents.in_doubt())

        def work(unit: Unit) -> int:
            found = [(current(unit, row), service) for row, service in rows]
            return sum(doubt(unit, Held(row, service)) for row, service in found if row is not None)

        return await self._desk.change(SYSTEM, work) if rows else 0

    async def write_kept(self) -> None:
        """With each good write probe, and at the stop: what could not be written."""
        await self._ground.unwritten.retry()

    async def settle(self, within_s: float) -> None:
        """At the stop: waits for flights, which nobody may cancel while they have time."""
        if self._flights:
            await asyncio.wait(list(self._flights.values()), timeout=within_s)

    def _start(self, flight: Flight, held: Held) -> asyncio.Future[Grant | Fault]:
        landing: asyncio.Future[Grant | Fault] = asyncio.get_running_loop().create_future()
        self._flights[held.connection.id] = landing
        self._spawn(self._fly(flight, held.connection.id, landing), name="refresh")
        return landing

    async def _fly(
        self, flight: Flight, connection_id: ConnectionId, landing: asyncio.Future[Grant | Fault]
    ) -> None:
        outcome: Grant | Fault = Fault.UNREACHABLE
        try:
            outcome = await refresh(flight, self._reached)
        except Unhealthy:
            outcome = Fault.NOT_DURABLE
        except Conflict:
            outcome = Fault.UNREACHABLE  # the connection's lock was not free in time
        finally:
            del self._flights[connection_id]
            landing.set_result(outcome)

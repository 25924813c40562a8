"""Opens a member's credential for one call, with the key that the caller holds.

Counterpart: `services.connections`.

Invariant: a credential leaves only for the destination that the row, the envelope and the connector
in force agree on. A failure to open is never retried with another key: the member signs in anew
(FC8, FC11).
"""

from collections.abc import Callable
from typing import Final

from wicketd.connectors.catalogue import Catalogue, destination
from wicketd.domain.actor import SYSTEM
from wicketd.domain.calls import Caller, Failure, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.catalogue import Connector, CredentialKind
from wicketd.domain.connections import Connection, ConnectionState, Credential, Destination
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.tokens import Opened, TokenBox, header_value, placed_header
from wicketd.services.transitions import Held, contents, move_connection
from wicketd.storage import connections
from wicketd.vault.envelope import DecryptFailed

NOTHING: Final = Credential(destination=None, header=None, value=None)


class Unlocker:
    """Step 14 of a call (product spec, section 5) for stored credentials."""

    def __init__(self, desk: Desk, box: TokenBox, catalogue: Callable[[], Catalogue]) -> None:
        self._desk = desk
        self._box = box
        self._catalogue = catalogue
        self._destinations: dict[str, tuple[Connector, Destination | None]] = {}

    async def unlock(self, caller: Caller, service: str) -> Credential | Failure:
        """The credential, bound to its destination, or why the call ends with `no_credentials`."""
        connector = self._catalogue().get(service)
        if connector is None:
            return _failure(RefusalKind.UNKNOWN_SERVICE, service)
        if connector.credential.kind is CredentialKind.NONE:
            return NOTHING
        connection = await self._desk.rows.read(caller, service)
        if connection is None or connection.state in _NOT_CONNECTED:
            return _failure(RefusalKind.NOT_CONNECTED, service)
        here = self._destination(connector)
        if connection.state is not ConnectionState.SEALED or here is None:
            return _failure(RefusalKind.RECONNECT, service)
        held = Held(connection, service)
        if connection.destination != here:
            await self._break(held, "moved")
            return _failure(RefusalKind.RECONNECT, service)
        return await self._open(caller, held, connector, here)

    def _destination(self, connector: Connector) -> Destination | None:
        """Worked out once for each connector in force: a call parses no URL."""
        known = self._destinations.get(connector.key)
        if known is None or known[0] is not connector:
            known = self._destinations[connector.key] = connector, destination(connector)
        return known[1]

    async def _open(
        self, caller: Caller, held: Held, connector: Connector, here: Destination
    ) -> Credential | Failure:
        if held.connection.sealed_key_id != caller.key_id:
            return _failure(RefusalKind.RECONNECT, held.service)
        try:
            opened = self._box.open_sealed(held, caller.key_id, caller.secret)
        except DecryptFailed:
            await self._break(held, "decrypt_failed")
            return _failure(RefusalKind.RECONNECT, held.service)
        connection = held.connection
        if opened.is_deposit:
            connection = await self._make_symmetric(caller, held, opened)
        return Credential(
            destination=here,
            header=placed_header(here),
            value=header_value(connector, opened.token),
            connection_id=connection.id,
            generation=connection.generation,
        )

    async def _make_symmetric(self, caller: Caller, held: Held, opened: Opened) -> Connection:
        """The first keyed use of a deposit writes it anew under the member's own layer, once."""

        def work(unit: Unit) -> Connection:
            now = self._current(unit, held)
            if now is None or now.generation != held.connection.generation:
                return now or held.connection
            holds = self._box.symmetric(held, opened.record, caller.key_id, caller.secret)
            return move_connection(unit, Held(now, held.service), "rewrap", holds)

        after = await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(caller.member.id)
        return after

    async def _break(self, held: Held, reason: str) -> None:
        def work(unit: Unit) -> bool:
            now = self._current(unit, held)
            if now is None or now.sealed_ct != held.connection.sealed_ct:
                return False
            if now.state is not ConnectionState.SEALED:
                return False
            one = Held(now, held.service)
            if reason == "moved":
                move_connection(unit, one, "break", contents(now), reason)
            else:
                move_connection(unit, one, "break", reason=reason)
            return True

        is_broken = await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(held.connection.member_id)
        if is_broken:
            data = {"alarm": "connection_broken", "reason": reason, "service": held.service}
            self._desk.events.publish(Topic.STATUS, dict(data), held.connection.agent_id)

    @staticmethod
    def _current(unit: Unit, held: Held) -> Connection | None:
        was = held.connection
        query = connections.of_member_service(was.agent_id, was.member_id, was.service_id)
        return unit.tx.one(query)


_NOT_CONNECTED: Final = frozenset(
    {ConnectionState.PENDING, ConnectionState.REVOKED, ConnectionState.EXPIRED}
)


def _failure(kind: RefusalKind, service: str) -> Failure:
    return Failure(OutcomeStatus.NO_CREDENTIALS, Refusal(kind, {"service": service}))

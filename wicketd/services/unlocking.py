"""Opens a member's credential for one call, with the key that the caller holds.

Counterparts: `services.connections`; `refreshing`, which renews what is old.

Invariant: a credential leaves only for the destination that the row, the envelope and the connector
in force agree on. A failure to open is never retried with another key: the member signs in anew
(FC8, FC11).
"""

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from wicketd.connectors.catalogue import Catalogue, destination
from wicketd.domain.actor import SYSTEM
from wicketd.domain.calls import Caller, Failure, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.catalogue import Connector, CredentialKind
from wicketd.domain.connections import Connection, ConnectionState, Credential, Destination
from wicketd.oauth.refresh import Fault
from wicketd.services import oauth_records
from wicketd.services.breaking import DECRYPT_FAILED, MOVED, REJECTED, break_now, current
from wicketd.services.desk import Desk, Unit
from wicketd.services.refresh_flight import Grant, Keyed, Wanted
from wicketd.services.refreshing import DUE, Refreshing
from wicketd.services.step_ups import StepUps
from wicketd.services.tokens import TokenBox, header_value, placed_header
from wicketd.services.transitions import Held, mark, move_connection
from wicketd.storage import connections
from wicketd.vault.envelope import DecryptFailed

NOTHING: Final = Credential(destination=None, header=None, value=None)


class Unlocker:
    """Step 14 of a call (product spec, section 5) for stored credentials.

    Without `refreshing` tokens are used as they are.
    """

    def __init__(
        self,
        desk: Desk,
        box: TokenBox,
        catalogue: Callable[[], Catalogue],
        refreshing: Refreshing | None = None,
    ) -> None:
        self._desk = desk
        self._box = box
        self._catalogue = catalogue
        self._refreshing = refreshing
        self._step_ups = StepUps(desk.clock)
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
            await break_now(self._desk, held, MOVED)
            return _failure(RefusalKind.RECONNECT, service)
        return await self._open(caller, held, connector, here)

    async def renew(
        self, caller: Caller, service: str, refused: Credential
    ) -> Credential | Failure:
        """Another credential after the upstream answered 401 to `refused`: the next generation's.

        Without a refresh token there is none; the connection is kept and shown as rejected.
        """
        connector, held = self._catalogue().get(service), await self._held(caller, service)
        if connector is None or held is None or refused.generation is None:
            return _failure(RefusalKind.RECONNECT, service)
        here = self._destination(connector)
        if here is None or here != held.connection.destination:
            return _failure(RefusalKind.RECONNECT, service)
        if self._refreshing is None or not held.connection.refreshable:
            await self.rejected(caller, service, refused)
            return _failure(RefusalKind.RECONNECT, service)
        wanted = Wanted(not_generation=refused.generation)
        grant = await self._refreshing.fresh(Keyed.of(caller), held, connector, wanted)
        if isinstance(grant, Fault):
            return _of_fault(grant, service)
        return _credential(grant, connector, here)

    async def refresh_at_seal(self, keyed: Keyed) -> None:
        """Replaces tokens that lay in the pending window, within 10 s; does not raise."""
        if self._refreshing is not None:
            await self._refreshing.at_seal(keyed, self._catalogue)

    async def rejected(self, caller: Caller, service: str, refused: Credential) -> None:
        """The upstream takes not even a fresh token: marks the connection, keeps everything."""
        held = await self._held(caller, service)
        if held is None or held.connection.error is not None:
            return

        def work(unit: Unit) -> None:
            now = current(unit, held.connection)
            if now is None or now.error is not None or now.generation != refused.generation:
                return
            if now.state is ConnectionState.SEALED:
                mark(unit, Held(now, service), REJECTED)

        await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(caller.member.id)

    async def accepted(self, caller: Caller, service: str) -> None:
        """The upstream takes the token after all: a mark of rejection goes."""
        held = await self._held(caller, service)
        if held is None or held.connection.error != REJECTED:
            return

        def work(unit: Unit) -> None:
            now = current(unit, held.connection)
            if now is not None and now.error == REJECTED:
                mark(unit, Held(now, service), None)

        await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(caller.member.id)

    async def lacks(self, caller: Caller, service: str, tool: str, scopes: Sequence[str]) -> bool:
        """The upstream wants more `scopes` for `tool`: the next sign-in asks for them too.

        False: it wanted more three times today already, so a further sign-in would not help.
        """
        held = await self._held(caller, service)
        if held is None:
            return True
        wanted = oauth_records.union(held.connection.missing_scopes, scopes)
        if held.connection.missing_scopes == wanted:
            return True
        if not self._step_ups.may_ask(held.connection.id, tool):
            return False

        def work(unit: Unit) -> None:
            now = current(unit, held.connection)
            if now is not None and now.state is ConnectionState.SEALED:
                unit.tx.run(connections.set_missing_scopes(now, wanted, unit.desk.clock.now_ms()))

        await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(caller.member.id)
        return True

    async def _held(self, caller: Caller, service: str) -> Held | None:
        connection = await self._desk.rows.read(caller, service)
        if connection is None or connection.state is not ConnectionState.SEALED:
            return None
        return Held(connection, service) if connection.sealed_key_id == caller.key_id else None

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
            await break_now(self._desk, held, DECRYPT_FAILED)
            return _failure(RefusalKind.RECONNECT, held.service)
        grant = Grant(held.connection, opened)
        if self._refreshing is not None:
            if self._refreshing.is_behind(held.connection.id):
                return _of_fault(Fault.NOT_DURABLE, held.service)
            if not DUE.is_met(grant, self._desk.clock.now_ms()):
                renewed = await self._refreshing.fresh(Keyed.of(caller), held, connector)
                if not isinstance(renewed, Fault):
                    grant = renewed
                elif renewed is not Fault.UNSENT or not self._is_alive(grant):
                    return _of_fault(renewed, held.service)
        if grant.opened.is_deposit:
            grant = await self._make_symmetric(caller, Held(grant.connection, held.service), grant)
        return _credential(grant, connector, here)

    def _is_alive(self, grant: Grant) -> bool:
        """Whether the old access token will do while its issuer cannot be reached."""
        expires_at = grant.opened.details.expires_at
        is_known = expires_at is not None and expires_at > self._desk.clock.now_ms()
        return is_known and not grant.connection.refresh_due

    async def _make_symmetric(self, caller: Caller, held: Held, grant: Grant) -> Grant:
        """The first keyed use of a deposit writes it anew under the member's own layer, once."""
        opened = grant.opened

        def work(unit: Unit) -> Connection:
            now = current(unit, held.connection)
            if now is None or now.generation != held.connection.generation:
                return now or held.connection
            holds = self._box.symmetric(held, opened.record, caller.key_id, caller.secret)
            return move_connection(unit, Held(now, held.service), "rewrap", holds)

        after = await self._desk.change(SYSTEM, work)
        self._desk.rows.forget(caller.member.id)
        return Grant(after, opened)


_NOT_CONNECTED: Final = frozenset(
    {ConnectionState.PENDING, ConnectionState.REVOKED, ConnectionState.EXPIRED}
)


def _credential(grant: Grant, connector: Connector, here: Destination) -> Credential:
    return Credential(
        destination=here,
        header=placed_header(here),
        value=header_value(connector, grant.opened.token),
        connection_id=grant.connection.id,
        generation=grant.connection.generation,
        is_doubted=grant.connection.error == REJECTED,
    )


def _of_fault(fault: Fault, service: str) -> Failure:
    """How a call ends without a fresh token (product spec, section 5, steps 13 to 15)."""
    match fault:
        case Fault.RECONNECT:
            return _failure(RefusalKind.RECONNECT, service)
        case Fault.UNREACHABLE | Fault.UNSENT:
            refusal = Refusal(RefusalKind.UNREACHABLE, {"service": service})
            return Failure(OutcomeStatus.UNREACHABLE, refusal)
        case Fault.NOT_DURABLE:
            refused = Refusal(RefusalKind.AUDIT_REFUSED, {"service": service}, retry_after_s=5)
            return Failure(OutcomeStatus.NO_CREDENTIALS, refused)
    assert_never(fault)


def _failure(kind: RefusalKind, service: str) -> Failure:
    return Failure(OutcomeStatus.NO_CREDENTIALS, Refusal(kind, {"service": service}))

"""Writes what older server keys hold anew under the active one: the second half of a rotation.

Runs in batches beside the calls, one transaction a row, and goes on where it stopped after a
restart: whatever still names an older kid is what is left. Invariants: a row is readable before and
after; what does not open in its own place is not made good. Source: security spec, section 1.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wicketd.domain.actor import SYSTEM
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Query, Statement
from wicketd.services.breaking import spoil
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.tokens import TokenBox
from wicketd.services.transitions import Held
from wicketd.storage import connections, rewraps
from wicketd.storage.policies import RevisionRow
from wicketd.storage.rewraps import ConnectionRef, SealedApp, SealedArguments, SealedTotp
from wicketd.vault import envelope, places
from wicketd.vault.envelope import Aad, DecryptFailed
from wicketd.vault.keyring import Keyring
from wicketd.vault.places import AppPlace
from wicketd.vault.sealing import Sealer

BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class _Part:
    """One table: its rows behind a cursor, the cursor of a row, and what writes a row anew.

    `write` gives False for a row that cannot be read.
    """

    table: str
    behind: Callable[[str, str, int], Query[Any]]
    cursor: Callable[[Any], str]
    write: Callable[[Unit, Any], bool]


class Rewrapper:
    """Takes one batch a call; does nothing once a whole pass has found nothing."""

    def __init__(self, desk: Desk, keyring: Keyring, sealer: Sealer) -> None:
        self._desk = desk
        self._keyring = keyring
        self._sealer = sealer
        self._box = TokenBox(sealer)
        self._seal = RevisionSeal(keyring)
        self._parts = (
            _Part("connections", rewraps.connections, lambda ref: ref.id, self._connection),
            _Part("accounts", rewraps.totps, lambda row: row.account_id, self._totp),
            _Part("services", rewraps.apps, lambda row: row.service_id, self._app),
            _Part(
                "policy_revisions",
                rewraps.revisions,
                lambda row: f"{row.agent_id}/{row.revision}",
                self._revision,
            ),
            _Part("audit_args", rewraps.arguments, lambda row: row.call_id, self._arguments),
        )
        self._kids: tuple[str, ...] = ()
        self._active = ""
        self._written: Counter[str] = Counter()
        self._unreadable: set[tuple[str, str]] = set()
        self._at, self._moved = 0, 0
        self._behind = ""
        self._is_done = False

    async def step(self) -> int:
        """Writes up to 100 rows of one table anew; gives how many. Due several times a second.

        Raises:
            Unhealthy: the database takes no writes; the rows stay for the next step.
        """
        if (self._active, self._kids) != (self._keyring.active, self._keyring.kids):
            self._active, self._kids = self._keyring.active, self._keyring.kids
            self._begin()
            self._is_done = len(self._kids) == 1
        if self._is_done:
            return 0
        part = self._parts[self._at]
        rows = await self._desk.db.all(part.behind(self._active, self._behind, BATCH))
        # At once, so that they share a commit: one after another each would wait for the disk.
        done = sum(await asyncio.gather(*(self._one(part, row) for row in rows)))
        if rows:
            self._behind = part.cursor(rows[-1])
        self._moved += done
        if len(rows) < BATCH:
            await self._next_part()
        return done

    async def finish(self) -> int:
        """Steps until nothing is left; gives how many rows were written."""
        total = await self.step()
        while not self._is_done:
            total += await self.step()
        return total

    def _begin(self) -> None:
        self._written, self._unreadable = Counter(), set()
        self._at, self._behind, self._moved = 0, "", 0

    async def _next_part(self) -> None:
        self._at, self._behind = self._at + 1, ""
        if self._at < len(self._parts):
            return
        # Rows that a call wrote meanwhile are behind us: a pass that moved nothing is the last.
        is_last = self._moved == 0
        self._at, self._moved = 0, 0
        if is_last:
            await self._done()

    async def _done(self) -> None:
        if self._written or self._unreadable:
            lost = Counter(table for table, _ in self._unreadable)
            after: JsonObject = {"rows": {**self._written}, "unreadable": {**lost}}
            await self._desk.change(
                SYSTEM, lambda unit: unit.audit("keyring.rewrapped", self._active, after=after)
            )
            self._desk.events.publish(Topic.STATUS, {"rewrapped": self._active})
        self._is_done = True

    async def _one(self, part: _Part, row: Any) -> int:
        name = (part.table, part.cursor(row))
        if name in self._unreadable:
            return 0
        if await self._desk.change(SYSTEM, lambda unit: part.write(unit, row)):
            self._written[part.table] += 1
            if isinstance(row, ConnectionRef):
                self._desk.rows.forget(row.member_id)
            return 1
        self._unreadable.add(name)
        self._desk.events.publish(
            Topic.STATUS, {"alarm": "unreadable_row", "table": part.table, "row": name[1]}
        )
        return 0

    def _connection(self, unit: Unit, ref: ConnectionRef) -> bool:
        for held in _held(unit, ref):
            row, active = held.connection, self._keyring.active
            try:
                if row.sealed_ct is not None and row.outer_kid != active:
                    new = self._box.rewrapped(held)
                    unit.tx.run(rewraps.put_sealed(ref, row.sealed_ct, new, _kid(new)))
                    _audit(unit, held, _kid(new))
                if row.pending_ct is not None and _kid(row.pending_ct) != active:
                    new = self._box.rewrapped_pending(held)
                    unit.tx.run(rewraps.put_pending(ref, row.pending_ct, new, _kid(new)))
            except DecryptFailed:
                spoil(unit, held)
                return False
        return True

    def _totp(self, unit: Unit, row: SealedTotp) -> bool:
        new = self._server("totp", places.totp_aad(row.account_id), row.ciphertext)
        return new is not None and _ran(unit, rewraps.put_totp(row, new, _kid(new)))

    def _app(self, unit: Unit, row: SealedApp) -> bool:
        of = AppPlace(row.service_id, row.agent_id, row.connector)
        new = self._server("app-secret", places.app_aad(of, row.set_at), row.ciphertext)
        return new is not None and _ran(unit, rewraps.put_app(row, new, _kid(new)))

    def _arguments(self, unit: Unit, row: SealedArguments) -> bool:
        aad = places.arguments_aad(row.call_id, row.agent_id, row.member_id)
        new = self._server("audit-args", aad, row.ciphertext)
        return new is not None and _ran(unit, rewraps.put_arguments(row, new, _kid(new)))

    def _server(self, label: str, aad: Aad, ciphertext: bytes) -> bytes | None:
        try:
            return self._sealer.rewrapped_server(label, aad, ciphertext)
        except DecryptFailed:
            return None

    def _revision(self, unit: Unit, row: RevisionRow) -> bool:
        made = self._seal.rewrapped(row)
        if made is None:
            return False
        kid, mac = made
        return _ran(unit, rewraps.put_mac(row, mac, kid))


def _ran(unit: Unit, statement: Statement) -> bool:
    """Runs it; a row that changed meanwhile is as good as written: the next pass looks again."""
    unit.tx.run(statement)
    return True


def _held(unit: Unit, ref: ConnectionRef) -> Sequence[Held]:
    """The connection as it is in this transaction, with its service's key."""
    rows = unit.tx.all(connections.of_member_with_service(ref.agent_id, ref.member_id))
    return [Held(row, service) for row, service in rows if row.id == ref.id]


def _audit(unit: Unit, held: Held, kid: str) -> None:
    row = held.connection
    unit.audit(
        "connection.rewrapped",
        row.id,
        before={"state": row.state.value},
        after={"state": row.state.value, "generation": row.generation, "kid": kid},
        agent_id=row.agent_id,
        member_id=row.member_id,
        key_id=row.sealed_key_id,
        service=held.service,
    )


def _kid(ciphertext: bytes) -> str:
    return envelope.header(ciphertext).kid

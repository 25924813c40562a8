"""Makes a database let go of a server key. Counterpart: `services.rotation`, which takes it away.

`let_go` runs alone on the database, with no daemon: the lock file is held, so the audit chain has
one writer. `let_go_beside` leaves the chain alone and runs beside one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wicketd.audit.journal import Journal
from wicketd.domain.errors import Conflict
from wicketd.domain.members import MemberKey
from wicketd.domain.ports import Clock, Ids, Random, Tx
from wicketd.services import find
from wicketd.services.desk import Desk, Unit
from wicketd.services.installation import CHECK, check_ring, check_values, forget_kid
from wicketd.services.operators import operator
from wicketd.services.resealing import held_by
from wicketd.services.sessions import ToolSessions
from wicketd.services.transitions import break_sealed, end_key
from wicketd.services.wal import Wal
from wicketd.storage import beside, keys, kid_rows, meta
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.kid_rows import REWRAPPED, VERIFIERS, KidRows
from wicketd.vault.keyring import KeyringFile

REASON: Final = "server key retired"


@dataclass(frozen=True, slots=True)
class Tools:
    """Clock, ids and randomness of the process."""

    clock: Clock
    ids: Ids
    random: Random


@dataclass(frozen=True, slots=True)
class Dropped:
    """What somebody lost with a retired key.

    `key_id` None: backup codes of the second factor, `count` of them.
    """

    owner: str
    agent: str | None
    key_id: str | None
    count: int = 1

    def line(self) -> str:
        """For whoever has to tell them."""
        if self.key_id is None:
            return f"deleted {self.count} backup codes of {self.owner}"
        return f"revoked key {self.key_id} of {self.owner} on {self.agent}"


async def let_go(
    db: SqliteDatabase, file: KeyringFile, kid: str, tools: Tools, *, drop_keys: bool
) -> Sequence[Dropped]:
    """Forgets count and check value of `kid` in one transaction; `drop_keys`: ends verifiers too.

    Raises:
        KeyringInvalid: the keyring is not the one of this database.
        Conflict: rows name `kid`, or verifiers do and may not be ended.
    """
    install_id = await db.one(meta.get("install_id"))
    if install_id is not None:
        await check_ring(db, file.bind(bytes.fromhex(install_id)))
    desk = await _desk(db, tools)

    def work(unit: Unit) -> Sequence[Dropped]:
        _refuse_named(unit.tx, kid, tools.clock.now_ms(), drop_keys=drop_keys)
        dropped = [_drop_key(unit, key) for key in unit.tx.all(keys.active_under(kid))]
        dropped += [Dropped(who, None, None, n) for who, n in unit.tx.all(kid_rows.codes_of(kid))]
        unit.tx.run(kid_rows.drop_codes(kid))
        forget_kid(unit.tx, kid)
        return dropped

    dropped = await desk.change(operator(), work)
    await desk.wal.truncate()
    return dropped


def let_go_beside(path: Path, file: KeyringFile, kid: str, now_ms: int) -> None:
    """Forgets `kid` in a database that a daemon has open; no verifier is ended.

    Raises:
        KeyringInvalid: the keyring is not the one of this database.
        Conflict: rows or verifiers name `kid`, or the daemon may still write under it.
    """
    with beside.transaction(path) as tx:
        install_id = tx.one(meta.get("install_id"))
        stored = check_values(tx.all(meta.with_prefix(CHECK)))
        if install_id is not None:
            file.bind(bytes.fromhex(install_id)).may_start(stored, tx.all(meta.named_kids()))
        # Noted by the daemon as it takes a key in: without it, an older one is its active key.
        if file.active not in stored:
            raise Conflict(
                f"The daemon has not taken in {file.active}: it may still write under {kid}.",
                hint="Restart wicketd, or send it SIGHUP; then: wicketd keyring status",
            )
        _refuse_named(tx, kid, now_ms, drop_keys=False)
        forget_kid(tx, kid)


def _refuse_named(tx: Tx, kid: str, now_ms: int, *, drop_keys: bool) -> None:
    rows = [one for one in tx.all(kid_rows.all(now_ms)) if one.kid == kid]
    _refuse_rows(kid, [one for one in rows if one.table not in VERIFIERS])
    if rows and not drop_keys:
        count = sum(one.count for one in rows)
        raise Conflict(
            f"{count} verifiers still name {kid}: they move when their owners next use them.",
            hint=f"To end them instead: wicketd keyring retire {kid} --drop-keys",
        )


def _refuse_rows(kid: str, rows: Sequence[KidRows]) -> None:
    if not rows:
        return
    named = ", ".join(f"{one.count} in {one.table}" for one in rows)
    if any(one.table in REWRAPPED for one in rows):
        hint = "Start wicketd with the new active key; it re-wraps them: wicketd keyring status"
    else:
        hint = "They run out by themselves, the last ones (sessions, invitations) after 7 days."
    raise Conflict(f"Rows still name {kid}: {named}.", hint=hint)


def _drop_key(unit: Unit, key: MemberKey) -> Dropped:
    owner = find.agent(unit.tx, key.agent_id)
    member = find.member(unit.tx, owner, key.member_id)
    end_key(unit, key, "revoke", REASON)
    break_sealed(unit, held_by(unit, key.agent_id, key.member_id), "key_revoked")
    unit.tx.run(kid_rows.drop_deposits(key.agent_id, key.member_id))
    return Dropped(member.principal, owner.key, key.key_id)


async def _desk(db: SqliteDatabase, tools: Tools) -> Desk:
    journal = Journal(AuditTable(), tools.clock, tools.ids)
    sessions = ToolSessions(db, journal, tools.clock, tools.ids, lambda data: (data[:32],))
    await sessions.load()
    alone = Desk.alone(db, journal, tools.clock, tools.ids)
    return replace(alone, sessions=sessions, wal=Wal(db, tools.clock))

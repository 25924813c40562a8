"""The identity of one installation: its id, its keys checked and counted.

Counterpart of `vault.keyring`, which reads the files. Invariant: a wrong keyring or audit key shows
before a socket is opened (FC9). Source: security spec, section 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.audit.checkpoint import Trust, parse, sign
from wicketd.domain.audit import Checkpoint
from wicketd.domain.errors import KeyringInvalid
from wicketd.domain.ports import Database, Random, Tx
from wicketd.storage import checkpoints, key_usage, meta
from wicketd.vault.keyring import INSTALL_ID_BYTES, AuditKey, Keyring, KeyringFile
from wicketd.vault.usage import BLOCK, Reservations

CHECK: Final = "keyring_check:"
"""Begins the name of a check value in `meta`; its kid follows."""
_COUNTED: Final = (
    "app-secret",
    "audit-args",
    "oauth-flow",
    "outer-wrap",
    "pending-token",
    "request-state",
    "totp",
)
_KEPT: Final = 32
"""Blocks that each subkey holds ready: more than a second's worth of calls."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key files as read, before the database is known."""

    ring: KeyringFile
    audit: AuditKey


@dataclass(frozen=True, slots=True)
class Installation:
    """`install_id`: 16 random bytes made with the database."""

    install_id: bytes
    keyring: Keyring
    audit_key: AuditKey
    usage: Reservations

    @classmethod
    async def open(cls, db: Database, keys: Keys, random: Random) -> "Installation":
        """Reads or makes the install id, checks the keyring, reserves the first encryptions.

        Raises:
            KeyringInvalid: the keyring or the audit key is not the one of this database.
        """
        fresh = random.bytes(INSTALL_ID_BYTES).hex()

        def identity(tx: Tx) -> bytes:
            tx.run(meta.put_once("install_id", fresh))
            return bytes.fromhex(tx.one(meta.get("install_id")) or fresh)

        install_id = await db.write(identity)
        ring = keys.ring.bind(install_id)
        missing = await check_ring(db, ring)
        newest = await db.one(checkpoints.newest())
        _check_audit_key(keys.audit, newest)
        await _note(db, ring, missing)
        home = cls(install_id, ring, keys.audit, Reservations())
        await home.top_up(db)
        return home

    def signed_checkpoint(self, epoch: int, size: int, root: bytes) -> str:
        """The note over the first `size` rows of this installation's log."""
        return sign(self.audit_key, self.install_id, epoch, size, root)

    async def reload(self, db: Database, file: KeyringFile) -> str:
        """Takes a changed keyring in while the daemon runs; gives the active kid.

        Encryptions under its active key are reserved before it is in force, and whoever holds the
        `Keyring` of this installation sees the new keys at once.

        Raises:
            KeyringInvalid: it is not one for this database; the one in force stays.
        """
        ring = file.bind(self.install_id)
        await _note(db, ring, await check_ring(db, ring))
        await self.top_up(db, file.active)
        self.keyring.swap(file)
        return file.active

    async def top_up(self, db: Database, kid: str | None = None) -> None:
        """Reserves encryptions ahead, durably, before any is made. `kid` None: the active one's.

        Raises:
            KeyExhausted: a subkey has passed its bound; its encryptions refuse.
        """
        kid = self.keyring.active if kid is None else kid
        for label in _COUNTED:
            blocks = _KEPT - self.usage.left(kid, label) // BLOCK
            if blocks < _KEPT // 2:
                continue

            def reserve(tx: Tx, kid: str = kid, label: str = label, blocks: int = blocks) -> int:
                tx.run(key_usage.reserve(kid, label, blocks * BLOCK))
                used = tx.one(key_usage.of(kid, label))
                return used.encryptions if used is not None else blocks * BLOCK

            total = await db.write(reserve)
            for _ in range(blocks):
                self.usage.grant(kid, label, total)


async def check_ring(db: Database, ring: Keyring) -> tuple[str, ...]:
    """Compares a keyring with the database; gives its kids that have no check value yet.

    Raises:
        KeyringInvalid: it is not the one of this database, or lacks a key that rows name.
    """
    stored = check_values(await db.all(meta.with_prefix(CHECK)))
    return ring.may_start(stored, await db.all(meta.named_kids()))


def check_values(rows: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """The check values of rows of `meta`, by kid."""
    return {name.removeprefix(CHECK): bytes.fromhex(value) for name, value in rows}


def forget_kid(tx: Tx, kid: str) -> None:
    """Lets go of a retired key: neither its count nor its check value is asked for any more."""
    tx.run(key_usage.forget(kid))
    tx.run(meta.delete(CHECK + kid))


async def _note(db: Database, ring: Keyring, kids: Sequence[str]) -> None:
    def note(tx: Tx) -> None:
        for kid in kids:
            tx.run(meta.put_once(CHECK + kid, ring.check_value(kid).hex()))

    await db.write(note)


def _check_audit_key(key: AuditKey, newest: Checkpoint | None) -> None:
    """The log goes on under a key that can vouch for what stands in it.

    Raises:
        KeyringInvalid: it did not sign the newest checkpoint.
    """
    if newest is None or parse(newest.note).trust(key.publics.values()) is Trust.GOOD:
        return
    raise KeyringInvalid(
        "The audit key did not sign the newest checkpoint of this database.",
        hint="Restore the audit.key that belongs to it; a new key is added to that file.",
    )

"""The identity of one installation: its id, its keys checked and counted.

Counterpart of `vault.keyring`, which reads the files. Invariant: a wrong keyring shows before a
socket is opened (FC9). Source: security spec, section 1.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.ports import Database, Random, Tx
from wicketd.storage import key_usage, meta
from wicketd.vault.keyring import INSTALL_ID_BYTES, AuditKey, Keyring, KeyringFile
from wicketd.vault.usage import BLOCK, Reservations

_CHECK: Final = "keyring_check:"
_COUNTED: Final = ("audit-args", "outer-wrap", "pending-token")
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
            KeyringInvalid: the keyring is not the one of this database.
        """
        fresh = random.bytes(INSTALL_ID_BYTES).hex()

        def identity(tx: Tx) -> bytes:
            tx.run(meta.put_once("install_id", fresh))
            return bytes.fromhex(tx.one(meta.get("install_id")) or fresh)

        install_id = await db.write(identity)
        ring = keys.ring.bind(install_id)
        stored = {
            name.removeprefix(_CHECK): bytes.fromhex(value)
            for name, value in await db.all(meta.with_prefix(_CHECK))
        }
        missing = ring.may_start(stored, await db.all(meta.named_kids()))

        def note(tx: Tx) -> None:
            for kid in missing:
                tx.run(meta.put_once(_CHECK + kid, ring.check_value(kid).hex()))

        await db.write(note)
        home = cls(install_id, ring, keys.audit, Reservations())
        await home.top_up(db)
        return home

    async def top_up(self, db: Database) -> None:
        """Reserves encryptions ahead, durably, before any is made.

        Raises:
            KeyExhausted: a subkey has passed its bound; its encryptions refuse.
        """
        kid = self.keyring.active
        for label in _COUNTED:
            blocks = _KEPT - self.usage.left(kid, label) // BLOCK
            if blocks < _KEPT // 2:
                continue

            def reserve(tx: Tx, label: str = label, blocks: int = blocks) -> int:
                tx.run(key_usage.reserve(kid, label, blocks * BLOCK))
                used = tx.one(key_usage.of(kid, label))
                return used.encryptions if used is not None else blocks * BLOCK

            total = await db.write(reserve)
            for _ in range(blocks):
                self.usage.grant(kid, label, total)

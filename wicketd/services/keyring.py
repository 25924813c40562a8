"""What each key of the server keyring still holds.

Counterpart: `vault.keyring`, which has the keys. Reads counts only: no verb of the daemon shows a
key, and rotation is a command on the host.
"""

from collections.abc import Sequence

from wicketd.domain.health import KeyUse
from wicketd.domain.ports import Database
from wicketd.storage import key_usage, kid_rows
from wicketd.vault.keyring import Keyring


class KeyringStatus:
    """Counts rows and encryptions per kid."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def report(self) -> Sequence[KeyUse]:
        """Every key of the ring, the active one first; a key without rows may be retired."""
        rows = await self._db.all(kid_rows.all())
        used = await self._db.all(key_usage.usage())
        active = self._keyring.active
        kids = sorted(self._keyring.kids, key=lambda kid: (kid != active, kid))
        return [
            KeyUse(
                kid=kid,
                is_active=kid == active,
                rows={one.table: one.count for one in rows if one.kid == kid},
                encryptions={one.purpose: one.encryptions for one in used if one.kid == kid},
            )
            for kid in kids
        ]

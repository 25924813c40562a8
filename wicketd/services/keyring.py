"""What each key of the server keyring still holds.

Counterpart: `vault.keyring`, which has the keys. Reads counts only: no verb of the daemon shows a
key, and rotation is a command on the host (`services.rotation`).
"""

from collections.abc import Iterable, Sequence

from wicketd.domain.health import KeyUse
from wicketd.domain.ports import Clock, Database
from wicketd.storage import key_usage, kid_rows
from wicketd.storage.key_usage import KeyUsage
from wicketd.storage.kid_rows import REWRAPPED, VERIFIERS, KidRows
from wicketd.vault.keyring import Keyring


class KeyringStatus:
    """Counts rows and encryptions per kid."""

    def __init__(self, db: Database, keyring: Keyring, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock

    async def report(self) -> Sequence[KeyUse]:
        """Every key of the ring, the active one first; a key without rows may be retired."""
        rows = await self._db.all(kid_rows.all(self._clock.now_ms()))
        used = await self._db.all(key_usage.usage())
        return uses(self._keyring.active, self._keyring.kids, rows, used)


def uses(
    active: str, kids: Iterable[str], rows: Sequence[KidRows], used: Sequence[KeyUsage]
) -> Sequence[KeyUse]:
    """What each of `kids` holds, the active one first."""
    return [
        _use(kid, [one for one in rows if one.kid == kid], used, is_active=kid == active)
        for kid in sorted(kids, key=lambda kid: (kid != active, kid))
    ]


def progress(found: Iterable[KeyUse]) -> tuple[int, int]:
    """Rows that are under the active key, and rows that the daemon has yet to write anew."""
    done = left = 0
    for use in found:
        if use.is_active:
            done += sum(count for table, count in use.rows.items() if table in REWRAPPED)
        left += use.to_rewrap
    return done, left


def _use(kid: str, rows: Sequence[KidRows], used: Sequence[KeyUsage], *, is_active: bool) -> KeyUse:
    to_rewrap = 0 if is_active else sum(one.count for one in rows if one.table in REWRAPPED)
    return KeyUse(
        kid=kid,
        is_active=is_active,
        rows={one.table: one.count for one in rows},
        encryptions={one.purpose: one.encryptions for one in used if one.kid == kid},
        to_rewrap=to_rewrap,
        verifiers=sum(one.count for one in rows if one.table in VERIFIERS),
    )

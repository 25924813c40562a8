"""What a use of a member key does to its row: both macs move, and its seal half is looked at.

The verifier and the MAC of the seal half can be made anew only while the secret is here, so a
rotation of the server key reaches them at their next use. Counterpart: `callers`, which has just
verified the key. Source: security spec, sections 1 and 4.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from wicketd.domain.ids import KeyId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import MemberKey
from wicketd.domain.ports import Database, Statement
from wicketd.domain.secret import SecretBytes
from wicketd.services.events import Events, Topic
from wicketd.storage import keys
from wicketd.vault import member_key, sealing
from wicketd.vault.keyring import Keyring
from wicketd.vault.sealing import Sealer

_LOG: Final = logging.getLogger(__name__)
REMEMBERED: Final = 10_000
WAITING_MAX: Final = 10_000
"""Moves that may wait for a flush; a key beyond them moves at a later use."""


class VerifierMoves:
    """Collects moves in memory; `flush` writes them. A crash in between costs nothing."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        sealer: Sealer,
        events: Events,
        forget: Callable[[KeyId], None],
    ) -> None:
        """`forget` drops a row that callers remember: it was written anew."""
        self._db = db
        self._keyring = keyring
        self._sealer = sealer
        self._events = events
        self._forget = forget
        self._publics: OrderedDict[KeyId, bytes] = OrderedDict()
        self._alarmed: set[KeyId] = set()
        self._waiting: dict[str, tuple[KeyId, Statement]] = {}

    def used(self, key: MemberKey, secret: SecretBytes) -> None:
        """Looks at the row of a key that was verified just now; writes nothing itself.

        A seal half that is not the secret's own was edited in the database: deposits would go to
        somebody else. It is told once, and its MAC is not made good.
        """
        if self._public(key, secret) != key.seal_public:
            if key.key_id not in self._alarmed:
                self._alarmed.add(key.key_id)
                _LOG.error("The public half of key %s is not its own.", key.key_id)
                data: JsonObject = {"alarm": "seal_public_forged", "key": key.key_id}
                self._events.publish(Topic.STATUS, data, key.agent_id)
            return
        kid = self._keyring.active
        if key.srv_kid == kid or key.id in self._waiting or len(self._waiting) >= WAITING_MAX:
            return
        owner = (key.agent_id, key.member_id)
        subkey = self._keyring.subkey(kid, "member-verifier")
        verifier = member_key.verifier(subkey, key.key_id, *owner, secret)
        mac = self._sealer.seal_mac(kid, key.key_id, *owner, key.seal_public)
        self._waiting[key.id] = key.key_id, keys.set_verifier(key.id, kid, verifier, mac)

    async def flush(self) -> int:
        """Writes what waits and gives how many keys moved.

        Raises:
            Unhealthy: nothing was written; the moves are kept.
        """
        moves, self._waiting = self._waiting, {}
        if not moves:
            return 0
        statements = [statement for _, statement in moves.values()]
        try:
            await self._db.write(lambda tx: [tx.run(one) for one in statements])
        except BaseException:
            self._waiting = moves | self._waiting
            raise
        for key_id, _ in moves.values():
            self._forget(key_id)
        return len(moves)

    def _public(self, key: MemberKey, secret: SecretBytes) -> bytes:
        """The secret's own half: 35 µs, so once a key and start."""
        known = self._publics.get(key.key_id)
        if known is None:
            known = sealing.seal_public(secret, key.key_id, key.agent_id)
            self._publics[key.key_id] = known
            if len(self._publics) > REMEMBERED:
                self._publics.popitem(last=False)
        return known

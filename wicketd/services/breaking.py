"""Marks connections that cannot be used any more, and says why.

Counterparts: `unlocking` and `refresh_flight`, which find it out while a call waits.
"""

from wicketd.domain.actor import SYSTEM
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import Unhealthy
from wicketd.domain.ids import AgentId
from wicketd.domain.json import JsonObject
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.transitions import DESTROYED, Held, contents, move_connection, rewrite
from wicketd.storage import connections, refresh_intents

MOVED = "moved"
"""Why a connection broke whose connector now names another origin or credential placement."""
DECRYPT_FAILED = "decrypt_failed"
INVALID_GRANT = "invalid_grant"
REFRESH_LOST = "refresh_lost"
IN_DOUBT = "in_doubt"
REJECTED = "rejected"
"""Marks of sealed rows are the last two; they stand in `error` until the next refresh."""


def current(unit: Unit, was: Connection) -> Connection | None:
    """The row as it is now."""
    query = connections.of_member_service(was.agent_id, was.member_id, was.service_id)
    return unit.tx.one(query)


def spoil(unit: Unit, held: Held) -> Connection:
    """Destroys a record that no key opens any more: the member signs in anew (FC8)."""
    if held.connection.state in {ConnectionState.SEALED, ConnectionState.PENDING}:
        return move_connection(unit, held, "break", reason=DECRYPT_FAILED)
    return rewrite(unit, held, DESTROYED, DECRYPT_FAILED)


async def break_now(desk: Desk, held: Held, reason: str) -> None:
    """Breaks a sealed connection, unless something else has taken its place meanwhile."""

    def work(unit: Unit) -> bool:
        now = current(unit, held.connection)
        if now is None or now.generation != held.connection.generation:
            return False
        if now.state is not ConnectionState.SEALED:
            return False
        one = Held(now, held.service)
        if reason == MOVED:
            move_connection(unit, one, "break", contents(now), reason)
        else:
            unit.tx.run(refresh_intents.delete(now))
            move_connection(unit, one, "break", reason=reason)
        return True

    is_broken = await desk.change(SYSTEM, work)
    desk.rows.forget(held.connection.member_id)
    if is_broken:
        alarm(desk, held, "connection_broken", reason)


def alarm(desk: Desk, held: Held, what: str, reason: str) -> None:
    """Tells whoever watches the daemon. `reason`: a word of ours or a plain error code."""
    data: JsonObject = {"alarm": what, "reason": reason, "service": held.service}
    desk.events.publish(Topic.STATUS, data, held.connection.agent_id)


def forged(desk: Desk, agent_id: AgentId | None = None) -> Unhealthy:
    """What to raise for `SealPublicForged`; whoever watches the daemon is told."""
    desk.events.publish(Topic.STATUS, {"alarm": "seal_public_forged"}, agent_id)
    message = (
        "The stored half of the key does not match its checksum, so nothing was sealed to it. "
        "An administrator revokes the key and looks for edits of the database; then a new key "
        "is made."
    )
    return Unhealthy(message)

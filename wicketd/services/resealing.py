"""What a change of a member's key does to the member's connections, inside its transaction.

Counterparts: `keys`, which makes and ends keys; `tokens`, which seals. Invariant: a record is
sealed to the new key in the transaction that ends the old one, or destroyed in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wicketd.domain.connections import ConnectionState
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.members import Member
from wicketd.services.breaking import spoil
from wicketd.services.desk import Unit
from wicketd.services.tokens import TokenBox
from wicketd.services.transitions import (
    DESTROYED,
    Held,
    break_sealed,
    move_connection,
    rewrite,
)
from wicketd.storage import connections
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.member_key import NewKey, ParsedKey


class FlowDeposits(Protocol):
    """Tokens of sign-ins that the member has not confirmed yet, sealed to the active key."""

    def reseal(self, unit: Unit, member: Member, old: ParsedKey, new: NewKey) -> None:
        """Deposits them anew, to the new key's public half; what does not open is deleted."""

    def drop(self, unit: Unit, agent_id: AgentId, member_id: MemberId) -> None:
        """Deletes them: nobody can open them any more."""


@dataclass(frozen=True, slots=True)
class Resealer:
    """Moves a member's records under a new key."""

    box: TokenBox
    flows: FlowDeposits

    def seal_pending(self, unit: Unit, member: Member, new: NewKey) -> None:
        """Seals what waited for the first key, and destroys the server's copy."""
        for held in held_by(unit, member.agent_id, member.id):
            if held.connection.pending_ct is not None:
                self._seal_one(unit, held, new)

    def rekey(self, unit: Unit, member: Member, old: ParsedKey, new: NewKey) -> None:
        """Seals under `new` what `old` opens, deposits and open sign-ins included."""
        for held in held_by(unit, member.agent_id, member.id):
            if held.connection.sealed_ct is not None:
                self._rekey_one(unit, held, old, new)
        self.flows.reseal(unit, member, old, new)

    def forget(self, unit: Unit, agent_id: AgentId, member_id: MemberId, reason: str) -> None:
        """Destroys what only an ended key could open; connections need a new sign-in."""
        break_sealed(unit, held_by(unit, agent_id, member_id), reason)
        self.flows.drop(unit, agent_id, member_id)

    def _seal_one(self, unit: Unit, held: Held, new: NewKey) -> None:
        """Seals a pending record; one whose connector moved is sealed too and stays broken."""
        connection = held.connection
        is_pending = connection.state is ConnectionState.PENDING
        if (connection.pending_expires_at or 0) <= unit.desk.clock.now_ms():
            if is_pending:
                move_connection(unit, held, "expire")
            else:
                rewrite(unit, held, DESTROYED, connection.error)
            return
        try:
            record = self.box.open_pending(held)
        except DecryptFailed:
            spoil(unit, held)
            return
        sealed = self.box.symmetric(held, record, new.key_id, new.secret)
        # Copies of the pending window hold a refresh token: it is replaced where servers rotate.
        after = Held(replace(connection, refresh_due=connection.refreshable), held.service)
        if is_pending:
            move_connection(unit, after, "seal", sealed)
        else:
            rewrite(unit, after, sealed, connection.error)

    def _rekey_one(self, unit: Unit, held: Held, old: ParsedKey, new: NewKey) -> None:
        """Like the above for a sealed record: the old key opens it, or it is lost."""
        connection = held.connection
        is_sealed = connection.state is ConnectionState.SEALED
        try:
            opened = self.box.open_sealed(held, old.key_id, old.secret)
        except DecryptFailed:
            spoil(unit, held)
            return
        holds = self.box.symmetric(held, opened.record, new.key_id, new.secret)
        if is_sealed:
            move_connection(unit, held, "rewrap", holds)
        else:
            rewrite(unit, held, holds, connection.error)


def held_by(unit: Unit, agent_id: str, member_id: str) -> Sequence[Held]:
    """The member's connections with their services' keys."""
    rows = unit.tx.all(connections.of_member_with_service(agent_id, member_id))
    return [Held(connection, service) for connection, service in rows]

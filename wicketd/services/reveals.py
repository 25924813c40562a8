"""What was recorded sealed, disclosed to an admin: arguments of one call, or the proof of one.

Counterparts: `services.recorded`, which opens, `services.proofs`, which says what a proof is.
Invariant: nothing is opened before the row `audit.revealed`, with its reason, is durable.
Source: security spec, section 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from wicketd.audit.inclusion import Paths
from wicketd.audit.proof import Disclosed, ProvenRow, disclosed
from wicketd.connectors.mapping import Unresolved
from wicketd.domain.actor import Actor
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.domain.errors import Conflict, Unhealthy
from wicketd.domain.json import JsonObject
from wicketd.policy.revisions import set_sha256
from wicketd.policy.schema import render
from wicketd.policy.setups import record_of, service_of
from wicketd.services import proofs
from wicketd.services.audit import HASHES_AT_ONCE, AuditLog
from wicketd.services.desk import Desk
from wicketd.services.proofs import Basis, Decided, Proof
from wicketd.services.recorded import not_kept
from wicketd.services.rehearsals import Rehearsals
from wicketd.services.schema_archive import views_under
from wicketd.services.verification import set_at
from wicketd.storage import audit, checkpoints

ERASED = "The arguments are not kept any more, or never were."
SET_GONE = "The policies that decided are not stored as they were."
TOOLS_CHANGED = "The tools have changed since the decision."
MAPPING_CHANGED = "The connector maps these arguments to another resource since then."


@dataclass(frozen=True, slots=True)
class Revealed:
    """Arguments of a call. `row`: its intent or denial."""

    row: AuditRow
    arguments: JsonObject


class Reveals:
    """The use cases of disclosure."""

    def __init__(self, desk: Desk, log: AuditLog, rehearsals: Rehearsals) -> None:
        self._desk = desk
        self._log = log
        self._rehearsals = rehearsals

    async def reveal(self, actor: Actor, ref: str, agent_id: str | None, reason: str) -> Revealed:
        """The recorded arguments of one call.

        Raises:
            NotFound: there is no such entry.
            Conflict: its arguments are not kept, or the reference is of several agents.
        """
        row = (await self._log.get(ref, agent_id))[0]
        if await self._rehearsals.recorded.sealed(row) is None:
            raise not_kept(row)
        await self._record(actor, row, reason, is_proof=False)
        return Revealed(row, await self._rehearsals.recorded.of(row))

    async def prove(self, actor: Actor, ref: str, agent_id: str | None, reason: str) -> Proof:
        """The proof of one entry under the newest checkpoint that covers it.

        Raises:
            NotFound: there is no such entry.
            Conflict: the reference is of several agents, or older rows were pruned.
        """
        rows = await self._log.get(ref, agent_id)
        await self._record(actor, rows[0], reason, is_proof=True)
        note, proven = await self._under_checkpoint(rows)
        decided = msgspec.json.decode(rows[0].body, type=Decided)
        if decided.context is None:
            return Proof(checkpoint=note, rows=proven)
        opened = await self._arguments(rows[0])
        given = None if opened is None else disclosed(*opened)
        basis, missing = await self._basis(decided, given)
        return Proof(checkpoint=note, rows=proven, arguments=given, basis=basis, missing=missing)

    async def _record(self, actor: Actor, row: AuditRow, reason: str, *, is_proof: bool) -> None:
        after: JsonObject = {"reason": reason, "entry": row.id, "proof": is_proof}
        await self._desk.change(
            actor,
            lambda unit: unit.audit(
                "audit.revealed",
                row.ref or row.id,
                after=after,
                agent_id=row.agent_id,
                member_id=row.member_id,
            ),
        )

    async def _arguments(self, row: AuditRow) -> tuple[bytes, bytes] | None:
        recorded = self._rehearsals.recorded
        return recorded.open_salted(row, await recorded.sealed(row))

    async def _under_checkpoint(
        self, rows: Sequence[AuditRow]
    ) -> tuple[str, tuple[ProvenRow, ...]]:
        signed = await self._desk.db.one(checkpoints.newest())
        if signed is None or signed.size < rows[-1].seq or signed.epoch < rows[-1].epoch:
            signed = await self._log.checkpoint()
        paths = await self._paths(signed, [row.seq - 1 for row in rows])
        return signed.note, tuple(
            ProvenRow(
                seq=row.seq,
                prev=row.prev.hex(),
                body=row.body,
                path=tuple(node.hex() for node in paths[row.seq - 1]),
            )
            for row in rows
        )

    async def _paths(self, signed: Checkpoint, wanted: list[int]) -> dict[int, tuple[bytes, ...]]:
        """The paths of rows, from every hash below the checkpoint: a little at a time."""
        tree = Paths(wanted)
        while tree.size < signed.size:
            limit = min(HASHES_AT_ONCE, signed.size - tree.size)
            hashes = await self._desk.db.all(audit.hashes_from(tree.size + 1, limit))
            for leaf in hashes:
                tree.append(leaf)
            if len(hashes) < limit:
                message = "Rows below this entry are gone, so its place cannot be proven."
                raise Conflict(message)
        root, paths = tree.finish()
        if root != signed.root:
            message = "The log does not agree with its newest checkpoint. Verify it."
            raise Unhealthy(message, hint="wicketd audit verify")
        return paths

    async def _basis(
        self, decided: Decided, given: Disclosed | None
    ) -> tuple[Basis | None, tuple[str, ...]]:
        """What the decision was made with, as far as it can be shown; else why not."""
        missing = () if given else (ERASED,)
        now = await self._rehearsals.live(decided.agent_id)
        records = await set_at(self._desk.db, now.agent.id, decided.policy_revision)
        if set_sha256(records).hex() != decided.policy_set_sha256:
            return None, (*missing, SET_GONE)
        views = list(now.views.values())
        schema = render(views)
        if schema.sha256.hex() != decided.schema_sha256:
            earlier = await views_under(self._desk.db, decided.schema_sha256)
            if earlier is None:
                return None, (*missing, TOOLS_CHANGED)
            views, schema = earlier, render(earlier)
        if given is not None:
            arguments = msgspec.json.decode(given.canonical, type=dict)
            target = proofs.target_of(views, decided, arguments)
            if isinstance(target, Unresolved) or not proofs.is_resource(target, decided.resource):
                return None, (*missing, MAPPING_CHANGED)
        basis = Basis(
            agent=now.agent,
            policies=tuple(map(record_of, records)),
            services=tuple(map(service_of, views)),
            schema=schema.text,
            strict=self._rehearsals.is_strict,
        )
        return basis, missing

"""Seals each revision of a policy set under a server key, and checks the seal when a set is loaded.

Counterpart: `policy.revisions`, which computes. Source: policy spec, section 4.
"""

import hmac
from collections.abc import Sequence

from wicketd.domain.agents import Agent
from wicketd.domain.ids import AgentId
from wicketd.domain.policies import Cause, PolicyVersion
from wicketd.policy import revisions
from wicketd.policy.decisions import Stamp
from wicketd.services.desk import Unit
from wicketd.storage.policies import RevisionRow
from wicketd.vault.keyring import Keyring

LABEL = "policy-revision"


class RevisionSeal:
    """MACs of `policy_revisions` under one keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def row(
        self,
        unit: Unit,
        agent_id: AgentId,
        stamp: Stamp,
        records: Sequence[PolicyVersion],
        cause: Cause,
    ) -> RevisionRow:
        """The row of the revision that `stamp` names, sealed under the active key."""
        kid, manifest = self._keyring.active, revisions.manifest(records)
        mac = revisions.revision_mac(
            self._keyring.subkey(kid, LABEL),
            agent_id,
            stamp.revision,
            manifest,
            stamp.set_sha256,
            stamp.schema_sha256,
        )
        return RevisionRow(
            agent_id=agent_id,
            revision=stamp.revision,
            manifest=manifest.decode(),
            set_sha256=stamp.set_sha256,
            schema_sha256=stamp.schema_sha256,
            mac=mac,
            kid=kid,
            cause=cause,
            actor=unit.author.label(),
            at=unit.desk.clock.now_ms(),
        )

    def rewrapped(self, stored: RevisionRow) -> tuple[str, bytes] | None:
        """Kid and MAC of the same revision under the active key; None if the old MAC is wrong.

        A revision that somebody edited must not be made good by a rotation.
        """
        kid = self._keyring.active
        if stored.kid not in self._keyring.kids:
            return None
        if not hmac.compare_digest(self._mac(stored.kid, stored), stored.mac):
            return None
        return kid, self._mac(kid, stored)

    def _mac(self, kid: str, stored: RevisionRow) -> bytes:
        return revisions.revision_mac(
            self._keyring.subkey(kid, LABEL),
            stored.agent_id,
            stored.revision,
            stored.manifest.encode(),
            stored.set_sha256,
            stored.schema_sha256,
        )

    def holds(self, agent: Agent, records: Sequence[PolicyVersion], stored: RevisionRow) -> bool:
        """Whether `records` are exactly what the agent's current revision sealed."""
        if stored.kid not in self._keyring.kids:
            return False
        set_hash = revisions.set_sha256(records)
        mac = revisions.revision_mac(
            self._keyring.subkey(stored.kid, LABEL),
            agent.id,
            agent.policy_revision,
            revisions.manifest(records),
            set_hash,
            stored.schema_sha256,
        )
        return hmac.compare_digest(mac, stored.mac) and set_hash == stored.set_sha256

"""Hashes and seals a policy set: an edited database slips no policy in (policy spec, section 4).

Counterpart of the `policy_revisions` table. Invariant: pure; the hash covers each record's text
itself, not the hash that is stored beside it.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence

import msgspec

from wicketd.domain.policies import PolicyVersion

_LABEL = b"wicket/v1/policy-revision\0"


def set_sha256(records: Sequence[PolicyVersion]) -> bytes:
    """SHA-256 of a set: [[key, version, text's sha256, enabled, mode, scope], ...] by key.

    Written as canonical JSON; `scope` is the member's id, or null for an agent-wide record.
    """
    rows = [
        [
            record.key,
            record.version,
            hashlib.sha256(record.text.encode()).hexdigest(),
            record.enabled,
            record.mode.value,
            record.scope_member_id,
        ]
        for record in sorted(records, key=lambda one: one.key)
    ]
    return hashlib.sha256(msgspec.json.encode(rows)).digest()


def manifest(records: Sequence[PolicyVersion]) -> bytes:
    """The canonical JSON [[key, version], ...] by key, from which a revision is rebuilt."""
    rows = sorted((record.key, record.version) for record in records)
    return msgspec.json.encode(rows)


def revision_mac(
    subkey: bytes,
    agent_id: str,
    revision: int,
    manifest_json: bytes,
    set_hash: bytes,
    schema_hash: bytes,
) -> bytes:
    """HMAC-SHA256 of a revision under K("policy-revision"); each field behind its u32 length."""
    fields = (
        agent_id.encode(),
        struct.pack(">Q", revision),
        manifest_json,
        set_hash,
        schema_hash,
    )
    body = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return hmac.new(subkey, _LABEL + body, hashlib.sha256).digest()

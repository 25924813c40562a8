"""Policy records, their immutable versions, the revisions of sets.

Tables `policies`, `policy_versions`, `policy_revisions`. Triggers refuse changes of versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from wicketd.domain.ids import AgentId, MemberId, PolicyId, PolicyRevision
from wicketd.domain.policies import Cause, Mode, PolicyVersion
from wicketd.domain.ports import Query, Statement

_COLUMNS: Final = (
    "p.id, p.agent_id, p.key, p.scope_member_id, v.version, v.name, v.text, v.sha256, v.enabled, "
    "v.mode, v.statements, v.projection, v.cause, v.note, v.rolled_back_from, v.created_by, "
    "v.created_at"
)
_VERSIONS: Final = (
    f"SELECT {_COLUMNS} FROM policies AS p JOIN policy_versions AS v ON v.policy_id = p.id"
)
_CURRENT: Final = f"{_VERSIONS} AND v.version = p.current_version"
_REVISION_COLUMNS: Final = (
    "agent_id, revision, manifest, set_sha256, schema_sha256, mac, kid, cause, actor, at"
)


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One revision of an agent's set. `manifest`: canonical JSON [[policy key, version], …]."""

    agent_id: AgentId
    revision: PolicyRevision
    manifest: str
    set_sha256: bytes
    schema_sha256: bytes
    mac: bytes
    kid: str
    cause: Cause
    actor: str
    at: int


def read(row: Sequence[Any]) -> PolicyVersion:
    """The version of a row, with what its record fixes."""
    return PolicyVersion(
        policy_id=PolicyId(row[0]),
        agent_id=AgentId(row[1]),
        key=row[2],
        scope_member_id=None if row[3] is None else MemberId(row[3]),
        version=row[4],
        name=row[5],
        text=row[6],
        sha256=row[7],
        enabled=bool(row[8]),
        mode=Mode(row[9]),
        statements=row[10],
        projection=msgspec.json.decode(row[11], type=dict[str, Any]),
        cause=Cause(row[12]),
        note=row[13],
        rolled_back_from=row[14],
        created_by=row[15],
        created_at=row[16],
    )


def current(agent_id: AgentId) -> Query[PolicyVersion]:
    """The current version of every record that is not deleted, by key: the agent's set."""
    return Query(
        f"{_CURRENT} WHERE p.agent_id = ? AND p.deleted_at IS NULL ORDER BY p.key",
        (agent_id,),
        read,
    )


def current_of(agent_id: AgentId, key: str) -> Query[PolicyVersion]:
    """The current version of one record that is not deleted."""
    return Query(
        f"{_CURRENT} WHERE p.agent_id = ? AND p.key = ? AND p.deleted_at IS NULL",
        (agent_id, key),
        read,
    )


def key_in_use(agent_id: AgentId, key: str) -> Query[PolicyId]:
    """The record that has or had the key: keys are never reused."""
    return Query(
        "SELECT id FROM policies WHERE agent_id = ? AND key = ?",
        (agent_id, key),
        lambda row: PolicyId(row[0]),
    )


def versions(agent_id: AgentId, key: str) -> Query[PolicyVersion]:
    """Every version of a record, newest first; of deleted ones too."""
    return Query(
        f"{_VERSIONS} WHERE p.agent_id = ? AND p.key = ? ORDER BY v.version DESC",
        (agent_id, key),
        read,
    )


def version(agent_id: AgentId, key: str, number: int) -> Query[PolicyVersion]:
    """One version; of a deleted record too."""
    return Query(
        f"{_VERSIONS} AND v.version = ? WHERE p.agent_id = ? AND p.key = ?",
        (number, agent_id, key),
        read,
    )


def insert_policy(first: PolicyVersion) -> Statement:
    """Adds the record of a first version; `Conflict` when its key is or was in use."""
    return Statement(
        "INSERT INTO policies (id, agent_id, key, scope_member_id, current_version, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            first.policy_id,
            first.agent_id,
            first.key,
            first.scope_member_id,
            first.version,
            first.created_at,
        ),
    )


def insert_version(version: PolicyVersion) -> Statement:
    """Adds a version; it becomes current by `set_current`."""
    return Statement(
        "INSERT INTO policy_versions (policy_id, version, name, text, sha256, enabled, mode, "
        "statements, projection, cause, note, rolled_back_from, created_by, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.policy_id,
            version.version,
            version.name,
            version.text,
            version.sha256,
            int(version.enabled),
            version.mode,
            version.statements,
            msgspec.json.encode(version.projection, order="deterministic").decode(),
            version.cause,
            version.note,
            version.rolled_back_from,
            version.created_by,
            version.created_at,
        ),
    )


def set_current(policy_id: PolicyId, number: int) -> Statement:
    """Puts a version in force; 0 rows when the record is deleted."""
    return Statement(
        "UPDATE policies SET current_version = ? WHERE id = ? AND deleted_at IS NULL",
        (number, policy_id),
    )


def mark_deleted(policy_id: PolicyId, at_ms: int) -> Statement:
    """Takes a record out of the set for good; 0 rows when it was."""
    return Statement(
        "UPDATE policies SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (at_ms, policy_id)
    )


def read_revision(row: Sequence[Any]) -> RevisionRow:
    """The revision of a row."""
    return RevisionRow(
        agent_id=AgentId(row[0]),
        revision=PolicyRevision(row[1]),
        manifest=row[2],
        set_sha256=row[3],
        schema_sha256=row[4],
        mac=row[5],
        kid=row[6],
        cause=Cause(row[7]),
        actor=row[8],
        at=row[9],
    )


def insert_revision(revision: RevisionRow) -> Statement:
    """Adds a revision; `Conflict` when the number is taken."""
    return Statement(
        f"INSERT INTO policy_revisions ({_REVISION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            revision.agent_id,
            revision.revision,
            revision.manifest,
            revision.set_sha256,
            revision.schema_sha256,
            revision.mac,
            revision.kid,
            revision.cause,
            revision.actor,
            revision.at,
        ),
    )


def revision(agent_id: AgentId, number: int) -> Query[RevisionRow]:
    """One revision."""
    return Query(
        f"SELECT {_REVISION_COLUMNS} FROM policy_revisions WHERE agent_id = ? AND revision = ?",
        (agent_id, number),
        read_revision,
    )


def revisions(agent_id: AgentId, limit: int = 500) -> Query[RevisionRow]:
    """The newest revisions, newest first."""
    return Query(
        f"SELECT {_REVISION_COLUMNS} FROM policy_revisions WHERE agent_id = ? "
        "ORDER BY revision DESC LIMIT ?",
        (agent_id, limit),
        read_revision,
    )

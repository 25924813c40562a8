"""Makes changes of policy records as values: a record's first version, its next ones, its end.

Counterpart: `services.policy_sets` compiles and writes them. A version is immutable once written.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, TypedDict, Unpack

from wicketd.domain.actor import Author
from wicketd.domain.ids import AgentId, MemberId, PolicyId
from wicketd.domain.policies import Cause, Mode, PolicyVersion
from wicketd.policy import lexer
from wicketd.services.desk import Desk

AUDIT: Final = {
    Cause.CREATE: "policy.created",
    Cause.BASELINE: "policy.created",
    Cause.SAVE: "policy.saved",
    Cause.RENAME: "policy.saved",
    Cause.CATALOGUE: "policy.saved",
    Cause.ENABLE: "policy.enabled",
    Cause.DISABLE: "policy.disabled",
    Cause.MODE: "policy.mode",
    Cause.ROLLBACK: "policy.rolled_back",
    Cause.DELETE: "policy.deleted",
    Cause.IMPORT: "policy.imported",
}
"""The audit kind of a change by its cause."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One record's change: from `before` (None: it is new) to `after` (None: it is deleted)."""

    cause: Cause
    before: PolicyVersion | None
    after: PolicyVersion | None

    @property
    def kind(self) -> str:
        """The audit kind of its row."""
        return AUDIT[self.cause]

    @property
    def key(self) -> str:
        """The record's key."""
        record = self.after or self.before
        return record.key if record is not None else ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that does not exist yet; its values are checked."""

    key: str
    name: str
    text: str
    scope: MemberId | None = None
    enabled: bool = True
    mode: Mode = Mode.ENFORCE
    note: str | None = None
    cause: Cause = Cause.CREATE


class VersionChanges(TypedDict, total=False):
    """What a next version may have other than the one before."""

    name: str
    text: str
    enabled: bool
    mode: Mode
    note: str | None
    rolled_back_from: int | None


def first(desk: Desk, author: Author, agent_id: AgentId, draft: Draft) -> Edit:
    """Version 1 of a new record."""
    version = PolicyVersion(
        policy_id=PolicyId(desk.ids.uuid7()),
        agent_id=agent_id,
        key=draft.key,
        scope_member_id=draft.scope,
        version=1,
        name=draft.name,
        text=draft.text,
        sha256=_sha256(draft.text),
        enabled=draft.enabled,
        mode=draft.mode,
        statements=len(lexer.split(draft.text)),
        projection={},
        cause=draft.cause,
        note=draft.note,
        rolled_back_from=None,
        created_by=author.label(),
        created_at=desk.clock.now_ms(),
    )
    return Edit(draft.cause, None, version)


def next_of(
    desk: Desk,
    author: Author,
    before: PolicyVersion,
    cause: Cause,
    **changes: Unpack[VersionChanges],
) -> Edit:
    """The version behind `before`. A note belongs to one version and is not taken along."""
    text = changes.get("text", before.text)
    after = replace(
        before,
        version=before.version + 1,
        name=changes.get("name", before.name),
        text=text,
        sha256=_sha256(text),
        enabled=changes.get("enabled", before.enabled),
        mode=changes.get("mode", before.mode),
        statements=len(lexer.split(text)),
        cause=cause,
        note=changes.get("note"),
        rolled_back_from=changes.get("rolled_back_from"),
        created_by=author.label(),
        created_at=desk.clock.now_ms(),
    )
    return Edit(cause, before, after)


def deletion(before: PolicyVersion) -> Edit:
    """The end of a record; its versions stay readable."""
    return Edit(Cause.DELETE, before, None)


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

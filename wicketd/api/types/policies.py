"""Policies, their versions and revisions on the wire."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from wicketd.api.types.listing import Paged
from wicketd.api.types.names import Names

Mode = Literal["enforce", "shadow"]
Note = Annotated[str, Meta(max_length=500)]
PolicyName = Annotated[str, Meta(min_length=1, max_length=120)]
PolicyText = Annotated[str, Meta(max_length=262144)]
"""Longer than a policy may be: the size guard answers with its own sentence."""


class Watched(Struct, frozen=True, kw_only=True):
    """What a policy in shadow mode would have changed since it is.

    `allow_deny`: calls that were allowed and would be denied; `deny_allow`: the other way round.
    """

    since: str
    allow_deny: int
    deny_allow: int


class PolicyVersion(Struct, frozen=True, kw_only=True):
    """One immutable version of a policy.

    `sha256`: of the text, hex; `scope`: member id, None for the agent; `watched`: of a live policy
    in shadow mode, where it is listed or shown.
    """

    policy_id: str
    key: str
    name: str
    version: int
    text: str
    sha256: str
    enabled: bool
    mode: str
    scope: str | None
    statements: int
    cause: str
    note: str | None
    rolled_back_from: int | None
    created_by: str
    created_at: str
    watched: Watched | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """The current version of a policy, under the agent's revision."""

    current: PolicyVersion
    policy_revision: int


class PolicyList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The live policies of an agent."""

    agent: str


class PolicyRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`policy`: its key."""

    agent: str
    policy: str


class VersionRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a policy, counted from 1."""

    agent: str
    policy: str
    version: int


class VersionList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The versions of a policy, newest first."""

    agent: str
    policy: str


class PolicyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new policy.

    `key` defaults to the slug of the name; `scope`: a member of an untrusted agent.
    """

    agent: str
    name: PolicyName
    text: PolicyText
    key: str | None = None
    enabled: bool = True
    mode: Mode = "enforce"
    scope: str | None = None
    note: Note | None = None


class PolicySave(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new version of a policy; absent fields stay."""

    agent: str
    policy: str
    name: PolicyName | UnsetType = UNSET
    text: PolicyText | UnsetType = UNSET
    note: Note | None = None


class PolicyEnabled(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turns a policy on or off."""

    agent: str
    policy: str
    enabled: bool


class PolicyMode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enforces a policy, or lets it only be watched."""

    agent: str
    policy: str
    mode: Mode


class PolicyRollback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new version with the text of an old one, checked against today's schema."""

    agent: str
    policy: str
    version: int
    note: Note | None = None


class PolicySaved(Struct, frozen=True, kw_only=True):
    """What was written. `policy_revision` is the agent's new revision and the ETag."""

    version: PolicyVersion
    policy_revision: int


class PolicyDeleted(Struct, frozen=True, kw_only=True):
    """The agent's revision after the delete."""

    policy_revision: int


class PolicyCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to check, as if it were saved.

    `scope`: a member, None for the agent. `policy`: the one whose text it would replace.
    """

    agent: str
    text: PolicyText
    scope: str | None = None
    policy: str | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """One finding. `start`, `end`: code points; `line`, `col`: from 1."""

    severity: str
    code: str
    message: str
    start: int
    end: int
    line: int
    col: int
    statement: int | None
    approximate: bool
    engine_message: str | None = None
    fix: str | None = None


class CheckedStatement(Struct, frozen=True, kw_only=True):
    """A statement without errors. `number`, `line`: from 1; `id`: its `@id`."""

    number: int
    effect: str
    id: str | None
    line: int


class TouchedTool(Struct, frozen=True, kw_only=True):
    """A live tool, with the numbers of the statements that can hold for some call of it."""

    service: str
    tool: str
    tier: str
    statements: tuple[int, ...]


class PolicyChecked(Struct, frozen=True, kw_only=True):
    """The findings of a check, errors first.

    `touched`: by service and tool, None where the text is too costly to tell.
    """

    problems: tuple[Problem, ...]
    statements: tuple[CheckedStatement, ...] = ()
    touched: tuple[TouchedTool, ...] | None = None


class PolicyFormat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to format. `agent` only fills the path: formatting looks at no schema."""

    text: PolicyText
    agent: str = "any"


class PolicyFormatted(Struct, frozen=True, kw_only=True):
    """The formatted text."""

    text: str


class Schema(Struct, frozen=True, kw_only=True):
    """The agent's Cedar schema. `sha256`: of `text`, hex; `names`: what policies can name."""

    text: str
    sha256: str
    names: Names


class RevisionList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The revisions of an agent's policies, newest first."""

    agent: str


class RevisionRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One revision of an agent's policies."""

    agent: str
    revision: int


class ManifestItem(Struct, frozen=True, kw_only=True):
    """One policy of a revision, at the version then in force."""

    policy: str
    version: int


class Revision(Struct, frozen=True, kw_only=True):
    """The set of versions in force from `at` on. Hashes are hex."""

    revision: int
    manifest: tuple[ManifestItem, ...]
    set_sha256: str
    schema_sha256: str
    cause: str
    actor: str
    at: str

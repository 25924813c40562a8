"""Policy records and decisions (policy spec, sections 3 and 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wicketd.domain.ids import AgentId, MemberId, PolicyId, PolicyRevision
from wicketd.domain.json import Json, JsonObject


class Mode(StrEnum):
    """Shadow records are evaluated beside the enforced ones and change nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class Effect(StrEnum):
    """Cedar's two effects."""

    PERMIT = "permit"
    FORBID = "forbid"


class Cause(StrEnum):
    """Why a version or revision was written."""

    CREATE = "create"
    SAVE = "save"
    RENAME = "rename"
    ENABLE = "enable"
    DISABLE = "disable"
    MODE = "mode"
    ROLLBACK = "rollback"
    DELETE = "delete"
    BASELINE = "baseline"
    CATALOGUE = "catalogue"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One immutable version of a record. `scope_member_id` None: the record is agent-wide."""

    policy_id: PolicyId
    agent_id: AgentId
    key: str
    scope_member_id: MemberId | None
    version: int
    name: str
    text: str
    sha256: bytes
    enabled: bool
    mode: Mode
    statements: int
    projection: JsonObject
    cause: Cause
    note: str | None
    rolled_back_from: int | None
    created_by: str
    created_at: int


class Reason(StrEnum):
    """Why a decision fell as it did; closed (policy spec, 3.4)."""

    PERMITTED = "permitted"
    FORBIDDEN = "forbidden"
    NO_PERMIT = "no_permit"
    NO_MEMBER_POLICY = "no_member_policy"
    ENGINE_ERROR = "engine_error"
    ENGINE_LATE = "engine_late"
    SNAPSHOT_MISSING = "snapshot_missing"
    CATALOGUE_REJECTED = "catalogue_rejected"
    POLICY_STALE = "policy_stale"
    TOOL_HELD = "tool_held"
    NOT_REPRESENTABLE = "not_representable"
    TARGET_UNRESOLVED = "target_unresolved"
    ARGS_TOO_LARGE = "args_too_large"
    NO_CONTEXT = "no_context"


COUNTED_DENIALS = frozenset({Reason.FORBIDDEN, Reason.NO_PERMIT, Reason.NO_MEMBER_POLICY})
"""What raises `context.session.denials`.

Refusals of policy alone, so no typing error trips a breaker.
"""


@dataclass(frozen=True, slots=True, order=True)
class Determining:
    """A statement that decided. `statement` counts from 1 in the version's text."""

    policy_id: str
    key: str
    version: int
    statement: int
    effect: Effect
    mode: Mode


@dataclass(frozen=True, slots=True)
class Shadow:
    """What would have been decided with the shadow records enforced."""

    allow: bool
    flip: str | None
    """"allow_deny", "deny_allow" or None."""
    determining: tuple[Determining, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodedRequest:
    """What the audit keeps of the Cedar request.

    Uids are canonical texts; `context` is without `input`.
    """

    action: str
    resource: str
    parents: tuple[str, ...]
    context: Mapping[str, Json]
    unmodelled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The one answer to "may this call go on".

    `allow` only for Allow without errors, in time, not blocked.
    """

    allow: bool
    reason: Reason
    determining: tuple[Determining, ...]
    deny_messages: tuple[str, ...]
    errors: tuple[str, ...]
    shadow: Shadow | None
    request: EncodedRequest | None
    revision: PolicyRevision
    set_sha256: bytes
    schema_sha256: bytes
    eval_us: int
    pointer: str | None = None
    """JSON Pointer of the argument that could not be represented, with `expected`."""
    expected: str | None = None
    cause: str | None = None
    """For the audit only."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a check; offsets are code points, `line` and `col` count from 1."""

    severity: str
    """"error" or "warning"."""
    code: str
    message: str
    engine_message: str | None
    start: int
    end: int
    line: int
    col: int
    statement: int | None
    approximate: bool = False
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """What the policy child reads off one statement.

    Enough to slice, label and deny without the text.
    """

    effect: Effect
    principal: JsonObject
    action: JsonObject
    resource: JsonObject
    """Scope constraints in Cedar's JSON policy form."""
    annotations: Mapping[str, str]
    start: int
    end: int

"""Calls that nobody made, and calls that were made decided once more, on the wire."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from wicketd.api.types.policies import Mode, PolicyText

Count = Annotated[int, Meta(ge=0)]


class DraftText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to try, enforced.

    `policy`: the record it would replace; None: a new one. `scope`: a member of an untrusted agent.
    """

    text: PolicyText
    policy: str | None = None
    scope: str | None = None


class SetPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One policy of a whole set to try."""

    key: str
    text: PolicyText
    enabled: bool = True
    mode: Mode = "enforce"
    scope: str | None = None


class SessionCounters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool session before the call. `tools`: allowed calls, as `service__tool`."""

    calls: Count = 0
    denials: Count = 0
    tools: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    age_seconds: Count = 0


class Simulate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to decide in thought.

    `tool`: as clients name it, `service__tool`. `entry`: an audit entry whose recorded arguments
    are taken in place of `arguments`; they stay sealed. `time`: ISO 8601, default now. `draft`: a
    text beside or in place of a record; `set`: a whole set in place of the stored one.
    """

    agent: str
    member: str
    tool: str
    arguments: dict[str, Any] | None = None
    entry: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    time: str | None = None
    ip: str = "127.0.0.1"
    session: SessionCounters | None = None
    draft: DraftText | None = None
    set: Annotated[tuple[SetPolicy, ...], Meta(max_length=5000)] | None = None


class Determining(Struct, frozen=True, kw_only=True):
    """A statement that decided, counted from 1; `version` 0: a text that is not saved."""

    policy: str
    version: int
    statement: int
    effect: str
    mode: str


class SimulatedRequest(Struct, frozen=True, kw_only=True):
    """The request as the policies read it. Values of extension types are texts."""

    principal: str
    action: str
    resource: str
    parents: tuple[str, ...]
    context: dict[str, Any]


class ConditionPart(Struct, frozen=True, kw_only=True):
    """A part of a statement and what came of it.

    `kind`: principal, action, resource, when, unless, and, or, not, leaf. `start`, `end`: code
    points in the statement. `outcome`: true, false, error, skipped or unread. `values`: what the
    part read, by path; null is absent.
    """

    kind: str
    text: str
    start: int
    end: int
    outcome: str
    error: str | None = None
    values: dict[str, Any] = {}
    children: tuple["ConditionPart", ...] = ()


class StatementTree(Struct, frozen=True, kw_only=True):
    """A statement that can match the tool, taken apart.

    `outcome`: satisfied, unsatisfied or error.
    """

    policy: str
    version: int
    statement: int
    effect: str
    mode: str
    text: str
    outcome: str
    error: str | None
    parts: tuple[ConditionPart, ...]


class Explanation(Struct, frozen=True, kw_only=True):
    """What one set makes of the call.

    `listed`: whether the member sees the tool. `pointer`, `expected`: the argument that has no
    representation. `elsewhere`: statements whose action scope cannot match the tool.
    """

    decision: str
    reason: str
    listed: bool
    determining: tuple[Determining, ...]
    messages: tuple[str, ...]
    errors: tuple[str, ...]
    pointer: str | None
    expected: str | None
    request: SimulatedRequest | None
    statements: tuple[StatementTree, ...]
    elsewhere: int


class Simulated(Struct, frozen=True, kw_only=True):
    """`now`: under the stored set; `after`: under the draft or set that was given."""

    now: Explanation
    after: Explanation | None

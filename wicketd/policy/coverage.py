"""What a set says about each tool, and which statements can ever matter (policy spec, 7.4).

Counterpart of `policy.slices`, which selects statements for a call. Invariant: pure and on the safe
side, a condition counts as one that can hold, so what is called uncovered is denied to everybody
and what is called unmatchable never decides.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wicketd.domain.policies import Effect, Mode, Reason
from wicketd.policy import conditions, entities, slices
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Kind, Subject
from wicketd.policy.slices import Statement

Place = tuple[str, str]
"""Service key and tool name."""


class Cover(StrEnum):
    """What the enforced set says about a tool, worst first."""

    UNCOVERED = "uncovered"
    ALWAYS_FORBIDDEN = "always_forbidden"
    GROUP = "group"
    NAMED = "named"


_CLAUSES: Final = frozenset({"when", "unless"})


@dataclass(frozen=True, slots=True)
class ToolCover:
    """One tool. `policies`: keys of the records whose statements can match calls of it.

    `is_stale`: its calls are denied until somebody looks at how it changed.
    """

    service: str
    tool: str
    tier: str
    cover: Cover
    policies: tuple[str, ...]
    is_stale: bool


def tools(snapshot: Snapshot, live: Iterable[Place], *, by_member: bool) -> list[ToolCover]:
    """Every live tool, in order. `by_member`: the agent is untrusted, members' records permit."""
    scopes = sorted(snapshot.members) if by_member else [None]
    return [
        _tool(snapshot, at, scopes) for at in sorted(live) if snapshot.subjects.get(at) is not None
    ]


def unmatchable(snapshot: Snapshot, live: Iterable[Place]) -> frozenset[str]:
    """Keys of the enabled records of which no statement can match any live action."""
    subjects = [*_subjects(snapshot, live)]
    every = {one.ref.key for one in snapshot.statements}
    return frozenset(
        every
        - {
            one.ref.key
            for one in snapshot.statements
            if any(_can_match(one, subject) for subject in subjects)
        }
    )


def _subjects(snapshot: Snapshot, live: Iterable[Place]) -> Iterator[Subject]:
    for at in live:
        subject = snapshot.subjects.get(at)
        if subject is not None:
            yield subject
    for service in snapshot.schema.services:
        for kind in (Kind.PROMPT, Kind.RESOURCE):
            yield entities.other_subject(kind, service, "any")


def _tool(snapshot: Snapshot, at: Place, scopes: Sequence[str | None]) -> ToolCover:
    subject, shape = snapshot.subjects[at], snapshot.schema.shapes[at]
    chosen = [
        one
        for scope in scopes
        for one in slices.select(snapshot.statements, subject.actions, scope, shadow=False)
        if _can_match(one, subject)
    ]
    return ToolCover(
        service=shape.service,
        tool=shape.name,
        tier=shape.tier.value,
        cover=_cover(chosen, subject),
        policies=tuple(sorted({one.ref.key for one in chosen})),
        is_stale=snapshot.blocked.get(subject.action) is Reason.POLICY_STALE,
    )


def _cover(chosen: Sequence[Statement], subject: Subject) -> Cover:
    if not any(one.ref.effect is Effect.PERMIT for one in chosen):
        return Cover.UNCOVERED
    if any(one.ref.effect is Effect.FORBID and _always(one, subject) for one in chosen):
        return Cover.ALWAYS_FORBIDDEN
    is_named = any(one.actions is not None and subject.action in one.actions for one in chosen)
    return Cover.NAMED if is_named else Cover.GROUP


def _can_match(one: Statement, subject: Subject) -> bool:
    is_about = one.actions is None or not one.actions.isdisjoint(subject.actions)
    return is_about and bool(slices.for_listing([one], subject.service, subject.types))


def _always(one: Statement, subject: Subject) -> bool:
    """Whether a statement holds for every member, target and instant."""
    if one.scope_member_id is not None or one.ref.mode is not Mode.ENFORCE:
        return False
    scope = slices.listing_scope(one.resource, subject.service, subject.types)
    parts = conditions.parts(one.text)
    principal = next(part.text for part in parts if part.kind == "principal")
    has_clause = any(part.kind in _CLAUSES for part in parts)
    return scope == {"op": "All"} and principal == "principal" and not has_clause

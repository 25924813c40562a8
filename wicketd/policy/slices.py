"""Which statements can matter for an action, in a call and in a list (policy spec, 3.1 and 8).

Counterpart of `policy.engine`, which parses and evaluates the slices. Invariant: pure and exact, a
statement is left out only if its scope cannot match.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Determining, Effect, Mode, PolicyVersion, StatementFacts
from wicketd.policy import heads
from wicketd.policy.entities import Uid

MAX_SET_BYTES: Final = 2 * 1024 * 1024
MAX_SET_STATEMENTS: Final = 5_000
MAX_FORBIDS: Final = 200
"""That a check looks at beside a text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a compiled set.

    `actions`: uids its action scope names, None if unconstrained.
    """

    ref: Determining
    text: str
    scope_member_id: str | None
    actions: frozenset[Uid] | None
    resource: JsonObject
    """Its resource scope in the JSON policy form."""
    deny_message: str | None


def statement(record: PolicyVersion, number: int, facts: StatementFacts) -> Statement:
    """The `number`-th statement (from 1) of an enabled record."""
    ref = Determining(
        record.policy_id, record.key, record.version, number, facts.effect, record.mode
    )
    message = facts.annotations.get("deny_message") if facts.effect is Effect.FORBID else None
    text = record.text[facts.start : facts.end]
    return Statement(
        ref, text, record.scope_member_id, scoped_actions(facts.action), facts.resource, message
    )


def live(records: Iterable[PolicyVersion]) -> list[PolicyVersion]:
    """The enabled records by key.

    Raises:
        PolicyInvalid: their texts are too long together.
    """
    found = sorted((one for one in records if one.enabled), key=lambda one: one.key)
    if sum(len(one.text.encode("utf-8", "surrogatepass")) for one in found) > MAX_SET_BYTES:
        raise PolicyInvalid("The agent's policies are over 2 MiB together. Remove some of them.")
    return found


def enforced_members(records: Iterable[PolicyVersion]) -> frozenset[str]:
    """Ids of the members with an enforced record of their own."""
    return frozenset(
        one.scope_member_id
        for one in records
        if one.scope_member_id is not None and one.mode is Mode.ENFORCE
    )


def any_shadow(records: Iterable[PolicyVersion | Determining]) -> bool:
    """Whether one of them is only watched."""
    return any(one.mode is Mode.SHADOW for one in records)


def few(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements of a set, if an agent may have so many.

    Raises:
        PolicyInvalid: it may not.
    """
    if len(statements) > MAX_SET_STATEMENTS:
        raise PolicyInvalid("The agent's policies hold over 5,000 statements. Remove some of them.")
    return tuple(statements)


def scoped_actions(scope: JsonObject) -> frozenset[Uid] | None:
    """The actions that a scope of the JSON policy form names; None if any action matches."""
    operator = scope.get("op")
    if operator == "All":
        return None
    named = scope.get("entities", [scope.get("entity")])
    if not isinstance(named, list):
        message = "The action scope has an unknown form."
        raise TypeError(message)
    return frozenset(uid_of(entity) for entity in named)


def uid_of(entity: Json) -> Uid:
    """A uid of the JSON policy form."""
    if isinstance(entity, dict):
        kind, name = entity.get("type"), entity.get("id")
        if isinstance(kind, str) and isinstance(name, str):
            return kind, name
    message = "The scope names an entity in an unknown form."
    raise TypeError(message)


def refs(statements: Iterable[Statement]) -> tuple[Determining, ...]:
    """What names these statements within their set."""
    return tuple(one.ref for one in statements)


def text_of(statements: Iterable[Statement]) -> str:
    """One policy text of these statements, in order."""
    return "\n".join(one.text for one in statements)


def select(
    statements: Iterable[Statement],
    actions: frozenset[Uid],
    member_id: str | None,
    *,
    shadow: bool,
) -> tuple[Statement, ...]:
    """The statements whose scope can match. `actions`: the action with its ancestors.

    `member_id`: the calling member on an untrusted agent, whose permits come from that member's
    records alone; None on a trusted one, where agent-wide records count alone.
    """
    return tuple(
        one
        for one in statements
        if (shadow or one.ref.mode is Mode.ENFORCE)
        and (one.actions is None or not one.actions.isdisjoint(actions))
        and _is_in_scope(one, member_id)
    )


def sure_forbids(
    statements: Iterable[Statement], member_id: str | None, replaced: str | None
) -> list[str]:
    """Enforced forbids that hold for calls of a record's scope whatever a call says of itself.

    `replaced`: the key of a record to leave out. At most 200 are given.
    """
    found = [
        one.text
        for one in statements
        if one.ref.effect is Effect.FORBID
        and one.ref.mode is Mode.ENFORCE
        and one.ref.key != replaced
        and one.scope_member_id in {None, member_id}
        and heads.is_sure(one.text)
    ]
    return found[:MAX_FORBIDS]


def _is_in_scope(one: Statement, member_id: str | None) -> bool:
    if one.scope_member_id is not None:
        return one.scope_member_id == member_id
    return member_id is None or one.ref.effect is Effect.FORBID


def for_listing(
    statements: Iterable[Statement], service: str, types: Sequence[str]
) -> list[Statement]:
    """A slice in which what holds of every resource of the action is decided already.

    It works on the text, since the engine does not read the JSON form of a long chain back.
    """
    kept: list[Statement] = []
    for one in statements:
        scope = listing_scope(one.resource, service, types)
        if scope is None:
            continue
        if scope != one.resource:
            kind = scope.get("entity_type")
            clause = f"resource is {kind}" if isinstance(kind, str) else "resource"
            kept.append(replace(one, text=heads.with_resource(one.text, clause)))
        else:
            kept.append(one)
    return kept


def listing_scope(scope: JsonObject, service: str, types: Sequence[str]) -> JsonObject | None:
    """A resource scope as it reads for tools of `service` before a call; None: never matches.

    Everything of a service lies in it, and an action's resource types are known, so both conditions
    are decided now; else a mapped tool under a service-wide forbid would stay listed (policy spec,
    section 8).
    """
    operator = scope.get("op")
    if operator == "is":
        return _is_scope(scope, service, types)
    if operator == "in" and _service_of(scope.get("entity")) is not None:
        return {"op": "All"} if _service_of(scope.get("entity")) == service else None
    return scope


def _is_scope(scope: JsonObject, service: str, types: Sequence[str]) -> JsonObject | None:
    kind, inner = scope.get("entity_type"), scope.get("in")
    if kind not in types:
        return None
    below: JsonObject | None = {"op": "All"}
    if isinstance(inner, dict):
        below = listing_scope({"op": "in", **inner}, service, types)
    if below is None or list(types) == [kind]:
        return below
    return {"op": "is", "entity_type": kind} if below.get("op") == "All" else scope


def _service_of(entity: Json) -> str | None:
    if not isinstance(entity, dict) or entity.get("type") != "Wicket::Service":
        return None
    name = entity.get("id")
    return name if isinstance(name, str) else None

"""What the engine accepts and an author cannot have meant (policy spec, 5.2).

Counterpart of `policy.checker`, which runs them behind the engine's own validation. Invariant:
pure; each check reads statement facts and tokens, never the engine.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from wicketd.domain.members import Member
from wicketd.domain.policies import Effect, Problem, StatementFacts
from wicketd.policy import lexer, mends
from wicketd.policy.diagnose import Place, problem
from wicketd.policy.entities import ActionAt, Uid
from wicketd.policy.lexer import Path, Span
from wicketd.policy.names import Names, TargetIds
from wicketd.policy.nearest import nearest
from wicketd.policy.schema import GROUP_ANY, CedarSchema, quote
from wicketd.policy.slices import scoped_actions, uid_of

MAX_MESSAGE: Final = 500

_GROUPS: Final = frozenset({"call_tool", "read", "write", "destructive"})
_LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNSHOWABLE: Final = re.compile(f"[\\t\\n\\r{lexer.DECEPTIVE}]")
_ANNOTATIONS: Final = frozenset({"id", "deny_message"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What a record may name and say: known ids by entity type, and whether it may permit."""

    ids: dict[str, tuple[str, ...]]
    may_permit: bool = True
    names: Names | None = None
    members: tuple[str, ...] | None = None
    """Ids of the agent's members as principals; None: not known here."""
    groups: tuple[str, ...] | None = None
    live: tuple[ActionAt, ...] = ()
    """What calls can come about; empty: statements are not tried."""
    forbids: tuple[str, ...] = ()
    """Forbids that are in force beside the text, as statements."""

    @classmethod
    def of(
        cls, agent_key: str, schema: CedarSchema, *, may_permit: bool, names: Names | None = None
    ) -> "Scope":
        """`may_permit`: False for agent-wide records of an untrusted agent."""
        tools = tuple(shape.front_name for shape in schema.shapes.values())
        ids = {
            "Wicket::Agent": (agent_key,),
            "Wicket::Service": schema.services,
            "Wicket::Tool": tools,
        }
        return cls(ids, may_permit, names)

    def among(self, everyone: Sequence[Member]) -> "Scope":
        """The scope of an agent with these members."""
        groups = tuple(sorted({group for one in everyone for group in one.groups}))
        return replace(self, members=tuple(one.principal for one in everyone), groups=groups)


def run(text: str, read: Sequence[tuple[Place, StatementFacts]], scope: Scope) -> list[Problem]:
    """Every finding on the statements of a text that parse, in order."""
    found: list[Problem] = []
    labels = frozenset(one.annotations["id"] for _, one in read if "id" in one.annotations)
    for place, one in read:
        found += _action_scope(place, one, labels)
        found += _entities(place, scope)
        found += _targets(place, one, scope)
        found += _annotations(place, one)
        if one.effect is Effect.PERMIT and not scope.may_permit:
            message = (
                "Records for a whole untrusted agent only forbid. "
                "Put the permit into a record of the member."
            )
            found.append(problem(text, "permit_scope", message, place.span, place))
    return found + list(_duplicates(text, read))


def _action_scope(place: Place, one: StatementFacts, labels: frozenset[str]) -> Iterator[Problem]:
    operator = one.action.get("op")
    named = scoped_actions(one.action) or frozenset()
    if operator == "==" and _is_group(uid_of(one.action.get("entity"))):
        message = "A group of actions equals no action, so this never matches. Use `in`."
        span = _operator(place)
        yield problem(place.text, "group_needs_in", message, span, place, fix="in")
    if operator == "in" and len({kind for kind, _ in named}) > 1:
        message = "A list holds actions of one service only. Write one statement per service."
        starts = {(path.type, path.id): path.start for path in place.paths}
        actions = sorted(named, key=lambda uid: (starts.get(uid, 0), uid))
        fix = mends.split(place.source, actions, one.annotations.get("id"), labels)
        yield _rewritten(place, "mixed_types", message, fix)


def _is_group(uid: Uid) -> bool:
    kind, name = uid
    return name in _GROUPS if kind == "Wicket::Action" else name == GROUP_ANY


def _operator(place: Place) -> Span:
    """The operator behind the scope's `action`."""
    tokens = place.tokens
    for variable, operator in pairwise(tokens):
        if variable.text == "action":
            return _shifted(place, Span(operator.start, operator.end))
    return place.span


def _rewritten(place: Place, code: str, message: str, fix: str) -> Problem:
    """An error of a whole statement with what would stand there, if the record has room for it."""
    room = lexer.MAX_BYTES - len(place.text.encode()) + len(place.source.encode())
    kept = mends.kept(place.source, fix, room)
    return problem(place.text, code, message, place.span, place, kept)


def _shifted(place: Place, span: Span) -> Span:
    return Span(place.span.start + span.start, place.span.start + span.end)


def _entities(place: Place, scope: Scope) -> Iterator[Problem]:
    for path in place.paths:
        known = scope.ids.get(path.type)
        if known is None or path.id in known:
            continue
        near = nearest(path.id, known)
        fix = f"{path.type}::{quote(near[0])}" if near else None
        noun = path.type.removeprefix("Wicket::").lower()
        message = f"There is no {noun} {path.id!r} here, so this matches nothing. Name a live one."
        span = _shifted(place, Span(path.start, path.end))
        yield problem(place.text, "unknown_entity", message, span, place, fix)


def _targets(place: Place, facts: StatementFacts, scope: Scope) -> Iterator[Problem]:
    """Resources that no call ever has: ids of another form, tools whose calls have a target."""
    if scope.names is None:
        return
    for path in place.paths:
        rules = [one for one in scope.names.targets if one.type == path.type]
        span = _shifted(place, Span(path.start, path.end))
        if rules and not any(_can_be(one, path.id) for one in rules):
            folded = next((one for one in rules if _can_be(one, path.id.lower())), None)
            fix = f"{path.type}::{quote(path.id.lower())}" if folded else None
            meant = f"Did you mean {path.id.lower()!r}?" if folded else "Write it as calls do."
            message = f"No target of this type ever has the id {path.id!r}. {meant}"
            yield problem(place.text, "bad_target_id", message, span, place, fix)
    for at, clause in _tool_equalities(place):
        tool = next(
            (
                one
                for one in scope.names.tools
                if one.needs_target and f"{one.service}__{one.name}" == at.id
            ),
            None,
        )
        if tool is not None:
            yield _targeted(place, facts, at, clause, (f"{tool.namespace}::Action", tool.name))


def _targeted(
    place: Place, facts: StatementFacts, at: Path, clause: "_Equality", action: Uid
) -> Problem:
    """A tool where its calls have a target; its action is what an author means."""
    wanted = f"{action[0]}::{quote(action[1])}"
    message = (
        f"Calls of {at.id} have a target as their resource, so this never matches. "
        f"Compare the action instead, with {wanted}."
    )
    if clause.is_condition:
        fix = f"action == {wanted}"
        return problem(place.text, "targeted_tool", message, clause.span, place, fix)
    named = scoped_actions(facts.action)
    if named is None or action in named:
        fix = mends.by_action(place.source, action)
        return _rewritten(place, "targeted_tool", message, fix)
    return problem(place.text, "targeted_tool", message, clause.span, place)


def _can_be(rule: TargetIds, name: str) -> bool:
    is_folded = rule.fold != "lower" or name == name.lower()
    return is_folded and re.fullmatch(rule.pattern, name) is not None


@dataclass(frozen=True, slots=True)
class _Equality:
    """`resource == <tool>` in a text, and whether it stands in a condition."""

    span: Span
    is_condition: bool


def _tool_equalities(place: Place) -> Iterator[tuple[Path, _Equality]]:
    tokens = place.tokens
    ends = {path.start: path for path in place.paths if path.type == "Wicket::Tool"}
    clauses = (one.start for one in tokens if one.text in {"when", "unless"})
    conditions_start = next(clauses, len(place.source))
    for variable, operator, first in zip(tokens, tokens[1:], tokens[2:], strict=False):
        path = ends.get(first.start)
        if path is not None and variable.text == "resource" and operator.text == "==":
            span = _shifted(place, Span(variable.start, path.end))
            yield path, _Equality(span, variable.start > conditions_start)


def _annotations(place: Place, one: StatementFacts) -> Iterator[Problem]:
    for name, value in one.annotations.items():
        span = _annotation(place, name)
        if name not in _ANNOTATIONS:
            message = (
                f"Nothing reads the annotation @{name}. Remove it, or use @id or @deny_message."
            )
            unknown = problem(place.text, "unknown_annotation", message, span, place)
            yield replace(unknown, severity="warning")
        elif name == "id" and not _LABEL.fullmatch(value):
            message = "An @id has 1 to 64 letters, digits, dots, dashes or underscores. Rename it."
            yield problem(place.text, "duplicate_id", message, span, place)
        elif name == "deny_message" and _is_unusable(one.effect, value):
            message = (
                f"A @deny_message stands on a forbid and has 1 to {MAX_MESSAGE} visible "
                "characters. Shorten or move it."
            )
            yield problem(place.text, "bad_deny_message", message, span, place)


def _is_unusable(effect: Effect, message: str) -> bool:
    is_sized = 1 <= len(message) <= MAX_MESSAGE
    return effect is not Effect.FORBID or not is_sized or bool(_UNSHOWABLE.search(message))


def _annotation(place: Place, name: str) -> Span:
    """From the `@` of an annotation to the end of its name."""
    tokens = place.tokens
    for sign, label in pairwise(tokens):
        if sign.text == "@" and label.text == name:
            return _shifted(place, Span(sign.start, label.end))
    return place.span


def _duplicates(text: str, read: Sequence[tuple[Place, StatementFacts]]) -> Iterator[Problem]:
    ids = Counter(one.annotations["id"] for _, one in read if "id" in one.annotations)
    seen: set[str] = set()
    for place, one in read:
        label = one.annotations.get("id")
        if label is None or ids[label] == 1:
            continue
        if label in seen:
            message = f"The @id {label!r} stands twice in this record. Rename one of them."
            yield problem(text, "duplicate_id", message, _annotation(place, "id"), place)
        seen.add(label)

"""Recorded requests decided many at a time, under two sets (policy spec, 7.3).

Counterparts: `policy.engine` decides single calls, `policy.replay` has many. Invariant: a request
gets what `engine.decide` says to it; whatever is not plainly allowed or denied is asked there,
alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wicketd.domain.json import Json
from wicketd.domain.policies import Reason
from wicketd.policy import decisions, engine, entities
from wicketd.policy.decisions import PolicyRequest, Question, Verdict
from wicketd.policy.engine import Slice, Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.lru import Lru

AT_ONCE: Final = 256
"""Requests of one call into the engine."""
_REMEMBERED: Final = 4_096

Pair = tuple[Verdict, Verdict]
"""What the first and the second set say."""


@dataclass(slots=True)
class _Group:
    """Questions about one action that one handle of entities answers."""

    known: dict[Uid, Json] = field(default_factory=dict)
    asked: list[tuple[int, PolicyRequest, Question]] = field(default_factory=list)

    def takes(self, more: Iterable[tuple[Uid, Json]]) -> bool:
        """Whether the entities fit in; no two may have one uid and other facts."""
        if len(self.asked) >= AT_ONCE:
            return False
        return all(self.known.get(uid, entity) == entity for uid, entity in more)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What of each set is asked about one action, None: nobody is permitted anything.

    `is_same`: both are. A draft is about a few actions; for the others one answer is both.
    """

    first: Slice | None
    second: Slice | None
    is_same: bool


class Batches:
    """Decides under `first` and `second`, two snapshots of one agent over one schema.

    `named`: the names that their statements mention; no decision depends on others (E11).
    """

    def __init__(self, first: Snapshot, second: Snapshot, named: frozenset[str]) -> None:
        self._first, self._second = first, second
        self._named = named
        self._parts: Lru[object, _Parts] = Lru(_REMEMBERED)
        self._stable: Lru[object, tuple[tuple[Uid, Json], ...]] = Lru(_REMEMBERED)

    def decide(self, requests: Sequence[PolicyRequest]) -> list[Pair]:
        """What both sets say to each request, in order."""
        found: dict[int, Pair] = {}
        groups: dict[tuple[Uid, str | None], list[_Group]] = {}
        for at, request in enumerate(requests):
            question = self._question(request)
            if question is None:
                found[at] = self._alone(request)
                continue
            of_action = groups.setdefault((question.subject.action, question.member_id), [])
            self._add(of_action, at, request, question)
        for of_action in groups.values():
            for group in of_action:
                self._answer(group, found)
        return [found[at] for at in range(len(requests))]

    def _question(self, request: PolicyRequest) -> Question | None:
        """The request as the engine reads it; None if it is denied before anybody is asked."""
        snapshot = self._first
        subject = entities.subject_of(
            snapshot.subjects, request.kind, request.service, request.name
        )
        if subject is None or subject.action in snapshot.blocked:
            return None
        if subject.action in self._second.blocked:
            return None
        try:
            asked = decisions.question(request, subject, snapshot.address, named=self._named)
        except (ValueError, OverflowError, KeyError):
            return None
        return None if isinstance(asked, Reason) else asked

    def _add(
        self, groups: list[_Group], at: int, request: PolicyRequest, question: Question
    ) -> None:
        facts = self._entities(request, question)
        if not groups or not groups[-1].takes(facts):
            groups.append(_Group())
        groups[-1].known.update(facts)
        groups[-1].asked.append((at, request, question))

    def _entities(self, request: PolicyRequest, question: Question) -> tuple[tuple[Uid, Json], ...]:
        member, subject, target = request.member, question.subject, request.target
        facts = (member.email, member.local_name, member.role, member.groups, member.tags)
        stable = self._stable.get(
            (facts, subject.action),
            lambda: entities.by_uid(entities.stable(self._first.agent_key, member, subject)),
        )
        if target is None:
            return stable
        return (*stable, *entities.by_uid(entities.mapped(target, subject.service)))

    def _answer(self, group: _Group, found: dict[int, Pair]) -> None:
        asked = [question.asked for _, _, question in group.asked]
        parts = self._of(group.asked[0][2])
        handle = engine.entities_of([*group.known.values()])
        first = self._said(parts.first, asked, handle)
        # The schema has judged these very requests already.
        second = first if parts.is_same else self._said(parts.second, asked, handle, is_new=False)
        for (at, request, _), *pair in zip(group.asked, first, second, strict=True):
            is_plain = all(one.reason is not Reason.ENGINE_ERROR for one in pair)
            found[at] = (pair[0], pair[1]) if is_plain else self._alone(request)

    def _said(
        self,
        part: Slice | None,
        asked: list[dict[str, object]],
        handle: engine.EntitiesHandle,
        *,
        is_new: bool = True,
    ) -> list[Verdict]:
        if part is None:
            return [Verdict(Reason.NO_MEMBER_POLICY)] * len(asked)
        return engine.answers(asked, part, handle, self._first.handle if is_new else None)

    def _of(self, question: Question) -> _Parts:
        def make() -> _Parts:
            first = engine.enforced_slice(self._first, question)
            second = engine.enforced_slice(self._second, question)
            if first is None or second is None:
                return _Parts(first, second, is_same=first is second)
            is_same = [*first.statements.values()] == [*second.statements.values()]
            return _Parts(first, second, is_same)

        return self._parts.get((question.subject.action, question.member_id), make)

    def _alone(self, request: PolicyRequest) -> Pair:
        first = engine.decide(self._first, request)
        second = first if self._second is self._first else engine.decide(self._second, request)
        return decisions.verdict_of(first), decisions.verdict_of(second)

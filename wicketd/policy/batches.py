"""Recorded requests decided many at a time, under two sets (policy spec, 7.3).

Counterparts: `policy.engine` decides single calls, `policy.replay` has many, `policy.readings` says
which of them no statement can tell apart: these are asked about once. Invariant: a request gets
what `engine.decide` says to it; whatever is not plainly allowed or denied is asked there, alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wicketd.domain.json import Json
from wicketd.domain.policies import Reason
from wicketd.policy import decisions, engine, entities, readings
from wicketd.policy.decisions import PolicyRequest, Question, Verdict
from wicketd.policy.engine import Slice, Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.lru import Lru
from wicketd.policy.readings import Reading
from wicketd.policy.slices import Statement

AT_ONCE: Final = 256
"""Requests of one call into the engine."""
_OPEN: Final = 8
"""Groups of one action that are looked at for a place: members change their groups and tags."""
_REMEMBERED: Final = 4_096

Pair = tuple[Verdict, Verdict]
"""What the first and the second set say."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request on its way into the engine, at its place in the page.

    `key`: equal for requests that no statement tells apart; None: unknown. `alike`: later requests
    of the page with that key.
    """

    at: int
    request: PolicyRequest
    question: Question
    parts: "_Parts"
    key: tuple[Uid, str | None, bytes] | None
    alike: list[tuple[int, PolicyRequest]] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Questions about one action that one handle of entities answers."""

    known: dict[Uid, Json] = field(default_factory=dict)
    asked: list[_Asked] = field(default_factory=list)

    def takes(self, more: Iterable[tuple[Uid, Json]]) -> bool:
        """Whether the entities fit in; no two may have one uid and other facts."""
        if len(self.asked) >= AT_ONCE:
            return False
        return all(self.known.get(uid, entity) == entity for uid, entity in more)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What of each set is asked about one action, None: nobody is permitted anything.

    `is_same`: both are. A draft is about a few actions; for the others one answer is both.
    `reading`: what both together read; None: unknown.
    """

    first: Slice | None
    second: Slice | None
    is_same: bool
    reading: Reading | None


class Batches:
    """Decides under `first` and `second`, two snapshots of one agent over one schema.

    `named`: the names that their statements mention; no decision depends on others (E11).
    """

    def __init__(self, first: Snapshot, second: Snapshot, named: frozenset[str]) -> None:
        self._first, self._second = first, second
        self._named = named
        self._parts: Lru[object, _Parts] = Lru(_REMEMBERED)
        self._stable: Lru[object, tuple[tuple[Uid, Json], ...]] = Lru(_REMEMBERED)
        self._answers: Lru[object, Pair] = Lru(_REMEMBERED)

    def decide(self, requests: Sequence[PolicyRequest]) -> list[Pair]:
        """What both sets say to each request, in order."""
        found: dict[int, Pair] = {}
        leaders: dict[object, _Asked] = {}
        groups: dict[tuple[Uid, str | None], list[_Group]] = {}
        for at, request in enumerate(requests):
            question = self._question(request)
            if question is None:
                found[at] = self._alone(request)
                continue
            asked = self._asked(at, request, question)
            if not self._is_known(asked, leaders, found):
                of_action = groups.setdefault((question.subject.action, question.member_id), [])
                self._add(of_action, asked)
        for of_action in groups.values():
            for group in of_action:
                self._answer(group, found)
        return [found[at] for at in range(len(requests))]

    def _asked(self, at: int, request: PolicyRequest, question: Question) -> _Asked:
        parts, key = self._of(question), None
        if parts.reading is not None and readings.is_typed(question.context, self._first.address):
            digest = parts.reading.digest(request, question)
            key = (question.subject.action, question.member_id, digest)
        return _Asked(at, request, question, parts, key)

    def _is_known(
        self, asked: _Asked, leaders: dict[object, _Asked], found: dict[int, Pair]
    ) -> bool:
        """Whether the answer is known, or will be with that of an earlier one of the page."""
        if asked.key is None:
            return False
        known = self._answers.find(asked.key)
        if known is not None:
            found[asked.at] = known
            return True
        leader = leaders.setdefault(asked.key, asked)
        if leader is not asked:
            leader.alike.append((asked.at, asked.request))
        return leader is not asked

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

    def _add(self, groups: list[_Group], asked: _Asked) -> None:
        facts = self._entities(asked.request, asked.question)
        group = next((one for one in groups[-_OPEN:] if one.takes(facts)), None)
        if group is None:
            group = _Group()
            groups.append(group)
        group.known.update(facts)
        group.asked.append(asked)

    def _entities(self, request: PolicyRequest, question: Question) -> tuple[tuple[Uid, Json], ...]:
        member, subject, target = request.member, question.subject, request.target
        stable = self._stable.get(
            (entities.facts(member), subject.action, subject.resource),
            lambda: entities.by_uid(entities.stable(self._first.agent_key, member, subject)),
        )
        if target is None:
            return stable
        return (*stable, *entities.by_uid(entities.mapped(target, subject.service)))

    def _answer(self, group: _Group, found: dict[int, Pair]) -> None:
        asked = [one.question.asked for one in group.asked]
        parts = group.asked[0].parts
        handle = engine.entities_of([*group.known.values()])
        first = self._said(parts.first, asked, handle)
        # The schema has judged these very requests already.
        second = first if parts.is_same else self._said(parts.second, asked, handle, is_new=False)
        for one, pair in zip(group.asked, zip(first, second, strict=True), strict=True):
            is_plain = all(verdict.reason is not Reason.ENGINE_ERROR for verdict in pair)
            if is_plain and one.key is not None:
                self._answers.keep(one.key, pair)
            for at, request in ((one.at, one.request), *one.alike):
                found[at] = pair if is_plain else self._alone(request)

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
            one, other = _statements(first), _statements(second)
            is_same = (first is None) == (second is None) and one == other
            return _Parts(first, second, is_same, engine.reading([*one, *other]))

        return self._parts.get((question.subject.action, question.member_id), make)

    def _alone(self, request: PolicyRequest) -> Pair:
        first = engine.decide(self._first, request)
        second = first if self._second is self._first else engine.decide(self._second, request)
        return decisions.verdict_of(first), decisions.verdict_of(second)


def _statements(part: Slice | None) -> list[Statement]:
    return [] if part is None else [*part.statements.values()]

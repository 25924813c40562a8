"""What the policy child answers about texts under a schema, with a memory for single statements.

Counterparts: `policy.checker` and `policy.touches` read texts, `policy.child` brings the questions.
Invariant: trying statements on live actions has a budget of CPU time; where it is spent, a check
says nothing of what it did not try, and a question about touches has no answer.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from typing_extensions import override

from wicketd.domain.policies import Problem, StatementFacts
from wicketd.policy import checker, engine, touches
from wicketd.policy.checks import Scope
from wicketd.policy.engine import SchemaHandle
from wicketd.policy.entities import ActionAt, Uid
from wicketd.policy.lru import Lru
from wicketd.policy.touches import OutOfTime, Touch
from wicketd.policy.trials import Trials

TOUCHES_CPU_NS: Final = 2_000_000_000
"""For what the statements of a text touch: ends before the child would have to be killed."""
TRIALS_CPU_NS: Final = 1_000_000_000
"""For the trials of one check."""
_SCHEMAS: Final = 8
_STATEMENTS: Final = 1_024
"""An editor checks the same text again and again."""

_Key = tuple[bytes, str]
"""Digests of the schema and of what else the answer depends on, and the statement."""


class _Remembered(Trials):
    """Trials whose answers are kept; `digest`: of schema and actions."""

    def __init__(self, trials: Trials, digest: bytes, memory: "Examiner") -> None:
        super().__init__(trials.schema, trials.subjects, trials.types, trials.tick)
        self._digest = digest
        self._memory = memory

    @override
    def read(self, statement: str) -> StatementFacts:
        return self._memory.facts.get(statement, partial(super().read, statement))

    @override
    def touched(self, statement: str, facts: StatementFacts) -> tuple[Uid, ...]:
        make = partial(super().touched, statement, facts)
        return self._memory.touched.get((self._digest, statement), make)

    @override
    def always(self, statement: str, facts: StatementFacts) -> tuple[Uid, ...]:
        make = partial(super().always, statement, facts)
        return self._memory.always.get((self._digest, statement), make)

    @override
    def failure(self, statement: str, facts: StatementFacts) -> str:
        make = partial(super().failure, statement, facts)
        return self._memory.failures.get((self._digest, statement), make)


class Examiner:
    """Checks texts and tells what they touch; keeps what it read and asked last."""

    def __init__(self) -> None:
        self._schemas: Lru[str, SchemaHandle] = Lru(_SCHEMAS)
        self._messages: Lru[_Key, list[str]] = Lru(_STATEMENTS)
        self.facts: Lru[str, StatementFacts] = Lru(_STATEMENTS)
        self.touched: Lru[_Key, tuple[Uid, ...]] = Lru(_STATEMENTS)
        self.always: Lru[_Key, tuple[Uid, ...]] = Lru(_STATEMENTS)
        self.failures: Lru[_Key, str] = Lru(_STATEMENTS)

    def check(self, schema_text: str, text: str, scope: Scope) -> list[Problem]:
        """What stands against a text; see `checker.check`."""
        schema, digest = self._schema(schema_text)
        bare = Trials.of(schema, scope, _until(TRIALS_CPU_NS))
        trials = _Remembered(bare, digest + _digest(scope.live), self)
        return checker.check(schema, text, scope, self._validator(schema, digest), trials)

    def touches(self, schema_text: str, text: str, at: Sequence[ActionAt]) -> list[Touch] | None:
        """What the statements of a guarded text touch; None: the budget did not suffice."""
        schema, digest = self._schema(schema_text)
        bare = Trials(schema, [one.subject() for one in at], {}, _until(TOUCHES_CPU_NS))
        trials = _Remembered(bare, digest + _digest(at), self)
        validate = self._validator(schema, digest)
        try:
            return touches.touches(text, lambda one: bool(validate(one)), trials.touched)
        except OutOfTime:
            return None

    def _schema(self, text: str) -> tuple[SchemaHandle, bytes]:
        """A schema and the digest of its text."""
        schema = self._schemas.get(text, lambda: engine.parse_schema(text))
        return schema, hashlib.sha256(text.encode()).digest()

    def _validator(self, schema: SchemaHandle, digest: bytes) -> Callable[[str], list[str]]:
        def validate(statement: str) -> list[str]:
            make = partial(engine.validate, statement, schema)
            return self._messages.get((digest, statement), make)

        return validate


def _digest(at: Sequence[ActionAt]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(at)).digest()


def _until(budget_ns: int) -> Callable[[], None]:
    """Raises `OutOfTime` once so much CPU time of this thread is spent."""
    until = time.thread_time_ns() + budget_ns

    def tick() -> None:
        if time.thread_time_ns() > until:
            raise OutOfTime

    return tick

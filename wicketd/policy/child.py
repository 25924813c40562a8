"""The policy child: texts that are not yet saved meet the engine in a process of their own (3.6).

Both ends of one pipe, JSON lines: `PolicyChild` in the daemon, `main` in the child (`python -m
wicketd.policy.child`). Invariant: a native crash or an endless check costs an answer, never the
daemon; the child has no listener, no database and no keys, and its environment is empty but for
where Python finds modules.
"""

import asyncio
import contextlib
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from wicketd.domain.errors import PolicyInvalid, Unhealthy, WicketError
from wicketd.domain.members import Member
from wicketd.domain.policies import Effect, Problem, StatementFacts
from wicketd.policy import engine, formatting, simulate
from wicketd.policy.checks import Scope
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import ActionAt
from wicketd.policy.examiner import Examiner
from wicketd.policy.lru import Lru
from wicketd.policy.replay import ListChange, RecordedCall, Replayed, Replayer
from wicketd.policy.setups import Setup
from wicketd.policy.simulate import Explained, HypotheticalCall
from wicketd.policy.stack import STACK_BYTES
from wicketd.policy.touches import Touch

DEADLINE_S: Final = 5.0
REPLAY_DEADLINE_S: Final = 60.0
"""For one page of a replay."""
MODULE: Final = "wicketd.policy.child"
_LINE_LIMIT: Final = 64 * 1024 * 1024
_SETUPS: Final = 4
_CRASHED: Final = (
    "The policy checker stopped on this text and was started again. "
    "Simplify the text, or try once more."
)

T = TypeVar("T")


class _Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line to the child. `op`: check, touches, format, facts, simulate, replay, rows, lists."""

    op: str
    text: str
    schema: str = ""
    scope: Scope = Scope({})
    setup: msgspec.Raw = msgspec.Raw(b"")
    call: msgspec.Raw = msgspec.Raw(b"")
    rows: msgspec.Raw = msgspec.Raw(b"[]")
    members: tuple[Member, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()
    at: tuple[ActionAt, ...] = ()


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back: a result, or the message and details of a refused text."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    refused: str | None = None
    details: list[dict[str, Any]] = []


class _Facts(msgspec.Struct, frozen=True):
    """`StatementFacts` on the wire, where scopes are any JSON."""

    effect: Effect
    principal: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    annotations: dict[str, str]
    start: int
    end: int

    def value(self) -> StatementFacts:
        """The same as the daemon's value."""
        return StatementFacts(**msgspec.structs.asdict(self))


class _Touches(msgspec.Struct, frozen=True):
    """`found` None: the budget did not suffice."""

    found: list[Touch] | None


class Crashed(Unhealthy):
    """The child ended or was killed before it answered."""


class PolicyChild:
    """The daemon's end: one child, one question at a time, started again after a crash."""

    def __init__(
        self,
        command: tuple[str, ...] = (sys.executable, "-m", MODULE),
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._command = command
        self._deadline_s = deadline_s
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process before the first question."""
        async with self._turn:
            await self._running()

    async def stop(self) -> None:
        """Ends the process; later questions start a new one."""
        async with self._turn:
            await self._kill()

    async def check(self, schema_text: str, text: str, scope: Scope) -> list[Problem]:
        """Problems of a text under a schema; `checker_crashed` if the check did not end well."""
        ask = _Ask("check", text, schema_text, scope)
        try:
            return await self._ask(ask, list[Problem])
        except Crashed as error:
            end = len(text)
            return [Problem("error", "checker_crashed", error.message, None, 0, end, 1, 1, None)]

    async def touches(
        self, schema_text: str, text: str, at: Sequence[ActionAt]
    ) -> list[Touch] | None:
        """What the statements of a guarded text touch; None: it took too long or did not end well.

        Statements with errors are left out.
        """
        try:
            ask = _Ask("touches", text, schema_text, at=tuple(at))
            return (await self._ask(ask, _Touches)).found
        except Crashed:
            return None

    async def format(self, text: str) -> str:
        """The text in the engine's layout.

        Raises:
            PolicyInvalid: it does not parse.
            Crashed: the formatter did not end well.
        """
        return await self._ask(_Ask("format", text), str)

    async def facts(self, text: str) -> list[StatementFacts]:
        """Scopes and annotations of each statement, for `engine.compile_set`.

        Raises:
            PolicyInvalid: it does not parse.
            Crashed: the reader did not end well.
        """
        found = await self._ask(_Ask("facts", text), list[_Facts])
        return [one.value() for one in found]

    async def simulate(self, setup: Setup, call: HypotheticalCall) -> list[Explained]:
        """The call as each set of the setup decides it, and why.

        Raises:
            PolicyInvalid: a text is refused.
            Crashed: the simulation did not end well.
        """
        ask = _Ask("simulate", "", setup=_raw(setup), call=_raw(call))
        return await self._ask(ask, list[Explained])

    async def replay(self, setup: Setup) -> None:
        """Compiles the sets under which `rows` and `lists` will decide.

        Raises:
            PolicyInvalid: a text is refused.
            Crashed: compiling did not end well.
        """
        await self._ask(_Ask("replay", "", setup=_raw(setup)), type(None))

    async def rows(self, rows: Sequence[RecordedCall]) -> list[Replayed]:
        """The rows under both sets, in their order.

        Raises:
            Crashed: the child stopped; its sets are gone with it.
        """
        packed = msgspec.Raw(msgspec.json.encode(rows))
        return await self._ask(_Ask("rows", "", rows=packed), list[Replayed])

    async def lists(
        self, members: Sequence[Member], tools: Sequence[tuple[str, str]]
    ) -> list[ListChange]:
        """Members whose tool list differs between the sets.

        Raises:
            Crashed: the child stopped; its sets are gone with it.
        """
        ask = _Ask("lists", "", members=tuple(members), tools=tuple(tools))
        return await self._ask(ask, list[ListChange])

    async def _ask(self, ask: _Ask, kind: type[T]) -> T:
        async with self._turn:
            try:
                line = await asyncio.wait_for(self._exchange(ask), self._deadline_s)
            except TimeoutError:
                line = None
            except BaseException:
                # A late answer must not be taken for the next question's.
                await self._kill()
                raise
            if line is None:
                await self._kill()
                raise Crashed(_CRASHED)
        answer = msgspec.json.decode(line, type=_Answer)
        if answer.refused is not None:
            raise PolicyInvalid(answer.refused, details=answer.details)
        return msgspec.json.decode(answer.result, type=kind)

    async def _exchange(self, ask: _Ask) -> bytes | None:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(msgspec.json.encode(ask) + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        except (ConnectionError, ValueError):
            return None
        return line if line.endswith(b"\n") else None

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT,
                env=_environment(),
            )
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def replay_child() -> PolicyChild:
    """A child of its own for one replay, which may take longer over a page."""
    return PolicyChild(deadline_s=REPLAY_DEADLINE_S)


def _raw(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _environment() -> Mapping[str, str]:
    """Where Python finds this very package, and nothing else of the daemon's environment."""
    return {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}


class Worker:
    """The child's end: answers lines; keeps what it read and compiled last."""

    def __init__(self) -> None:
        self._examiner = Examiner()
        self._setups: Lru[bytes, tuple[Setup, list[Snapshot]]] = Lru(_SETUPS)
        self._replayer: Replayer | None = None

    def answer(self, line: bytes) -> bytes:
        """The answer to one line, without its line end."""
        ask = msgspec.json.decode(line, type=_Ask)
        try:
            result = self._result(ask)
        except WicketError as error:
            refused = _Answer(refused=error.message, details=list(error.details))
            return msgspec.json.encode(refused)
        return msgspec.json.encode(_Answer(msgspec.Raw(msgspec.json.encode(result))))

    def _result(self, ask: _Ask) -> object:
        if ask.op == "check":
            return self._examiner.check(ask.schema, ask.text, ask.scope)
        if ask.op == "touches":
            return _Touches(self._examiner.touches(ask.schema, ask.text, ask.at))
        if ask.op == "format":
            return formatting.format_text(ask.text)
        if ask.op == "simulate":
            setup, snapshots = self._setup(ask.setup)
            call = msgspec.json.decode(ask.call, type=HypotheticalCall)
            return simulate.explain(setup, snapshots, call)
        if ask.op in {"replay", "rows", "lists"}:
            return self._replay(ask)
        return engine.facts_of(ask.text)

    def _replay(self, ask: _Ask) -> object:
        if ask.op == "replay":
            self._replayer = Replayer(msgspec.json.decode(ask.setup, type=Setup))
            return None
        if self._replayer is None:
            raise PolicyInvalid("The replay lost its policies. Start it again.")
        if ask.op == "rows":
            return self._replayer.page(msgspec.json.decode(ask.rows, type=list[RecordedCall]))
        return self._replayer.lists(ask.members, ask.tools)

    def _setup(self, raw: msgspec.Raw) -> tuple[Setup, list[Snapshot]]:
        """A setup compiled; the next calls of a test run bring the same one."""

        def make() -> tuple[Setup, list[Snapshot]]:
            read = msgspec.json.decode(raw, type=Setup)
            return read, read.compiled()

        return self._setups.get(hashlib.sha256(raw).digest(), make)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers line by line until the pipe is closed."""
    worker = Worker()
    for line in source:
        sink.write(worker.answer(line) + b"\n")
        sink.flush()


def main(run: Callable[[BinaryIO, BinaryIO], None] = serve) -> None:
    """Serves standard input on a thread with a big stack, behind the calls in priority."""
    with contextlib.suppress(OSError):
        os.nice(5)
    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=run, args=(sys.stdin.buffer, sys.stdout.buffer))
    thread.start()
    thread.join()


if __name__ == "__main__":
    main()

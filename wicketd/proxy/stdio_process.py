"""One server at the other end of pipes: a command of ours, or a unit behind a Unix socket.

Counterpart of `stdio`, which decides when one is started and ended. Invariant: when a server is
gone, everybody who waits for it is told, its group is killed and its home removed. Source: protocol
spec, 4.6; security spec, section 12.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from wicketd.api.text import safe_text
from wicketd.domain.errors import Malformed, Unreachable
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Clock, Spawn
from wicketd.net.budget import ByteBudget
from wicketd.proxy import jsonrpc
from wicketd.proxy.inbound import Message
from wicketd.proxy.stdio_messages import Askers, Lines, Listener, TooLong

LAUNCHER: Final = Path(__file__).with_name("stdio_launch.py")
STEP_S: Final = 5.0
"""Between a closed stdin, SIGTERM and SIGKILL; also how long a write may be blocked."""
LOG_LINES_PER_S: Final = 50
LOG_LINE_MAX: Final = 4096
_READ: Final = 64 * 1024
_LAST_WORDS_S: Final = 1.0
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_LOG: Final = logging.getLogger("wicketd.stdio")
_REFUSED: Final[JsonObject] = {"code": -32601, "message": "Method not found"}
_SECRET: Final = "<secret>"  # noqa: S105  # what stands in its place


@dataclass(frozen=True, slots=True)
class Plan:
    """What is started. `variables`: declared ones and the credential; `secret`: its value."""

    service: str
    command: tuple[str, ...]
    socket: str | None
    cwd: str | None
    line_max: int
    is_shared: bool
    variables: Mapping[str, str] = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Means:
    """What every server is started with. `homes`: the directory of their private directories."""

    spawn: Spawn
    clock: Clock
    budget: ByteBudget
    homes: Path


class _Garbage(Exception):
    """Too many lines in a row are no messages."""


class Server:
    """A running server. `name` is never used twice in a daemon's life."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        means: Means,
        pipes: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        child: asyncio.subprocess.Process | None,
    ) -> None:
        self.plan = plan
        self.name = name
        self.has_opened = False
        """A legacy handshake was sent: a process takes one in its life."""
        self.touched_s = means.clock.monotonic_s()
        self.gone = asyncio.Event()
        self.failed_at_s: float | None = None
        """When it ended, or had to be ended, by its own fault."""
        self._is_ending = False
        self._heard_all = asyncio.Event()
        self._means = means
        self._reader, self._writer = pipes
        self._child = child
        self._askers = Askers(is_shared=plan.is_shared)
        self._answers: dict[int, asyncio.Future[tuple[Message, int]]] = {}
        self._turn = asyncio.Lock()
        self._cap: str | None = None
        self._has_answered = False
        self._reading = means.spawn(self._read(), name=f"stdio-read {plan.service}")
        means.spawn(self._watch(), name=f"stdio-watch {plan.service}")
        if child is not None and child.stderr is not None:
            means.spawn(self._log(child.stderr), name=f"stdio-log {plan.service}")

    @property
    def group(self) -> int | None:
        """Its process group, if it is a process of ours."""
        return None if self._child is None else self._child.pid

    @property
    def is_usable(self) -> bool:
        """Whether it takes requests."""
        return not (self.gone.is_set() or self._is_ending)

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._answers)

    async def ask(
        self, request_id: int, body: bytes, listener: Listener, result_bytes_max: int
    ) -> tuple[Message, int]:
        """Writes a request and waits for its answer and the bytes of it; the caller's deadline.

        Raises:
            Unreachable: it is gone, or went before it answered.
            Malformed: the answer passes a cap.
        """
        answer = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        self._askers.add(request_id, listener)
        try:
            await self.tell(body)
            message, size_bytes = await answer
        finally:
            self._answers.pop(request_id, None)
            self._askers.remove(request_id)
            self.touched_s = self._means.clock.monotonic_s()
        if size_bytes > result_bytes_max:
            raise Malformed("The answer is larger than its cap.", cap="max_result_bytes")
        return message, size_bytes

    async def tell(self, body: bytes) -> None:
        """Writes one message.

        Raises:
            Unreachable: it is gone, or does not read.
        """
        if not self.is_usable:
            raise Unreachable("The server has ended.", is_written=False)
        try:
            async with asyncio.timeout(STEP_S), self._turn:
                self._writer.write(body + b"\n")
                await self._writer.drain()
        except TimeoutError as error:
            self.fail("it does not read its input")
            raise Unreachable("The server does not read its input.") from error
        except (ConnectionError, RuntimeError) as error:
            raise Unreachable("The server has ended.") from error

    def cancelled(self, request_id: int) -> None:
        """Tells a server that speaks already that an answer is not wanted; waits for nothing."""
        if self.is_usable and self._has_answered:
            params: JsonObject = {"requestId": request_id, "reason": "The client cancelled."}
            notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            self._post(msgspec.json.encode(notice))

    async def stop(self, *, at_once: bool = False) -> None:
        """Closes its input, then SIGTERM, then SIGKILL to the group, 5 s apart; gone afterwards."""
        self._is_ending = True
        self._writer.close()
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if not at_once and await self._ends_in(STEP_S):
                return
            self._signal(sent)
        await self._ends_in(STEP_S)

    def kill(self) -> None:
        """Ends the group now; `gone` follows."""
        self._is_ending = True
        self._writer.close()
        self._signal(signal.SIGKILL)

    async def _ends_in(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.gone.wait()
        return self.gone.is_set()

    def fail(self, why: str, cap: str | None = None) -> None:
        """Ends a server that does not behave; what waits for it fails."""
        if self.is_usable:
            self.failed_at_s = self._means.clock.monotonic_s()
            _LOG.warning("%s: ended, because %s", self.plan.service, why)
            self._cap, self._is_ending = cap, True
            self._writer.close()
            self._signal(signal.SIGKILL)
            self._fail_all()

    def _signal(self, number: int) -> None:
        if self.group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)

    async def _read(self) -> None:
        lines = Lines(self.plan.line_max)
        held_bytes = 0
        try:
            while data := await self._reader.read(_READ):
                await self._means.budget.take(len(data))
                held_bytes += len(data)
                for line in lines.feed(data):
                    self._take(line)
                self._means.budget.give(held_bytes - lines.held_bytes)
                held_bytes = lines.held_bytes
            self.fail("it closed its output")
        except _Garbage:
            self.fail("it sends lines that are no messages")
        except TooLong:
            self.fail("it sent a line that is too long", "max_result_bytes")
        except Malformed as error:
            self.fail("it sent a message that is too rich", error.cap)
        except ConnectionError:
            self.fail("its output broke")
        finally:
            self._means.budget.give(held_bytes)
            self._heard_all.set()

    def _take(self, line: bytes) -> None:
        message = self._askers.read(line)
        if message is None:
            _LOG.info("%s: no message: %s", self.plan.service, self._printable(line, 200))
            if self._askers.is_silly:
                raise _Garbage
            return
        asker = self._askers.asker_of(message)
        answer = None if asker is None else self._answers.get(asker)
        if answer is not None:
            self._has_answered = True
            if not answer.done():
                answer.set_result((message, len(line)))
            return
        listener = self._askers.listener_of(message)
        if listener is not None:
            listener(message)
        elif message.is_request:
            self._refuse(message)

    def _refuse(self, message: Message) -> None:
        """Nobody may answer it: `ping` has an answer, the rest was never declared."""
        if isinstance(message.id, int | str) and self.has_opened:
            is_ping = message.method == "ping"
            reply = (
                jsonrpc.success(message.id, {})
                if is_ping
                else jsonrpc.failure(message.id, _REFUSED)
            )
            self._post(msgspec.json.encode(reply))

    def _post(self, body: bytes) -> None:
        async def post() -> None:
            with suppress(Unreachable):
                await self.tell(body)

        self._means.spawn(post(), name=f"stdio-post {self.plan.service}")

    async def _watch(self) -> None:
        """Waits for the end, tells everybody and sweeps up what it left."""
        try:
            if self._child is not None:
                await _exited(self._child)
                self._signal(signal.SIGKILL)  # grandchildren that outlived it
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._child is None else _LAST_WORDS_S):
                    await self._heard_all.wait()
            if not self._is_ending:
                self.failed_at_s = self._means.clock.monotonic_s()
            self._is_ending = True
            self._fail_all()
            if self._child is not None:
                await asyncio.to_thread(_remove, _home(self._means, self.name))
        finally:
            self._is_ending = True
            self._signal(signal.SIGKILL)
            self._writer.close()
            self._reading.cancel()
            self.gone.set()
            self._fail_all()

    def _fail_all(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(_failure(self._cap))

    async def _log(self, stderr: asyncio.StreamReader) -> None:
        """Its stderr: at most 50 lines a second of at most 4 KiB, escaped, without the secret."""
        rest, second, count, is_cut = b"", -1, 0, False
        # A token that begins within the cap has to be whole before it can be masked.
        tail = len((self.plan.secret or "").encode())
        with suppress(ConnectionError):
            while data := await stderr.read(_READ):
                *whole, rest = (rest + data).split(b"\n")
                if is_cut and whole:
                    del whole[0]
                    is_cut = False
                if is_cut:
                    rest = b""
                elif len(rest) > LOG_LINE_MAX + tail:
                    known = self._masked(rest.decode("utf-8", "replace")).encode()
                    whole, rest, is_cut = [*whole, known[: len(known) - tail]], b"", True
                for line in whole:
                    now = int(self._means.clock.monotonic_s())
                    second, count = (now, count) if now == second else (now, 0)
                    count += 1
                    if count <= LOG_LINES_PER_S and line.strip():
                        _LOG.info("%s: %s", self.plan.service, self._printable(line))

    def _printable(self, line: bytes, limit: int = LOG_LINE_MAX) -> str:
        """Masked before it is cut: half a token is none that could be found."""
        return safe_text(self._masked(line.decode("utf-8", "replace").rstrip()), limit=limit)

    def _masked(self, text: str) -> str:
        return text.replace(self.plan.secret, _SECRET) if self.plan.secret else text


def _failure(cap: str | None) -> Malformed | Unreachable:
    return Unreachable("The server has ended.") if cap is None else Malformed("Cap.", cap=cap)


async def _exited(child: asyncio.subprocess.Process) -> None:
    """Waits for the process itself: `wait` may wait for its pipes, which grandchildren keep."""
    try:
        descriptor = os.pidfd_open(child.pid)
    except ProcessLookupError:
        return
    except OSError:  # a sandbox without this call
        await child.wait()
        return
    loop, has_exited = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, has_exited.set)
    try:
        await has_exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)


def _home(means: Means, name: str) -> Path:
    return means.homes / name


async def start(plan: Plan, name: str, means: Means) -> Server:
    """Starts the command, or connects to the unit's socket.

    Raises:
        Unreachable: neither is there.
    """
    try:
        if plan.socket is not None:
            reader, writer = await asyncio.open_unix_connection(plan.socket)
            # The unit's entry reads this one line, then becomes the command.
            writer.write(msgspec.json.encode({"env": dict(plan.variables)}) + b"\n")
            return Server(plan, name, means, (reader, writer), None)
        child = await _spawned(plan, name, means)
    except OSError as error:
        _LOG.warning("%s: cannot be started: %s", plan.service, error.strerror)
        raise Unreachable("The server cannot be started.", is_written=False) from error
    if child.stdin is None or child.stdout is None:
        raise Unreachable("The server has no pipes.", is_written=False)
    return Server(plan, name, means, (child.stdout, child.stdin), child)


async def _spawned(plan: Plan, name: str, means: Means) -> asyncio.subprocess.Process:
    home = _home(means, name)
    means.homes.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(mode=0o700)
    (home / "tmp").mkdir(mode=0o700)
    environment = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        **plan.variables,
    }
    launcher = (sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()))
    return await asyncio.create_subprocess_exec(
        *launcher,
        *plan.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=plan.cwd or home,
        env=environment,
        start_new_session=True,
    )

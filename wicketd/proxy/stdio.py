"""The supervisor of servers over pipes: who has one, when it is started, how many, when it ends.

Counterpart of `stdio_process`, which is one of them, and of `exchange`, whose place it takes for
such a service. Commands come from connector files alone. Invariant: a server belongs to one
(agent, member, service), or is shared by connector and then carries no credential; at most 32 are
alive. Source: protocol spec, 4.6.
"""

import asyncio
import shutil
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wicketd.domain.catalogue import Connector, StdioTransport
from wicketd.domain.errors import Unreachable
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.ports import Clock, Spawn
from wicketd.net.budget import ByteBudget
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.inbound import Heard
from wicketd.proxy.outbound import SESSION_HEADER, Outgoing
from wicketd.proxy.stdio_guardian import Guardian
from wicketd.proxy.stdio_messages import Listener
from wicketd.proxy.stdio_process import Means, Plan, Server, start

SERVERS_MAX: Final = 32
PER_SERVICE_MAX: Final = 16
SEAT_S: Final = 10.0
"""How long a start waits for one of the 32 to become free."""
IDLE_S: Final = 600.0
FAILURES_MAX: Final = 5
FAILURE_WINDOW_S: Final = 60.0
PATIENCE_S: Final = 2.0
"""A call waits so long for the next start that is allowed; beyond, it fails at once."""
BUFFERED_BYTES_MAX: Final = 128 * 1024 * 1024
ENV: Final = "env:"
"""Before the name of the variable that carries a credential (security spec, section 2)."""
SERVERS_CAP: Final = "stdio_processes"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose server it is. `member_id` None: the daemon's own discovery, or a shared one."""

    place: ServicePlace
    member_id: MemberId | None
    variant: str = ""
    """What is declared to it, as one word."""


@dataclass(slots=True, eq=False)
class _Slot:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    server: Server | None = None
    counted: Server | None = None
    secret: str | None = field(default=None, repr=False)
    failed_s: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES_MAX))
    blocked_until_s: float = 0.0


class Supervisor:
    """Starts and ends servers. `homes`: a directory of its own, emptied at start."""

    def __init__(self, clock: Clock, spawn: Spawn, homes: Path, *, may_spawn: bool = True) -> None:
        self._clock = clock
        self._spawn = spawn
        self._may_spawn = may_spawn
        self._means = Means(spawn, clock, ByteBudget(BUFFERED_BYTES_MAX), homes)
        self._guardian = Guardian()
        self._slots: dict[Owner, _Slot] = {}
        self._freed = asyncio.Condition()
        self._seated: dict[str, Owner] = {}
        self.started = 0
        """Servers that were ever started, or tried to."""
        self._is_closed = False
        shutil.rmtree(homes, ignore_errors=True)  # what a killed daemon left

    @property
    def alive(self) -> int:
        """Servers that are starting, running or ending."""
        return len(self._seated)

    def alive_of(self, agent_id: AgentId, service: str) -> int:
        """The same, of one service."""
        return sum(_service(owner) == (agent_id, service) for owner in self._seated.values())

    def servers(self) -> Counter[tuple[AgentId, str]]:
        """How many are alive of each service, by (agent id, service)."""
        return Counter(_service(owner) for owner in self._seated.values())

    def pipe(self, owner: Owner, connector: Connector, transport: StdioTransport) -> "Pipe":
        """Where requests of the owner go; nothing is started yet.

        Raises:
            Unreachable: commands are not allowed here.
        """
        if transport.command and not self._may_spawn:
            raise Unreachable(
                f"{connector.name} would run with the daemon's own rights.",
                hint="Run it as a unit behind a socket, or set stdio.inline = true.",
                is_written=False,
            )
        return Pipe(self, owner, connector, transport)

    async def server(
        self, owner: Owner, connector: Connector, transport: StdioTransport, outgoing: Outgoing
    ) -> Server:
        """The owner's running server, started if there is none or its credential has changed.

        Raises:
            Unreachable: it cannot be started now.
        """
        variables = {
            name.removeprefix(ENV): value
            for name, value in outgoing.headers.items()
            if name.startswith(ENV)
        }
        secret = next(iter(variables.values()), None)
        slot = self._slots.setdefault(owner, _Slot())
        async with slot.turn:
            server = slot.server
            if server is not None and server.is_usable:
                is_second_handshake = outgoing.opens and server.has_opened
                if slot.secret == secret and not is_second_handshake:
                    return server
            if server is not None and not server.gone.is_set():
                server.kill()
                await server.gone.wait()
            _count_failure(slot)
            await self._wait_for_turn(slot)
            plan = _plan(connector, transport, variables, secret)
            slot.server, slot.secret = await self._start(owner, plan, slot), secret
            return slot.server

    def running(self, owner: Owner) -> Server | None:
        """The owner's server if it takes requests now; never starts one."""
        slot = self._slots.get(owner)
        server = None if slot is None else slot.server
        return server if server is not None and server.is_usable else None

    def sweep(self) -> None:
        """Ends servers that were idle for 10 minutes, and forgets owners without one."""
        now_s = self._clock.monotonic_s()
        for owner, slot in list(self._slots.items()):
            server = slot.server
            if server is None or server.gone.is_set():
                is_calm = not slot.failed_s or now_s - slot.failed_s[-1] > FAILURE_WINDOW_S
                if is_calm and now_s >= slot.blocked_until_s and not slot.turn.locked():
                    del self._slots[owner]
            elif server.is_usable and not server.is_busy and now_s - server.touched_s > IDLE_S:
                self._spawn(server.stop(), name=f"stdio-idle {owner.place.service}")

    def end(self, is_meant: Callable[[Owner], bool], *, with_secret: bool = False) -> None:
        """Kills the servers of the owners meant: after a removal, a revocation, the kill switch.

        `with_secret`: only those that were given a credential.
        """
        for owner, slot in self._slots.items():
            holds = slot.secret is not None or not with_secret
            if slot.server is not None and holds and is_meant(owner):
                slot.server.kill()

    async def close(self) -> None:
        """Ends every server, all at the same time; none starts afterwards."""
        self._is_closed = True
        running = [slot.server for slot in self._slots.values() if slot.server is not None]
        await asyncio.gather(*(server.stop() for server in running if not server.gone.is_set()))
        await self._guardian.close()

    async def _wait_for_turn(self, slot: _Slot) -> None:
        wait_s = slot.blocked_until_s - self._clock.monotonic_s()
        if wait_s > PATIENCE_S:
            raise Unreachable("The server failed a moment ago.", is_written=False)
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _start(self, owner: Owner, plan: Plan, slot: _Slot) -> Server:
        self.started += 1
        name = f"stdio-{self.started}"
        await self._take_seat(name, owner)
        try:
            server = await start(plan, name, self._means)
        except BaseException as error:
            await self._give_seat(name)
            if isinstance(error, Unreachable):
                _block(slot, self._clock.monotonic_s())
            raise
        self._spawn(self._follow(slot, server), name=f"stdio {plan.service}")
        if server.group is not None:
            try:
                await self._guardian.add(server.group)
            except BaseException:
                server.kill()
                raise
        return server

    async def _follow(self, slot: _Slot, server: Server) -> None:
        await server.gone.wait()
        if server.group is not None:
            self._guardian.remove(server.group)
        _count_failure(slot)
        await self._give_seat(server.name)

    async def _take_seat(self, name: str, owner: Owner) -> None:
        """Takes one of the 32 seats; the server that is idle for longest makes room."""
        try:
            async with asyncio.timeout(SEAT_S), self._freed:
                while not self._has_seat(owner):
                    self._make_room(owner)
                    await self._freed.wait()
                if self._is_closed:
                    raise Unreachable("The daemon is stopping.", is_written=False)
                self._seated[name] = owner
        except TimeoutError as error:
            raise Unreachable(
                "Too many servers run already.", cap=SERVERS_CAP, is_written=False
            ) from error

    def _has_seat(self, owner: Owner) -> bool:
        is_full = self.alive_of(*_service(owner)) >= PER_SERVICE_MAX
        return self.alive < SERVERS_MAX and not is_full

    def _make_room(self, owner: Owner) -> None:
        is_full = len(self._seated) >= SERVERS_MAX
        idle = [
            slot.server
            for other, slot in self._slots.items()
            if slot.server is not None
            and slot.server.is_usable
            and not slot.server.is_busy
            and (is_full or _service(other) == _service(owner))
        ]
        if idle:
            oldest = min(idle, key=lambda server: server.touched_s)
            self._spawn(oldest.stop(), name="stdio-make-room")

    async def _give_seat(self, name: str) -> None:
        async with self._freed:
            self._seated.pop(name, None)
            self._freed.notify_all()


class Pipe:
    """Takes the place of an HTTP endpoint: one owner's way to its server."""

    def __init__(
        self,
        supervisor: Supervisor,
        owner: Owner,
        connector: Connector,
        transport: StdioTransport,
    ) -> None:
        self._supervisor = supervisor
        self._owner = owner
        self._connector = connector
        self._transport = transport

    async def ask(self, outgoing: Outgoing, listener: Listener, result_bytes_max: int) -> Heard:
        """Sends a request and waits for its answer; the caller sets the deadline.

        A request of a session that ended with its process is answered like HTTP's 404: nothing was
        written, and the caller opens another.

        Raises:
            Unreachable: there is no server, or it ended before it answered.
            Malformed: the answer passes a cap.
        """
        server = await self._supervisor.server(
            self._owner, self._connector, self._transport, outgoing
        )
        session = outgoing.headers.get(SESSION_HEADER)
        if outgoing.body is None or outgoing.id is None or session not in {None, server.name}:
            return Heard(status=404)
        server.has_opened = server.has_opened or outgoing.opens
        try:
            answer, size_bytes = await server.ask(
                outgoing.id, outgoing.body, listener, result_bytes_max
            )
        except asyncio.CancelledError:
            if outgoing.opens:
                server.fail("it did not answer initialize")
            elif session is None:
                server.cancelled(outgoing.id)
            raise
        return Heard(status=200, answer=answer, size_bytes=size_bytes, session_id=server.name)

    async def tell(self, outgoing: Outgoing) -> int:
        """Sends a message that needs no answer; 404: its session has ended.

        Raises:
            Unreachable: the server ends meanwhile, or does not read.
        """
        server = self._supervisor.running(self._owner)
        if server is None or outgoing.body is None:
            return 404
        if outgoing.headers.get(SESSION_HEADER) != server.name:
            return 404
        await server.tell(outgoing.body)
        return 202


def _count_failure(slot: _Slot) -> None:
    """Each failed server counts once, whoever notices first."""
    server = slot.server
    if server is not None and server.failed_at_s is not None and slot.counted is not server:
        slot.counted = server
        _block(slot, server.failed_at_s)


def _block(slot: _Slot, at_s: float) -> None:
    """No start for 1, 2, 4, 8 s after a failure, and for 60 s after the fifth within a minute."""
    slot.failed_s.append(at_s)
    recent = sum(at_s - one < FAILURE_WINDOW_S for one in slot.failed_s)
    if recent < FAILURES_MAX:
        slot.blocked_until_s = at_s + 2.0 ** (recent - 1)
    else:
        slot.blocked_until_s = at_s + FAILURE_WINDOW_S
        slot.failed_s.clear()


def _service(owner: Owner) -> tuple[AgentId, str]:
    return owner.place.agent_id, owner.place.service


def _plan(
    connector: Connector,
    transport: StdioTransport,
    variables: Mapping[str, str],
    secret: str | None,
) -> Plan:
    return Plan(
        service=connector.key,
        command=transport.command,
        socket=transport.socket,
        cwd=transport.cwd,
        line_max=connector.limits.max_result_bytes,
        is_shared=transport.scope == "shared",
        variables={**transport.env, **variables},
        secret=secret,
    )

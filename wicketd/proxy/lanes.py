"""Jobs on their way to one upstream for one member, and their seats. Counterpart of `runner`.

A lane owns the machine of one (agent, member, service) for one set of declared capabilities; a job
is what one caller waits for.
Source: protocol spec, 4.3 and 4.7.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import Credential, Destination
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Clock, Front, Task
from wicketd.net.client import Endpoint
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.outbound import LISTEN, Wanted
from wicketd.proxy.params import LOG_LEVELS
from wicketd.proxy.stdio import Pipe
from wicketd.proxy.upstream import UpstreamMachine
from wicketd.proxy.upstream_events import JobCommand, Session

MEMBER_SEATS: Final = 16
SERVICE_SEATS: Final = 256
QUEUE_S: Final = 2.0
IDLE_S: Final = 30 * 60
VARIANTS_MAX: Final = 4
"""Sets of declared capabilities that one member's clients may bring to one service."""
_SWEEP_S: Final = 60
RELAYED_MAX: Final = 10_000
RELAYED_PER_S_MAX: Final = 100
REPLIES_MAX: Final = 100
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Route:
    """A connector with its URL checked and its connections at hand."""

    connector: Connector
    endpoint: Endpoint | Pipe
    destination: Destination | None

    def header_for(self, credential: Credential) -> Mapping[str, str] | None:
        """What carries the credential; empty without one; None: it may not go there.

        Over HTTP one header; over pipes one variable, under the name of its placement.

        Compared is the very origin that is dialled (security spec, section 2). The value
        stands in the header as it is: who opened it has put it into the connector's format.
        """
        is_piped = isinstance(self.endpoint, Pipe)
        has_header = is_piped or credential.header is not None
        if credential.value is None or self.destination is None or not has_header:
            return _NO_HEADERS
        name = self._place(credential)
        value = credential.value.reveal()
        if name is None or not value.isascii() or not value.decode("ascii").isprintable():
            return None
        return {name: value.decode("ascii")}

    def _place(self, credential: Credential) -> str | None:
        """Where the credential stands; None: it is bound to another destination."""
        bound = credential.destination
        if bound is None or bound != self.destination:
            return None
        if isinstance(self.endpoint, Pipe):
            return bound.placement
        header = credential.header or ""
        dialled = Destination(self.endpoint.origin, f"header:{header.lower()}")
        return header if bound == dialled else None


@dataclass(slots=True, eq=False)
class Job:
    """One request of one caller. `credential` is written for this job only and never kept."""

    wanted: Wanted
    route: Route
    credential: Credential
    front: Front | None
    began_s: float
    uris: frozenset[str] = frozenset()
    """Of a channel: what it is to tell of."""
    relist: Callable[[], Awaitable[bool]] | None = None
    """Lists the tools again after a header mismatch and says whether the call may go out."""
    timer: asyncio.Timeout | None = None
    relayed: int = 0
    replies: int = 0
    questions: dict[str, Task] = field(default_factory=dict)
    """Of the server to the client, by the server's id: those that are being answered."""
    _second: int = 0
    _in_second: int = 0
    _inbox: deque[JobCommand] = field(default_factory=deque)
    _waiter: asyncio.Future[None] | None = None

    def put(self, command: JobCommand) -> None:
        """Hands the job what it is to do next."""
        self._inbox.append(command)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> JobCommand:
        """The next thing to do; waits while others prepare the way."""
        while not self._inbox:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._inbox.popleft()

    def forget_commands(self) -> None:
        """Drops what the job was told before its deadline passed."""
        self._inbox.clear()

    @property
    def is_channel(self) -> bool:
        """Whether it waits for news instead of an answer."""
        return self.wanted.method == LISTEN

    def may_reply(self, request_id: object) -> bool:
        """Counts an answer to a request of the server: at most 100 a job, an id once at a time."""
        self.replies += 1
        is_new = isinstance(request_id, int | str) and str(request_id) not in self.questions
        return is_new and self.replies <= REPLIES_MAX

    def may_relay(self, at_s: float) -> bool:
        """Counts a notification towards the client: at most 100 a second and 10,000 in all."""
        if int(at_s) != self._second:
            self._second, self._in_second = int(at_s), 0
        if self._in_second >= RELAYED_PER_S_MAX or self.relayed >= RELAYED_MAX:
            return False
        self._in_second += 1
        self.relayed += 1
        return True


class Seats:
    """Bounds what is in flight; whoever finds no seat within the queue time is turned away."""

    def __init__(self, limit: int, queue_s: float = QUEUE_S) -> None:
        self._semaphore = asyncio.Semaphore(limit)
        self._queue_s = queue_s

    async def take(self) -> None:
        """Takes a seat.

        Raises:
            TimeoutError: none became free in time.
        """
        if not self._semaphore.locked():
            await self._semaphore.acquire()
            return
        async with asyncio.timeout(self._queue_s):
            await self._semaphore.acquire()

    def give(self) -> None:
        """Gives the seat back."""
        self._semaphore.release()


@dataclass(slots=True, eq=False)
class Lane:
    """What is kept of one member's talk with one upstream; never a credential."""

    place: ServicePlace
    member_id: MemberId | None
    """None: the daemon's own discovery."""
    machine: UpstreamMachine
    service_seats: Seats
    touched_s: float
    declared: JsonObject
    """What a legacy upstream may ask for; a modern one hears it with each request."""
    seats: Seats
    jobs: dict[int, Job] = field(default_factory=dict)
    last_id: int = 0
    dropped: int = 0
    """Messages that belonged to no job of ours."""
    subscribed: set[str] = field(default_factory=set)
    """What the legacy session `subscribed_in` was asked to tell of."""
    subscribed_in: Session | None = None
    _level: tuple[Session, str] | None = None
    _second: int = 0
    _signals: int = 0

    @property
    def newest(self) -> Job | None:
        """The newest running call of a client."""
        return next((job for job in reversed(self.jobs.values()) if job.front is not None), None)

    def may_signal(self, at_s: float) -> bool:
        """Counts news of changed lists and resources: at most 100 a second."""
        if int(at_s) != self._second:
            self._second, self._signals = int(at_s), 0
        self._signals += 1
        return self._signals <= RELAYED_PER_S_MAX

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer; a channel waits for none."""
        return all(job.is_channel for job in self.jobs.values())

    @property
    def variant(self) -> str:
        """What is declared, as one word to compare."""
        return _variant(self.declared)

    def subscribed_of(self, session: Session) -> set[str]:
        """The URIs that this session tells of; a new one starts with none."""
        if self.subscribed_in is not session:
            self.subscribed_in, self.subscribed = session, set()
        return self.subscribed

    def is_more_verbose(self, session: Session, level: str) -> bool:
        """Whether `level` asks for more than this session was told; from now on it was."""
        told_in, told = self._level or (None, level)
        if told_in is session and LOG_LEVELS.index(told) <= LOG_LEVELS.index(level):
            return False
        self._level = (session, level)
        return True

    def next_id(self) -> int:
        """A JSON-RPC id that this lane has never used."""
        self.last_id += 1
        return self.last_id

    async def take_seats(self) -> None:
        """Takes a seat of the member and one of the service.

        Raises:
            TimeoutError: none became free in time.
        """
        await self.seats.take()
        try:
            await self.service_seats.take()
        except BaseException:
            self.seats.give()
            raise

    def give_seats(self) -> None:
        """Gives both seats back."""
        self.service_seats.give()
        self.seats.give()


class Lanes:
    """Every lane. The seats of a member at a service are shared by its variants."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[tuple[ServicePlace, MemberId | None, str], Lane] = {}
        self._seats: dict[tuple[ServicePlace, MemberId | None], Seats] = {}
        self._service_seats: dict[tuple[AgentId, str], Seats] = {}
        self._swept_s = clock.monotonic_s()
        self._change: asyncio.Future[None] | None = None

    def of_member(self, place: ServicePlace, member_id: MemberId | None) -> list[Lane]:
        """The lanes of a member at a service."""
        return [lane for key, lane in self._lanes.items() if key[:2] == (place, member_id)]

    def change(self) -> asyncio.Future[None]:
        """Is done once there is another lane, or one less."""
        if self._change is None or self._change.done():
            self._change = asyncio.get_running_loop().create_future()
        return self._change

    def of(
        self,
        place: ServicePlace,
        member_id: MemberId | None,
        declared: JsonObject,
        seats: int = MEMBER_SEATS,
    ) -> Lane:
        """The lane of a member at a service. `seats`: of the member, in all variants."""
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_s > _SWEEP_S:
            self._sweep(now_s)
        key = (place, member_id, _variant(declared))
        if key not in self._lanes and declared and not self._make_room(place, member_id):
            return self.of(place, member_id, {}, seats)  # what is not declared is not asked
        lane = self._lanes.get(key)
        if lane is None:
            agent_seats = (place.agent_id, place.service)
            lane = self._lanes[key] = Lane(
                place,
                member_id,
                UpstreamMachine(place.service),
                self._service_seats.setdefault(agent_seats, Seats(SERVICE_SEATS)),
                now_s,
                declared,
                self._seats.setdefault(key[:2], Seats(seats)),
            )
            self._changed()
        return lane

    def end(self, is_meant: Callable[[Lane], bool]) -> None:
        """Drops lanes; what runs in them ends by itself."""
        for key, lane in list(self._lanes.items()):
            if is_meant(lane):
                del self._lanes[key]
        self._changed()

    def _changed(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def _make_room(self, place: ServicePlace, member_id: MemberId | None) -> bool:
        """Whether there is room for another variant now: the longest idle one goes for it."""
        variants = [lane for lane in self.of_member(place, member_id) if lane.declared]
        if len(variants) < VARIANTS_MAX:
            return True
        idle = [lane for lane in variants if lane.is_idle]
        if idle:
            oldest = min(idle, key=lambda lane: lane.touched_s)
            del self._lanes[place, member_id, oldest.variant]
        return bool(idle)

    def _sweep(self, now_s: float) -> None:
        self._swept_s = now_s
        self.end(lambda lane: not lane.jobs and now_s - lane.touched_s > IDLE_S)
        kept = {key[:2] for key in self._lanes}
        self._seats = {key: seats for key, seats in self._seats.items() if key in kept}


def _variant(declared: JsonObject) -> str:
    return msgspec.json.encode(declared, order="deterministic").decode() if declared else ""

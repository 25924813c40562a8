"""One administrator's session with the daemon: connect, call, follow events, connect again.

`connecting -> online -> lost (next try) -> …`; `refused` when the daemon says no to who asks. Reads
and writes are sent once: nothing is repeated by itself. The client library is loaded in a thread
after the first paint. No Textual here: what happens is told to one listener.
Source: terminal app specification, section 2.
"""

import asyncio
import importlib
import shlex
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from wicketd.api import endpoints
from wicketd.api.endpoint import Endpoint
from wicketd.api.events import RESYNC
from wicketd.api.types.listing import Empty, Page
from wicketd.api.types.status import EventsAsk, Status, WhoAmI

if TYPE_CHECKING:
    from wicketd.api.client import AdminClient

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")

FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 5.0
STEADY_S: Final = 5.0
"""A session that lasted this long was a good one: the next try comes soon."""
SILENCE_S: Final = 20.0
"""A daemon that neither speaks nor pings (every 15 s) this long hangs."""
KEPT: Final = 500
"""Entries of the command log."""
LONGEST: Final = 1000
"""Items that a list on a screen takes at most; a `DataTable` is slow beyond."""


class Link(StrEnum):
    """How the app stands to its daemon."""

    CONNECTING = "connecting"
    ONLINE = "online"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not work: a code, a sentence, the next step."""

    code: str
    message: str
    hint: str | None = None


class CallFailed(Exception):
    """A call that had no success. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Standing:
    """The link now. `retry_s`: seconds until the next try, where one is coming."""

    link: Link
    problem: Problem | None = None
    retry_s: float = 0.0
    who: WhoAmI | None = None
    status: Status | None = None
    foreign_contract: str | None = None
    """The contract number that the daemon speaks, when it is not ours."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The link changed, or what is known of the daemon."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Changed:
    """Something behind these topics changed. `resync`: anything may have."""

    topics: frozenset[str]
    resync: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """One line of the command log: never a value that travels in a body."""

    command: str
    outcome: str
    ms: int


Told = Moved | Changed
Listener = Callable[[Told], None]


class Session:
    """The app's only way to the daemon. `read_only`: refuse writes before they are sent."""

    def __init__(
        self, socket: Path, tell: Listener, *, read_only: bool = False, timeout_s: float = 15.0
    ) -> None:
        self.socket = socket
        self.read_only = read_only
        self.standing = Standing(Link.CONNECTING)
        self.log: deque[Sent] = deque(maxlen=KEPT)
        self._tell = tell
        self._timeout_s = timeout_s
        self._client: AdminClient | None = None
        self._last_id: str | None = None
        self._hurry = asyncio.Event()

    @property
    def can_write(self) -> bool:
        """Whether the daemon lets this user write, and the app was not told to only read."""
        who = self.standing.who
        return not self.read_only and who is not None and who.permission == "write"

    async def run(self) -> None:
        """Keeps the session until it is cancelled."""
        wait_s = FIRST_RETRY_S
        clock = asyncio.get_running_loop().time
        try:
            while True:
                began = clock()
                try:
                    await self._connect()
                    await self._follow()
                    problem = Problem("unreachable", "The daemon ended the connection.")
                except CallFailed as failure:
                    problem = failure.problem
                # One that is refused at once again and again would flicker four times a second.
                wait_s = FIRST_RETRY_S if clock() - began > STEADY_S else wait_s
                self._lose(problem, wait_s)
                await self._pause(wait_s)
                wait_s = min(wait_s * 2, LAST_RETRY_S)
        finally:
            await self._drop()

    async def close(self) -> None:
        """Ends the connections; `run` has been cancelled, or ends with its next step."""
        await self._drop()

    def hurry(self) -> None:
        """Tries at once instead of waiting."""
        self._hurry.set()

    async def call(self, endpoint: Endpoint[Q, R], request: Q, *, match: int | None = None) -> R:
        """Asks once and keeps a line of it in the command log.

        Raises:
            CallFailed: no connection, the daemon refused, or writing is not allowed here.
        """
        if endpoint.permission == "write" and self.read_only:
            raise CallFailed(Problem("forbidden", "The app was started with --read-only."))
        client = self._client
        if client is None:
            raise CallFailed(self.standing.problem or Problem("unreachable", "Not connected yet."))
        began = asyncio.get_running_loop().time()
        outcome = "done"
        try:
            return await _asked(client, endpoint, request, match)
        except CallFailed as failure:
            outcome = failure.problem.code
            raise
        finally:
            ms = int((asyncio.get_running_loop().time() - began) * 1000)
            self.log.append(Sent(_command(endpoint, request), outcome, ms))

    async def lines(self, endpoint: Endpoint[Q, Any], request: Q) -> AsyncIterator[str]:
        """The lines of a streamed text; the command log keeps a line of it.

        Raises:
            CallFailed: as `call`.
        """
        from wicketd.api.client import Refused, Unreachable

        client = self._client
        if client is None:
            raise CallFailed(self.standing.problem or Problem("unreachable", "Not connected yet."))
        self.log.append(Sent(_command(endpoint, request), "sent", 0))
        try:
            async for line in client.lines(endpoint, request):
                yield line
        except (Refused, Unreachable) as error:
            raise CallFailed(_problem(error)) from error

    async def every(self, endpoint: Endpoint[Q, Page[T]], request: Q) -> list[T]:
        """The items of a list, page by page, at most 1,000.

        Raises:
            CallFailed: as `call`.
        """
        items: list[T] = []
        cursor: str | None = None
        while len(items) < LONGEST:
            ask = msgspec.structs.replace(request, limit=500, cursor=cursor)  # type: ignore[type-var]  # lists are structs with both fields
            page = await self.call(endpoint, ask)
            items += page.items
            cursor = page.next
            if cursor is None:
                break
        return items[:LONGEST]

    async def refresh(self) -> None:
        """Reads the daemon's health again and tells it.

        Raises:
            CallFailed: as `call`.
        """
        status = await self.call(endpoints.STATUS, Empty())
        if self.standing.link is Link.ONLINE:
            self._move(replace(self.standing, status=status))

    async def _connect(self) -> None:
        await self._drop()
        # The HTTP library costs 100 ms: it loads beside the loop, so that keys answer meanwhile.
        await asyncio.to_thread(importlib.import_module, "wicketd.api.client")
        from wicketd.api.client import AdminClient

        foreign: set[str] = set()
        client = self._client = AdminClient(
            self.socket,
            timeout_s=self._timeout_s,
            silence_s=SILENCE_S,
            on_mismatch=foreign.add,
        )
        who = await _asked(client, endpoints.WHOAMI, Empty(), None)
        status = await _asked(client, endpoints.STATUS, Empty(), None)
        spoken = next(iter(foreign), None)
        self._move(Standing(Link.ONLINE, who=who, status=status, foreign_contract=spoken))

    async def _follow(self) -> None:
        """Reads the event stream to its end."""
        from wicketd.api.client import Refused, Unreachable

        client = self._client
        assert client is not None  # noqa: S101  # _connect made it
        try:
            async for event in client.events(EventsAsk(), last_id=self._last_id):
                self._last_id = event.id or self._last_id
                resync = event.topic == RESYNC
                self._tell(Changed(frozenset() if resync else frozenset({event.topic}), resync))
        except (Refused, Unreachable, ValueError) as error:
            raise CallFailed(_problem(error)) from error

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _pause(self, wait_s: float) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()

    def _lose(self, problem: Problem, wait_s: float) -> None:
        link = Link.REFUSED if problem.code == "forbidden" else Link.LOST
        self._move(replace(self.standing, link=link, problem=problem, retry_s=wait_s))

    def _move(self, standing: Standing) -> None:
        self.standing = standing
        self._tell(Moved(standing))


async def _asked(
    client: "AdminClient", endpoint: Endpoint[Q, R], request: Q, match: int | None
) -> R:
    from wicketd.api.client import Refused, Unreachable

    try:
        return await client.call(endpoint, request, match=match)
    except (Refused, Unreachable) as error:
        raise CallFailed(_problem(error)) from error


def _problem(error: Exception) -> Problem:
    from wicketd.api.client import Refused, TimedOut, Unreachable

    match error:
        case Refused(body=body):
            return Problem(body.code, body.message, body.hint)
        case TimedOut():
            return Problem("timeout", error.message, error.hint)
        case Unreachable():
            return Problem("unreachable", error.message, error.hint)
        case _:
            return Problem("unreachable", f"The event stream makes no sense: {error}.")


def _command(endpoint: Endpoint[Any, Any], request: Any) -> str:
    """The command of the log, for a shell: the endpoint's, with the values that its path names.

    Some values are foreign, such as the name of a tool, and the log is made to be copied.
    """
    values = [
        shlex.quote(str(getattr(request, name)))
        for name in msgspec.structs.asdict(request)
        if "{" + name + "}" in endpoint.path
    ]
    return " ".join(["wicket", endpoint.command, *values])

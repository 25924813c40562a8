"""Decides calls in thought over a state, without the process around it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from tests.support.state import State
from wicketd.domain.members import Member
from wicketd.policy import simulate
from wicketd.policy.child import Crashed
from wicketd.policy.replay import ListChange, RecordedCall, Replayed, Replayer
from wicketd.policy.setups import Setup
from wicketd.policy.simulate import Explained, HypotheticalCall
from wicketd.services.intents import Intents
from wicketd.services.rehearsals import Rehearsals
from wicketd.services.replay import Replays
from wicketd.services.replay_pages import Pace

T = TypeVar("T")


class InProcessSimulator:
    """The policy child's own code; everything passes its wire form."""

    async def simulate(self, setup: Setup, call: HypotheticalCall) -> list[Explained]:
        """See `PolicyChild.simulate`."""
        read = wired(setup, Setup)
        found = simulate.explain(read, read.compiled(), wired(call, HypotheticalCall))
        return wired(found, list[Explained])


class InProcessReplay:
    """The same for a replay; `crashes` at the page of that number."""

    def __init__(self, crashes: int | None = None) -> None:
        self._replayer: Replayer | None = None
        self._pages_left = crashes
        self.gate = asyncio.Event()
        self.gate.set()
        self.stopped = False

    async def replay(self, setup: Setup) -> None:
        """See `PolicyChild.replay`."""
        self._replayer = Replayer(wired(setup, Setup))

    async def rows(self, rows: Sequence[RecordedCall]) -> list[Replayed]:
        """See `PolicyChild.rows`."""
        await self.gate.wait()
        if self._pages_left is not None:
            self._pages_left -= 1
            if self._pages_left < 0:
                raise Crashed("The policy checker stopped.")
        assert self._replayer is not None
        return wired(self._replayer.page(wired(rows, list[RecordedCall])), list[Replayed])

    async def lists(
        self, members: Sequence[Member], tools: Sequence[tuple[str, str]]
    ) -> list[ListChange]:
        """See `PolicyChild.lists`."""
        assert self._replayer is not None
        return wired(self._replayer.lists(members, tools), list[ListChange])

    async def stop(self) -> None:
        """See `PolicyChild.stop`."""
        self.stopped = True


def wired(value: object, kind: type[T]) -> T:
    """A value as it comes out of the pipe."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def replays_over(
    state: State,
    new_child: Callable[[], InProcessReplay] = InProcessReplay,
    new_pace: Callable[[], Pace] | None = None,
) -> Replays:
    """Replays over a state as it is. `new_pace`: as if no calls ran, unless told."""

    def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, name=name)

    calm = new_pace or (lambda: Pace(Intents(state.desk)))
    return Replays(state.desk, rehearsals_over(state), spawn, new_child, calm)


def rehearsals_over(state: State, *, strict: bool = False) -> Rehearsals:
    """Sets in thought over a state as it is."""
    simulator = InProcessSimulator()
    return Rehearsals(state.desk, state.sets, simulator, state.sealer, strict=strict)

"""Channels over which upstreams tell of changes: one per (member, service), while somebody listens.

Counterpart of `client`, which opens one, and of `listening`, whose streams keep them wanted.
Invariant: a channel exists only while its member has an open front stream, and its credential is
unlocked by the key of such a stream. Source: protocol spec, 2.7.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.ports import Clock, Random, Spawn, Task
from wicketd.proxy.subscriptions import Place

BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
REFUSED_S: Final = 600.0
"""Until an upstream is asked again that has no channel, or takes no credential of the member."""

Listen: TypeAlias = Callable[[Caller, Connector], Awaitable[bool]]
"""Keeps a channel open until it ends; gives whether it is worth opening again."""


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """One open front stream, with the caller whose key unlocks."""

    caller: Caller


class Channels:
    """Every channel. `connectors`: of the services that are enabled for an agent."""

    def __init__(
        self,
        listen: Listen,
        connectors: Callable[[AgentId], Iterable[Connector]],
        *,
        spawn: Spawn,
        clock: Clock,
        random: Random,
    ) -> None:
        self._listen = listen
        self._connectors = connectors
        self._spawn = spawn
        self._clock = clock
        self._random = random
        self._present: dict[tuple[AgentId, MemberId], list[Presence]] = {}
        self._tasks: dict[Place, tuple[Connector, Task]] = {}
        self._refused: set[Place] = set()

    def join(self, caller: Caller) -> Presence:
        """A stream of the caller's member is open; hand what it gives to `leave`."""
        presence = Presence(caller)
        member = _member(caller)
        self._present.setdefault(member, []).append(presence)
        for place in [place for place in self._refused if place[:2] == member]:
            self._close(place)
        self._open(caller)
        return presence

    def leave(self, presence: Presence) -> None:
        """It is closed; with the last one the member's channels go."""
        member = _member(presence.caller)
        present = self._present.get(member, [])
        if presence in present:
            present.remove(presence)
        if not present:
            self._present.pop(member, None)
            for place in [place for place in self._tasks if place[:2] == member]:
                self._close(place)

    def caller_at(self, place: Place) -> Caller | None:
        """Whose key unlocks at a place now; None: nobody of the member listens."""
        present = self._present.get(place[:2])
        return present[-1].caller if present else None

    def changed(self, agent_id: AgentId | None = None) -> None:
        """Services may have come, gone or moved; None: of any agent."""
        for (agent, _), present in list(self._present.items()):
            if agent_id in {None, agent}:
                self._open(present[-1].caller)

    def reconnected(self, agent_id: AgentId, member_id: MemberId) -> None:
        """Connections of a member changed: its channels were opened with what they were before."""
        for place in [place for place in self._tasks if place[:2] == (agent_id, member_id)]:
            self.reopen(place)

    def reopen(self, place: Place) -> None:
        """What is wanted at a place has changed, or its member has come back."""
        self._close(place)
        present = self._present.get(place[:2])
        if present:
            self._open(present[-1].caller)

    def _open(self, caller: Caller) -> None:
        member = _member(caller)
        wanted = {connector.key: connector for connector in self._connectors(caller.agent.id)}
        for place, (connector, _) in list(self._tasks.items()):
            if place[:2] == member and wanted.get(place[2]) != connector:
                self._close(place)
        for key, connector in wanted.items():
            if (*member, key) not in self._tasks:
                keeping = self._keep(member, connector)
                task = self._spawn(keeping, name=f"channel {key}")
                self._tasks[*member, key] = connector, task

    def _close(self, place: Place) -> None:
        self._refused.discard(place)
        if place in self._tasks:
            _, task = self._tasks.pop(place)
            task.cancel()

    async def _keep(self, member: tuple[AgentId, MemberId], connector: Connector) -> None:
        pause_s = BACKOFF_S
        while member in self._present:
            began_s = self._clock.monotonic_s()
            if not await self._listen(self._present[member][-1].caller, connector):
                self._refused.add((*member, connector.key))
                await asyncio.sleep(REFUSED_S)
                continue
            lasted_s = self._clock.monotonic_s() - began_s
            pause_s = BACKOFF_S if lasted_s > BACKOFF_MAX_S else min(pause_s * 2, BACKOFF_MAX_S)
            await asyncio.sleep(pause_s * (0.5 + self._random.bytes(1)[0] / 512))


def _member(caller: Caller) -> tuple[AgentId, MemberId]:
    return caller.agent.id, caller.member.id

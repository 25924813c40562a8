"""What is known of each upstream's era: one verdict a service and connector file, for everybody.

Counterpart of `upstream`, which asks. Probing is single-flight per service; a probe without verdict
leaves the question to the next caller. Source: protocol spec, 4.2.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from wicketd.domain.calls import Failure
from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.ids import AgentId
from wicketd.domain.ports import Clock

_GOOD_FOR_MS: Final = MappingProxyType(
    {UpstreamEra.LEGACY: 24 * 3600 * 1000, UpstreamEra.INCOMPATIBLE: 60 * 1000}
)
"""Servers get upgraded. A modern verdict holds until a call contradicts it."""


@dataclass(frozen=True, slots=True)
class ServicePlace:
    """A service of an agent under one connector file."""

    agent_id: AgentId
    service: str
    connector_sha256: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An era and when it was found, in ms since 1970 UTC."""

    era: UpstreamEra
    at_ms: int


class VerdictStore(Protocol):
    """Keeps verdicts across restarts; the row of the service holds them."""

    async def load(self, place: ServicePlace) -> Verdict | None:
        """The stored verdict, None if there is none for this connector file."""

    async def store(self, place: ServicePlace, verdict: Verdict) -> None:
        """Replaces it."""


class Eras:
    """The verdicts in memory, over a store."""

    def __init__(self, store: VerdictStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._verdicts: dict[ServicePlace, Verdict] = {}
        self._locks: dict[ServicePlace, asyncio.Lock] = {}

    def is_good(self, place: ServicePlace) -> bool:
        """Whether a verdict is known and young enough."""
        verdict = self._verdicts.get(place)
        return verdict is not None and not self._is_old(verdict)

    def is_modern(self, place: ServicePlace) -> bool:
        """Whether requests of the modern era are known to be understood."""
        verdict = self._verdicts.get(place)
        return verdict is not None and verdict.era is UpstreamEra.MODERN

    async def find(
        self,
        place: ServicePlace,
        doubted: UpstreamEra | None,
        probe: Callable[[], Awaitable[UpstreamEra | Failure]],
    ) -> tuple[Verdict, bool] | Failure:
        """The verdict and whether it is fresh; probes if none is known or the one known is doubted.

        `doubted`: the era that a call has just contradicted.
        """
        began_ms = self._clock.now_ms()
        async with self._locks.setdefault(place, asyncio.Lock()):
            known = self._verdicts.get(place) or await self._store.load(place)
            if known is not None and not self._is_old(known):
                is_newer = known.at_ms > began_ms
                if known.era is not doubted or is_newer:
                    self._verdicts[place] = known
                    return known, is_newer
            era = await probe()
            if isinstance(era, Failure):
                return era
            verdict = Verdict(era, self._clock.now_ms())
            await self.learn(place, verdict)
            return verdict, True

    async def learn(self, place: ServicePlace, verdict: Verdict) -> None:
        """Records a verdict."""
        self._verdicts[place] = verdict
        await self._store.store(place, verdict)

    def _is_old(self, verdict: Verdict) -> bool:
        good_for_ms = _GOOD_FOR_MS.get(verdict.era)
        return good_for_ms is not None and self._clock.now_ms() - verdict.at_ms > good_for_ms

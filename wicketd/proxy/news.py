"""Brings together who wants to hear of changes and the upstreams that tell of them.

Counterpart of `channels`, `subscriptions` and `hub`, each of which knows one side only; `app.py`
makes one. Invariant: news of one member's upstream reach that member alone, unless the upstream is
the same for all (protocol spec, 2.7).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wicketd.domain.calls import Call, Caller, Failure, Refusal
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.policies import Decision
from wicketd.domain.ports import Clock, Random, Spawn
from wicketd.proxy.channels import Channels
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.hub import Hub
from wicketd.proxy.subscriptions import Place, Subscriptions
from wicketd.services.listing import Listings
from wicketd.services.snapshots import Snapshots
from wicketd.services.unlocking import Unlocker


@dataclass(frozen=True, slots=True)
class Sources:
    """What news are made of."""

    upstreams: UpstreamClient
    unlocker: Unlocker
    listings: Listings
    snapshots: Snapshots
    hub: Hub


class News:
    """Implements `signals.Signals`, and opens the channels over which they come."""

    def __init__(
        self,
        sources: Sources,
        decide: Callable[[Call], Decision | Refusal],
        *,
        spawn: Spawn,
        clock: Clock,
        random: Random,
    ) -> None:
        self._of = sources
        self._spawn = spawn
        self.hub = sources.hub
        self.subscriptions = Subscriptions(decide, clock, self._wanted)
        self.channels = Channels(
            self._listen, self._connectors, spawn=spawn, clock=clock, random=random
        )
        sources.upstreams.hear(self)

    def changed(self, agent_id: AgentId | None) -> None:
        """Policies, services or connections of an agent changed; None: of any."""
        self.hub.changed(agent_id)
        self.channels.changed(agent_id)

    def listed(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, listing: Listing
    ) -> None:
        """An upstream's list changed: who shows it looks again."""
        also = [Listing.TEMPLATES] if listing is Listing.RESOURCES else []
        for one in [listing, *also]:
            self._of.listings.outdate(agent_id, member_id, service, one)
        self.hub.changed(agent_id, member_id, listing)

    def updated(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, uri: str
    ) -> None:
        """A resource changed."""
        self.subscriptions.updated(agent_id, member_id, service, uri)

    def _connectors(self, agent_id: AgentId) -> Iterable[Connector]:
        snapshot = self._of.snapshots.of(agent_id)
        if snapshot is None:
            return ()
        return [one for key, one in snapshot.connectors.items() if snapshot.is_enabled(key)]

    async def _listen(self, caller: Caller, connector: Connector) -> bool:
        credential = await self._of.unlocker.unlock(caller, connector.key)
        if isinstance(credential, Failure):
            return False
        uris = self.subscriptions.uris((caller.agent.id, caller.member.id, connector.key))
        return await self._of.upstreams.listen(caller, connector, credential, uris)

    def _wanted(self, place: Place) -> None:
        """Other URIs are wanted: a modern channel says them as it opens, a legacy one is told."""
        agent_id, _, service = place
        found = (one for one in self._connectors(agent_id) if one.key == service)
        connector = next(found, None)
        if connector is None:
            return
        caller = self.channels.caller_at(place)
        if self._of.upstreams.is_modern(agent_id, connector):
            self.channels.reopen(place)
        elif caller is not None:
            self._spawn(self._release(caller, connector, place), name="unsubscribe")

    async def _release(self, caller: Caller, connector: Connector, place: Place) -> None:
        credential = await self._of.unlocker.unlock(caller, connector.key)
        if not isinstance(credential, Failure):
            wanted = self.subscriptions.uris(place)
            await self._of.upstreams.release(caller, connector, credential, wanted)

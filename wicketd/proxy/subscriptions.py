"""Who wants to hear of which changed resources, and their right to hear of it then. Pure.

Counterpart of `channels`, over which upstreams tell, and of `listening`, whose streams are told.
Invariant: a change reaches only subscribers of that very (agent, member, service, URI), and only if
the policy in force then still lets them read it. Source: protocol spec, 2.7 and section 6.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from wicketd.domain.calls import Call, Refusal
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.policies import Decision
from wicketd.domain.ports import Clock

URIS_MAX: Final = 256
"""Of one subscriber; the oldest makes room."""

Place: TypeAlias = tuple[AgentId, MemberId, str]
"""Agent, member, service."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """A session or a stream. `tell` writes that a front URI changed, and must not raise."""

    tell: Callable[[str], None]
    calls: dict[tuple[str, str], Call] = field(default_factory=dict)
    """By service and URI: the decided request, which is decided again at each delivery."""


class Subscriptions:
    """Every subscription. `decide`: the call path's own; `changed`: a place wants other URIs."""

    def __init__(
        self,
        decide: Callable[[Call], Decision | Refusal],
        clock: Clock,
        changed: Callable[[Place], None],
    ) -> None:
        self._decide = decide
        self._clock = clock
        self._changed = changed
        self._by_place: dict[Place, dict[str, set[Subscriber]]] = {}

    def add(self, subscriber: Subscriber, *calls: Call) -> None:
        """From now on the subscriber hears of what these decided requests are about."""
        for call in calls:
            key = call.service, call.name
            if key not in subscriber.calls and len(subscriber.calls) >= URIS_MAX:
                self.remove(subscriber, *next(iter(subscriber.calls)))
            subscriber.calls[key] = call
            uris = self._by_place.setdefault(_place(call), {})
            uris.setdefault(call.name, set()).add(subscriber)
        for place in {_place(call) for call in calls}:
            self._changed(place)

    def remove(self, subscriber: Subscriber, service: str, uri: str) -> None:
        """It does not want to hear of this one any more."""
        call = subscriber.calls.pop((service, uri), None)
        if call is None:
            return
        place = _place(call)
        uris = self._by_place[place]
        uris[uri].discard(subscriber)
        if uris[uri]:
            return
        del uris[uri]
        if not uris:
            del self._by_place[place]
        self._changed(place)

    def drop(self, subscriber: Subscriber) -> None:
        """The subscriber is gone."""
        for service, uri in list(subscriber.calls):
            self.remove(subscriber, service, uri)

    def uris(self, place: Place) -> frozenset[str]:
        """What is subscribed to at a place, by anybody of the member."""
        return frozenset(self._by_place.get(place, ()))

    def updated(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, uri: str
    ) -> None:
        """An upstream says that a resource changed; `member_id` None: to all members alike."""
        for place, uris in list(self._by_place.items()):
            is_meant = (place[0], place[2]) == (agent_id, service)
            if is_meant and member_id in {None, place[1]}:
                for subscriber in list(uris.get(uri, ())):
                    self._deliver(subscriber, service, uri)

    def _deliver(self, subscriber: Subscriber, service: str, uri: str) -> None:
        call = subscriber.calls[service, uri]
        decision = self._decide(replace(call, at_ms=self._clock.now_ms()))
        if isinstance(decision, Decision) and decision.allow:
            subscriber.tell(call.front_name)
        else:
            self.remove(subscriber, service, uri)


def _place(call: Call) -> Place:
    return call.caller.agent.id, call.caller.member.id, call.service

"""What an upstream says of itself outside of answers: a list or a resource has changed.

Counterpart of `runner`, which hears it, and of `hub` and `subscriptions`, which know whom it
concerns. Nothing of the message itself goes on: a client is told of its own view alone.
Source: protocol spec, 2.7 and 4.1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.proxy.eras import ServicePlace

_UPDATED: Final = "notifications/resources/updated"
CHANGED: Final[Mapping[str, Listing]] = MappingProxyType(
    {
        "notifications/tools/list_changed": Listing.TOOLS,
        "notifications/prompts/list_changed": Listing.PROMPTS,
        "notifications/resources/list_changed": Listing.RESOURCES,
    }
)


class Signals(Protocol):
    """Who has to know. `member_id` None: the upstream is the same for all members."""

    def listed(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, listing: Listing
    ) -> None:
        """A list of the service has changed; resources stand for their templates too."""

    def updated(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, uri: str
    ) -> None:
        """A resource has changed."""


def is_signal(method: str) -> bool:
    """Whether a notification is one of these."""
    return method in CHANGED or method == _UPDATED


def tell(
    signals: Signals, place: ServicePlace, member_id: MemberId | None, said: tuple[str, JsonObject]
) -> None:
    """Passes such a notification (method, params) on."""
    method, params = said
    uri = params.get("uri")
    if method in CHANGED:
        signals.listed(place.agent_id, member_id, place.service, CHANGED[method])
    elif isinstance(uri, str):
        signals.updated(place.agent_id, member_id, place.service, uri)

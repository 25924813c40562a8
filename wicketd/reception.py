"""Composes the members' pages over the parts that `app` and `entrance` made. It decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from wicketd.domain.accounts import Visitor
from wicketd.domain.calls import Caller
from wicketd.domain.connections import Connection
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ports import Random
from wicketd.entrance import Entrance
from wicketd.portal.admission import PortalRules
from wicketd.portal.app import PortalApp
from wicketd.portal.session import FormTokens
from wicketd.portal.usecases import ConfirmationPort, ConsentPort, UseCases
from wicketd.services.connections import Connections
from wicketd.services.desk import Desk
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.own import Own
from wicketd.services.recent_factor import RecentFactor
from wicketd.vault.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Counters:
    """The use cases that both administrators and members come to."""

    keys: Keys
    recent: RecentFactor
    connections: Connections
    members: Members
    own: Own


def portal(
    desk: Desk,
    enter: Entrance,
    counters: Counters,
    rules: PortalRules,
    sealer: Sealer,
    random: Random,
) -> PortalApp:
    """The ASGI app of every path that is not the endpoint's."""
    uses = UseCases(
        signin=enter.sign_in,
        sessions=enter.sessions,
        second_factor=enter.second_factor,
        joining=enter.joining,
        factors=enter.factors,
        keys=counters.keys,
        recent=counters.recent,
        connections=counters.connections,
        members=counters.members,
        flows=NoProviders(),
        own=counters.own,
        clock=desk.clock,
        url=rules.public_url,
    )
    return PortalApp(uses, rules, FormTokens(sealer), random)


def connect_page(url: str) -> Callable[[Caller, str], str | None]:
    """Where a caller connects a service; a local member by an admin's command, so nowhere."""

    def page(caller: Caller, _service: str) -> str | None:
        return None if caller.member.is_local else f"{url}/agents/{caller.agent.id}"

    return page


class NoProviders:
    """Stands for sign-ins with providers until the daemon has them."""

    async def prepare(self, visitor: Visitor, agent_id: str, service: str) -> ConsentPort:
        """Nothing can be connected."""
        raise _none()

    async def start(self, visitor: Visitor, agent_id: str, service: str) -> str:
        """Nothing can be connected."""
        raise _none()

    async def callback(self, visitor: Visitor, service: str, query: bytes) -> ConfirmationPort:
        """Nobody was sent to a provider."""
        raise _none()

    async def confirm(self, visitor: Visitor, flow_id: str) -> Connection:
        """There is no attempt."""
        raise NotFound("no such attempt")

    async def discard(self, visitor: Visitor, flow_id: str) -> object:
        """There is no attempt."""
        raise NotFound("no such attempt")

    def client_document(self) -> bytes | None:
        """There is none."""
        return None


def _none() -> Conflict:
    return Conflict("Services with a sign-in cannot be connected here yet.")

"""Composes the members' pages over the parts that `app` and `entrance` made. It decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from wicketd.domain.calls import Caller
from wicketd.domain.ports import Random
from wicketd.entrance import Entrance
from wicketd.portal.admission import PortalRules
from wicketd.portal.app import PortalApp
from wicketd.portal.session import FormTokens
from wicketd.portal.usecases import UseCases
from wicketd.services.connections import Connections
from wicketd.services.desk import Desk
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.oauth_flows import OAuthFlows
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
    flows: OAuthFlows
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
        flows=counters.flows,
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

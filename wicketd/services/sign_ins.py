"""Puts the parts of sign-ins together: one client at the providers, one memory of their metadata.

Counterpart: `app`, which hands in the ends. Two steps, because the desk carries the revoker and the
use cases work with the desk.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.ports import Clock, Random, Spawn
from wicketd.oauth import register
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers
from wicketd.services.app_clients import AppClients
from wicketd.services.desk import Desk
from wicketd.services.flow_box import FlowBox
from wicketd.services.flow_tools import FlowTools
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.revocation import Revoker
from wicketd.services.tokens import TokenBox
from wicketd.vault.sealing import Sealer


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """Values of the configuration.

    `public_url`: what members' browsers know us as; `cimd`: whether our client document is
    published; `loopback`: whether providers on this machine may speak http.
    """

    public_url: str
    cimd: bool = False
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class SignInEnds:
    """What the parts are put between."""

    http: OAuthHttp
    box: TokenBox
    sealer: Sealer
    clock: Clock
    catalogue: Callable[[], Catalogue]
    spawn: Spawn
    settings: SignInSettings


class SignIns:
    """What every use of a provider shares."""

    def __init__(self, ends: SignInEnds) -> None:
        self.ends = ends
        self.clients = AppClients(ends.sealer)
        self.providers = Providers(ends.http, ends.clock, loopback=ends.settings.loopback)
        self.revoker = Revoker(
            ends.box, self.clients, self.providers, ends.http, ends.catalogue, ends.spawn
        )

    @property
    def http(self) -> OAuthHttp:
        """The client, to be closed with the daemon."""
        return self.ends.http

    def flows(self, desk: Desk, random: Random) -> OAuthFlows:
        """The use cases above the desk."""
        ends, settings = self.ends, self.ends.settings
        return OAuthFlows(
            FlowTools(
                desk=desk,
                box=FlowBox(ends.sealer),
                tokens=ends.box,
                clients=self.clients,
                providers=self.providers,
                http=ends.http,
                revoker=self.revoker,
                catalogue=ends.catalogue,
                random=random,
                public_url=settings.public_url,
                document=register.document_url(settings.public_url, is_on=settings.cimd),
            )
        )

"""What every step of a sign-in with a provider works with, and for whom it is done.

Counterparts: `flow_start`, `flow_redeem`, `flow_end`; `oauth_flows` is their face.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wicketd.connectors.catalogue import Catalogue, destination
from wicketd.domain.actor import Author
from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import Connector, CredentialKind, HttpTransport, Service
from wicketd.domain.connections import Destination
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import WebSessionId
from wicketd.domain.members import Member
from wicketd.domain.ports import Random
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers
from wicketd.services.app_clients import AppClients
from wicketd.services.desk import Desk
from wicketd.services.flow_box import FlowBox
from wicketd.services.revocation import Revoker
from wicketd.services.tokens import TokenBox

CALLBACK_PATH: Final = "/oauth/callback"


@dataclass(frozen=True, slots=True)
class Party:
    """Who signs in where. `web_session_id` None: an admin does it for a local member."""

    agent: Agent
    member: Member
    service: Service
    web_session_id: WebSessionId | None
    author: Author


@dataclass(frozen=True, slots=True)
class SignInTarget:
    """The connector in force. `url`: the resource that tokens are for; `to`: their destination."""

    connector: Connector
    url: str
    to: Destination

    @property
    def is_preregistered(self) -> bool:
        """Whether only an admin's own app will do."""
        return self.connector.oauth.get("registration") == "pre"


@dataclass(frozen=True, slots=True)
class FlowTools:
    """The tools. `public_url`: what members' browsers know us as.

    `document`: the URL of our client document, if it is switched on and public.
    """

    desk: Desk
    box: FlowBox
    tokens: TokenBox
    clients: AppClients
    providers: Providers
    http: OAuthHttp
    revoker: Revoker
    catalogue: Callable[[], Catalogue]
    random: Random
    public_url: str
    document: str | None = None

    def redirect_uri(self, service: str) -> str:
        """The one redirect URI of a service: a second defence against mix-ups."""
        return f"{self.public_url}{CALLBACK_PATH}/{service}"

    def target(self, service: str) -> SignInTarget:
        """What a sign-in for a service is for, by the connector in force.

        Raises:
            Conflict: the service is not one that members sign in to.
        """
        found = self.catalogue().get(service)
        if found is not None and found.credential.kind is CredentialKind.OAUTH:
            to = destination(found)
            if to is not None and isinstance(found.transport, HttpTransport):
                return SignInTarget(found, found.transport.url, to)
        message = f"The service {service} has no sign-in. See it in the catalogue."
        raise Conflict(message, hint=f"wicket catalogue show {service}")


def host_of(issuer: str) -> str:
    """The host that people know a provider by."""
    return urlsplit(issuer).hostname or issuer

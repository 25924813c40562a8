"""What the pages work with: the use cases of members and the settings that pages show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wicketd.domain.accounts import Visitor
from wicketd.domain.connections import Connection
from wicketd.domain.ports import Clock
from wicketd.services.connections import Connections
from wicketd.services.factor_rules import FactorRules
from wicketd.services.joining import Joining
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.own import Own
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.second_factor import SecondFactor
from wicketd.services.signin import SignIn
from wicketd.services.web_sessions import WebSessions


class ConsentPort(Protocol):
    """What a member is asked before an account is connected."""

    @property
    def provider_host(self) -> str:
        """Where the account is."""

    @property
    def scopes(self) -> Sequence[str]:
        """What is asked for."""

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends the browser back to."""


class ConfirmationPort(Protocol):
    """What a member is asked after the provider answered."""

    @property
    def agent(self) -> str:
        """The name of the agent."""

    @property
    def flow_id(self) -> str:
        """Names the attempt in the form."""

    @property
    def provider_host(self) -> str:
        """Where the account is."""

    @property
    def account_label(self) -> str | None:
        """Whose account, where the provider says so."""

    @property
    def scopes(self) -> Sequence[str]:
        """What was granted."""


class FlowsPort(Protocol):
    """`services.oauth_flows.OAuthFlows`."""

    async def prepare(self, visitor: Visitor, agent_id: str, service: str) -> ConsentPort:
        """What the consent page shows."""

    async def start(self, visitor: Visitor, agent_id: str, service: str) -> str:
        """Begins an attempt and gives the provider's URL."""

    async def callback(self, visitor: Visitor, service: str, query: bytes) -> ConfirmationPort:
        """Redeems what the provider sent back."""

    async def confirm(self, visitor: Visitor, flow_id: str) -> Connection:
        """Keeps the account."""

    async def discard(self, visitor: Visitor, flow_id: str) -> object:
        """Lets go of it."""

    def client_document(self) -> bytes | None:
        """What providers read under our own URL, if that is switched on."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that the portal can do. `url`: the portal's own, without a slash at its end."""

    signin: SignIn
    sessions: WebSessions
    second_factor: SecondFactor
    joining: Joining
    factors: FactorRules
    keys: Keys
    recent: RecentFactor
    connections: Connections
    members: Members
    flows: FlowsPort
    own: Own
    clock: Clock
    url: str

    @property
    def mcp_url(self) -> str:
        """Where clients connect."""
        return f"{self.url}/mcp"

"""What the pages work with: the use cases of members and the settings that pages show."""

from dataclasses import dataclass

from wicketd.domain.ports import Clock
from wicketd.services.connections import Connections
from wicketd.services.factor_rules import FactorRules
from wicketd.services.joining import Joining
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.own import Own
from wicketd.services.recent_factor import RecentFactor
from wicketd.services.second_factor import SecondFactor
from wicketd.services.signin import SignIn
from wicketd.services.web_sessions import WebSessions


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
    flows: OAuthFlows
    own: Own
    clock: Clock
    url: str

    @property
    def mcp_url(self) -> str:
        """Where clients connect."""
        return f"{self.url}/mcp"

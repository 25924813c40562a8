"""A sign-in with a provider that is under way: one attempt of one member for one service.

Source: product spec, section 4 (`oauth_flows`); security spec, 6.3 and 6.4.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import (
    AgentId,
    ConnectionId,
    MemberId,
    OAuthFlowId,
    ServiceId,
    WebSessionId,
)

LIFE_MS: Final = 600_000
"""From the link to the confirmation."""
OPEN_MAX: Final = 20
"""Attempts of one member that may be open at once."""


@dataclass(frozen=True, slots=True)
class OAuthFlow:
    """One row. `connection_id`: the row that the tokens will fill; it may not exist yet.

    `web_session_id` None: an admin's, for a local member. `used_at`: its state was redeemed;
    `tokens_ct`: what that brought, until the member confirms it. Times in ms since 1970 UTC.
    """

    id: OAuthFlowId
    state_mac: bytes
    kid: str
    web_session_id: WebSessionId | None
    agent_id: AgentId
    member_id: MemberId
    service_id: ServiceId
    connection_id: ConnectionId
    issuer: str
    token_endpoint: str
    redirect_uri: str
    resource: str
    verifier_ct: bytes
    tokens_ct: bytes | None
    scopes: str
    created_at: int
    expires_at: int
    used_at: int | None

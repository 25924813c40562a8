"""Begins a sign-in with a provider: what is asked for, the row of the attempt, the link.

Counterpart: `flow_redeem`. No row exists before a person asked for it, and none is made for a
provider whose metadata did not pass every check.
Source: security spec, 6.1 to 6.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wicketd.domain.connections import Connection
from wicketd.domain.errors import RateLimited
from wicketd.domain.ids import ConnectionId, OAuthFlowId
from wicketd.domain.oauth_flows import LIFE_MS, OPEN_MAX, OAuthFlow
from wicketd.oauth import authorize
from wicketd.oauth.authorize import AuthorizationRequest
from wicketd.oauth.discovery import AuthorizationServer
from wicketd.oauth.provider import Provider
from wicketd.services.desk import Unit
from wicketd.services.flow_box import FlowAt, FlowSecret
from wicketd.services.flow_clients import FlowClients
from wicketd.services.flow_tools import FlowTools, Party, SignInTarget, host_of
from wicketd.services.oauth_records import union
from wicketd.storage import app_credentials, connections, oauth_flows


@dataclass(frozen=True, slots=True)
class Consent:
    """What a member is shown before a sign-in; `provider_host` is the issuer's."""

    agent: str
    service: str
    provider_host: str
    issuer: str
    scopes: tuple[str, ...]
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class _Begun:
    """One attempt on its way into a row."""

    party: Party
    target: SignInTarget
    flow: OAuthFlow
    secret: FlowSecret


class FlowStart:
    """The first half of a sign-in."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools
        self._clients = FlowClients(tools)

    async def consent(self, party: Party) -> Consent:
        """What a sign-in would ask for. Nothing is stored and nothing registered.

        Raises:
            ClockBackwards: the host's clock was set back.
            Conflict: the service has no sign-in, or an admin has to give app credentials first.
            Upstream: upstream or provider do not answer, or break a rule.
        """
        await self._tools.desk.guard.check()
        target = self._tools.target(party.service.key)
        provider, scopes = await self._found(party, target)
        await self._clients.check(party, provider)
        return Consent(
            agent=party.agent.name,
            service=target.connector.name,
            provider_host=host_of(provider.server.issuer),
            issuer=provider.server.issuer,
            scopes=scopes,
            redirect_uri=self._tools.redirect_uri(party.service.key),
        )

    async def link(self, party: Party) -> str:
        """Makes the row of an attempt and gives the authorization URL.

        Raises:
            ClockBackwards, Conflict, Upstream: as `consent`.
            RateLimited: the member has 20 attempts open.
        """
        now = await self._tools.desk.guard.check()
        target = self._tools.target(party.service.key)
        provider, scopes = await self._found(party, target)
        auth = await self._clients.find(party, provider)
        request = AuthorizationRequest(
            client_id=auth.client_id,
            redirect_uri=self._tools.redirect_uri(party.service.key),
            scopes=scopes,
            state=authorize.state(self._tools.random.bytes(authorize.STATE_BYTES)),
            verifier=authorize.verifier(self._tools.random.bytes(authorize.VERIFIER_BYTES)),
            resource=target.url,
        )
        url = authorize.url(provider.server.authorization_endpoint, request)
        secret = FlowSecret(
            verifier=request.verifier,
            client_id=auth.client_id,
            auth_method=auth.method,
            sends_iss=provider.server.sends_iss,
        )
        begun = _Begun(party, target, self._row(party, provider.server, request, now), secret)
        await self._tools.desk.change(party.author, lambda unit: self._insert(unit, begun))
        return url

    async def _found(self, party: Party, target: SignInTarget) -> tuple[Provider, tuple[str, ...]]:
        db, agent_id, service_id = self._tools.desk.db, party.agent.id, party.service.id
        app = await db.one(app_credentials.of_service(agent_id, service_id))
        bound = None if app is None else app.issuer
        provider = await self._tools.providers.find(target.connector, bound)
        row = await db.one(connections.of_member_service(agent_id, party.member.id, service_id))
        return provider, _wanted(provider, row)

    def _row(
        self, party: Party, server: AuthorizationServer, request: AuthorizationRequest, now: int
    ) -> OAuthFlow:
        kid, mac = self._tools.box.state(request.state)
        return OAuthFlow(
            id=OAuthFlowId(self._tools.desk.ids.uuid7()),
            state_mac=mac,
            kid=kid,
            web_session_id=party.web_session_id,
            agent_id=party.agent.id,
            member_id=party.member.id,
            service_id=party.service.id,
            connection_id=ConnectionId(self._tools.desk.ids.uuid7()),
            issuer=server.issuer,
            token_endpoint=server.token_endpoint,
            redirect_uri=request.redirect_uri,
            resource=request.resource,
            verifier_ct=b"",
            tokens_ct=None,
            scopes=" ".join(request.scopes),
            created_at=now,
            expires_at=now + LIFE_MS,
            used_at=None,
        )

    def _insert(self, unit: Unit, begun: _Begun) -> None:
        flow = begun.flow
        others = unit.tx.all(
            oauth_flows.open_of_member(flow.agent_id, flow.member_id, flow.created_at)
        )
        if len(others) >= OPEN_MAX:
            message = "Too many sign-ins are open. Finish one, or wait ten minutes and start again."
            raise RateLimited(message)
        flow = _with_connection(unit, flow, others)
        at = FlowAt(flow, begun.party.service.key, begun.target.to)
        unit.tx.run(oauth_flows.insert(self._tools.box.begun(at, begun.secret)))


def _with_connection(unit: Unit, flow: OAuthFlow, others: Sequence[OAuthFlow]) -> OAuthFlow:
    """The row that the tokens will fill: the connection's, else that of another open attempt."""
    query = connections.of_member_service(flow.agent_id, flow.member_id, flow.service_id)
    row = unit.tx.one(query)
    if row is not None:
        return replace(flow, connection_id=row.id)
    for other in others:
        if other.service_id == flow.service_id:
            return replace(flow, connection_id=other.connection_id)
    return flow


def _wanted(provider: Provider, row: Connection | None) -> tuple[str, ...]:
    """The provider's scopes, and for a step-up what the old tokens had and lacked."""
    if row is None or row.missing_scopes is None:
        return provider.scopes
    more = union(row.scopes, row.missing_scopes.split()).split()
    return tuple(union(" ".join(provider.scopes), more).split())

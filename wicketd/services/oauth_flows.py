"""Sign-ins with providers: of members in the portal, and of admins for local members over SSH.

The steps are in `flow_start`, `flow_redeem` and `flow_end`; this is their face. Invariant: state,
issuer and PKCE are checked the same way on both paths.
Source: product spec, sections 8 and 9; security spec, section 6.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.accounts import Visitor
from wicketd.domain.actor import Actor
from wicketd.domain.catalogue import CredentialKind, ServiceState
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import Conflict, Invalid, NotApproved
from wicketd.domain.members import Member, MemberState
from wicketd.oauth import register
from wicketd.oauth.callback import Parameters
from wicketd.services import find
from wicketd.services.app_credentials import AppCredentials
from wicketd.services.flow_end import FlowEnd
from wicketd.services.flow_redeem import MAY_CONNECT, Asked, FlowRedeem, Redeemed
from wicketd.services.flow_start import Consent, FlowStart
from wicketd.services.flow_tools import FlowTools, Party, host_of
from wicketd.storage import oauth_flows, services

PASTED_CHARACTERS_MAX: Final = 8_192


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a member is asked to keep. `account_label` None: nobody says whose account it is."""

    flow_id: str
    agent: str
    service: str
    provider_host: str
    account_label: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """What an admin connected for a local member."""

    account_label: str | None
    scopes: tuple[str, ...]
    state: ConnectionState
    pending_expires_at: int | None


class OAuthFlows:
    """The use cases of sign-ins."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools
        self._start = FlowStart(tools)
        self._redeem = FlowRedeem(tools)
        self._end = FlowEnd(tools)

    @property
    def apps(self) -> AppCredentials:
        """The app credentials of services, which share the tools of sign-ins."""
        return AppCredentials(self._tools)

    @property
    def deposits(self) -> FlowEnd:
        """The unconfirmed tokens, for changes of a member's key."""
        return self._end

    async def prepare(self, visitor: Visitor, agent_id: str, service: str) -> Consent:
        """What the consent page says before a sign-in; nothing is stored.

        Raises:
            NotFound: the visitor is no member of such an agent, or it has no such service now.
            NotApproved: the invitation is not accepted yet.
            Conflict: the service has no sign-in, or waits for an admin's app credentials.
            ClockBackwards: the host's clock was set back.
            Upstream: upstream or provider do not answer, or break a rule.
        """
        return await self._start.consent(await self._own(visitor, agent_id, service))

    async def start(self, visitor: Visitor, agent_id: str, service: str) -> str:
        """Begins an attempt, bound to this portal session; gives the URL of the provider.

        Raises:
            NotFound, NotApproved, Conflict, ClockBackwards, Upstream: as `prepare`.
            RateLimited: 20 attempts are open.
        """
        return await self._start.link(await self._own(visitor, agent_id, service))

    async def callback(self, visitor: Visitor, service: str, query: bytes) -> Confirmation:
        """Redeems what the browser brought back and asks what to do with it.

        `query`: the raw query of the request.

        Raises:
            Forbidden: not this browser's, this member's, this service's; used, late, mixed up.
            Invalid: the provider answered with an error; the sentence is ours.
            ClockBackwards, Upstream, Unhealthy: as `FlowRedeem.redeem`.
        """
        asked = Asked(visitor, service, visitor.session.id, visitor.account.id)
        redeemed = await self._redeem.redeem(asked, query)
        self._end.hold(redeemed)
        return self._confirmation(redeemed)

    async def turn_away(self, service: str, query: bytes) -> None:
        """Records that a browser without a session brought back somebody's sign-in."""
        await self._redeem.turn_away(service, query)

    async def confirm(self, visitor: Visitor, flow_id: str) -> Connection:
        """Keeps the account: its tokens become the visitor's connection.

        Raises:
            NotFound, Gone, Conflict, ClockBackwards, Unhealthy: as `FlowEnd.confirm`.
        """
        return await self._end.confirm(visitor, flow_id, visitor.session.id)

    async def discard(self, visitor: Visitor, flow_id: str) -> None:
        """Declines the account: its tokens are revoked as far as we can, and deleted.

        Raises:
            NotFound: there is no such sign-in in this browser.
        """
        await self._end.discard(visitor, flow_id, visitor.session.id)

    async def start_for(self, actor: Actor, agent: str, member: str, service: str) -> str:
        """Begins an attempt for a local member; gives the URL that a person opens anywhere.

        Raises:
            NotFound: there is no such agent, member or service.
            Conflict: the member has an account or is not approved; the service is off, has no
                sign-in, or waits for app credentials.
            ClockBackwards, Upstream, RateLimited: as `start`.
        """
        return await self._start.link(await self._local(actor, agent, member, service))

    async def finish_for(
        self, actor: Actor, agent: str, member: str, service: str, pasted: str
    ) -> Finished:
        """Redeems a pasted redirect URL, or its bare code, and keeps the account.

        `pasted` is parsed and never fetched.

        Raises:
            NotFound, Conflict: as `start_for`, or no attempt is open.
            Invalid: it is no redirect of this service, or the provider answered with an error.
            Forbidden: the state is nobody's, another's, used or late, or the issuer is another.
            ClockBackwards, Upstream, Unhealthy: as `callback`.
        """
        party = await self._local(actor, agent, member, service)
        asked = Asked(actor, service, None, party.member.id)
        text = pasted.strip()
        if "://" in text:
            query = self._query_of(text, service)
            redeemed = await self._redeem.redeem(asked, query)
        else:
            redeemed = await self._of_code(party, asked, text)
        self._end.hold(redeemed)
        kept = await self._end.confirm_at_once(actor, redeemed.taken.at.flow)
        scopes = tuple((kept.scopes or "").split())
        return Finished(kept.account_label, scopes, kept.state, kept.pending_expires_at)

    async def sweep(self) -> int:
        """Ends sign-ins that nobody confirmed in ten minutes, and gives their number."""
        return await self._end.sweep()

    def client_document(self) -> bytes | None:
        """The JSON document under our own URL that providers read, if that is switched on."""
        url = self._tools.document
        if url is None:
            return None
        keys = [
            connector.key
            for connector in self._tools.catalogue().all()
            if connector.credential.kind is CredentialKind.OAUTH
        ]
        return register.document(url, tuple(map(self._tools.redirect_uri, keys)))

    async def _of_code(self, party: Party, asked: Asked, code: str) -> Redeemed:
        """A bare code has no state: it is redeemed for the one attempt that is open."""
        now = await self._tools.desk.guard.check()
        query = oauth_flows.open_of_member(party.agent.id, party.member.id, now)
        flows = [
            flow
            for flow in await self._tools.desk.db.all(query)
            if flow.service_id == party.service.id and flow.used_at is None
        ]
        if len(flows) != 1:
            message = (
                "A bare code fits exactly one open sign-in. Paste the whole URL, or start again."
            )
            raise Conflict(message)
        taken = await self._redeem.take_flow(asked, flows[0])
        return await self._redeem.finish(asked, taken, Parameters("", code, None, None))

    def _query_of(self, pasted: str, service: str) -> bytes:
        """The query of a pasted redirect URL; what stands before it is ours or it is refused."""
        expected = self._tools.redirect_uri(service)
        plain, _, query = pasted.partition("#")[0].partition("?")
        is_whole = len(pasted) <= PASTED_CHARACTERS_MAX and pasted.isascii()
        if not is_whole or plain != expected or not query:
            message = (
                f"This is not the address that the provider sent the browser to: that one begins "
                f"with {expected}? Paste it whole."
            )
            raise Invalid(message)
        return query.encode("ascii")

    def _confirmation(self, redeemed: Redeemed) -> Confirmation:
        at = redeemed.taken.at
        return Confirmation(
            flow_id=at.flow.id,
            agent=redeemed.taken.agent,
            service=self._tools.target(at.service).connector.name,
            provider_host=host_of(at.flow.issuer),
            account_label=None,
            scopes=tuple(redeemed.record.scope.split()),
        )

    async def _own(self, visitor: Visitor, agent_id: str, service: str) -> Party:
        db = self._tools.desk.db
        member = await find.read_own_member(db, visitor, agent_id)
        if member.state not in MAY_CONNECT:
            message = "You have not accepted the invitation yet. Accept it, then connect."
            raise NotApproved(message)
        found = await db.one(services.by_key(member.agent_id, service))
        if found is None or found.state is not ServiceState.ENABLED:
            raise find.no_page()
        owner = await find.read_live_agent(db, member.agent_id)
        return Party(owner, member, found, visitor.session.id, visitor)

    async def _local(self, actor: Actor, agent: str, member: str, service: str) -> Party:
        db = self._tools.desk.db
        owner = await find.read_live_agent(db, agent)
        who = await find.read_member(db, owner, member)
        _may_be_connected(who)
        found = await find.read_service(db, owner, service)
        if found.state is not ServiceState.ENABLED:
            message = f"The service {service} is disabled. Enable it first."
            raise Conflict(message, hint=f"wicket service enable {owner.key} {service}")
        return Party(owner, who, found, None, actor)


def _may_be_connected(member: Member) -> None:
    if not member.is_local:
        message = (
            f"{member.principal} has an account and connects in the portal. "
            "Connect local members here."
        )
        raise Conflict(message)
    if member.state is not MemberState.APPROVED:
        message = f"{member.principal} is {member.state.value}. Add the member again."
        raise Conflict(message)

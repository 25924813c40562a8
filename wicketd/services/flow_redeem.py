"""Redeems what a browser brought back: state, issuer, code, tokens, in this order and no other.

Counterparts: `oauth.callback` judges, `flow_end` confirms. Invariant: nothing is sent to a provider
before the state was taken by the browser that began the sign-in, and tokens are sealed at once.
Source: security spec, 6.4; house rules, 5.
"""

from dataclasses import dataclass, replace
from typing import Final, NoReturn

import msgspec

from wicketd.domain.actor import SYSTEM, Author
from wicketd.domain.catalogue import ServiceState
from wicketd.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Unreachable,
    Upstream,
)
from wicketd.domain.ids import WebSessionId
from wicketd.domain.members import Member, MemberState
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.oauth import callback, token
from wicketd.oauth.callback import CallbackRefused, Parameters
from wicketd.oauth.token import AuthMethod, ClientAuth, Meaning, TokenAnswer, TokenError
from wicketd.services import oauth_records
from wicketd.services.app_clients import auth_of
from wicketd.services.breaking import forged
from wicketd.services.desk import Unit
from wicketd.services.events import Topic
from wicketd.services.flow_box import FlowAt, FlowSecret
from wicketd.services.flow_tools import FlowTools
from wicketd.services.oauth_records import Source
from wicketd.services.tokens import TokenRecord
from wicketd.storage import agents, app_credentials, keys, members, oauth_flows, services
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.sealing import SealPublicForged
from wicketd.vault.secret import Secret

MAY_CONNECT: Final = frozenset({MemberState.PENDING, MemberState.APPROVED})
_CONFIGURATION: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_target", "invalid_scope"}
)
"""Codes that only an admin can do something about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who came back. `web_session_id` None: an admin for a local member."""

    author: Author
    service: str
    web_session_id: WebSessionId | None
    owns: str
    """The account of the portal session, or the local member's id."""

    def is_of(self, member: Member) -> bool:
        """Whether the member is who came back."""
        return self.owns == (member.id if self.web_session_id is None else member.account_id)


@dataclass(frozen=True, slots=True)
class Taken:
    """A state that was redeemed: its row, what redeems its code, who it is for."""

    at: FlowAt
    secret: FlowSecret
    auth: ClientAuth
    member: Member
    agent: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A sign-in whose tokens are sealed and wait for a confirmation."""

    taken: Taken
    record: TokenRecord


class FlowRedeem:
    """The second half of a sign-in."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools

    async def redeem(self, asked: Asked, query: bytes) -> Redeemed:
        """Takes the state, checks the issuer, redeems the code, seals the tokens.

        Raises:
            ClockBackwards: the host's clock was set back; nothing was redeemed.
            Forbidden: not this browser's, this member's, this service's; used, late, mixed up.
            Invalid: the provider answered with an error; the sentence is ours.
            Upstream: the token endpoint did not answer, or wrongly.
            Unhealthy: the member's stored public key half is not the one made at key issue.
        """
        await self._tools.desk.guard.check()
        try:
            parameters = callback.parse(query)
        except CallbackRefused as refused:
            await self._refuse(asked, None, refused.reason)
        taken = await self.take(asked, parameters.state)
        return await self.finish(asked, taken, parameters)

    async def turn_away(self, service: str, query: bytes) -> None:
        """Records that a browser without a session brought back somebody's sign-in.

        Nothing is redeemed. A state that is nobody's leaves no row: strangers cannot fill the log.
        """
        try:
            parameters = callback.parse(query)
        except CallbackRefused:
            return
        macs = self._tools.box.states(parameters.state)
        flow = await self._tools.desk.db.one(oauth_flows.by_macs(macs))
        if flow is not None:
            asked = Asked(SYSTEM, service, None, "")
            await self._tools.desk.change(
                SYSTEM, lambda unit: _refusal(unit, asked, flow, "no_session")
            )

    async def take(self, asked: Asked, state: str) -> Taken:
        """Redeems a state, once.

        Raises:
            Forbidden: it is nobody's, another's, used or late.
        """
        return await self._taken(asked, self._tools.box.states(state))

    async def take_flow(self, asked: Asked, flow: OAuthFlow) -> Taken:
        """The same for the one attempt that a bare code can belong to.

        Raises:
            Forbidden: it was taken meanwhile.
        """
        return await self._taken(asked, (flow.state_mac,))

    async def finish(self, asked: Asked, taken: Taken, parameters: Parameters) -> Redeemed:
        """Everything behind the state; see `redeem`."""
        flow = taken.at.flow
        try:
            code = callback.code_of(parameters, flow.issuer, sends_iss=taken.secret.sends_iss)
        except CallbackRefused as refused:
            await self._refuse(asked, taken, refused.reason)
        except Invalid:
            await self._note(asked, taken, f"provider_{callback.word(parameters.error or '')}")
            raise
        answer = await self._exchange(asked, taken, code)
        at_ms = self._tools.desk.clock.now_ms()
        source = Source(
            issuer=flow.issuer,
            token_endpoint=flow.token_endpoint,
            client_id=taken.auth.client_id,
            auth_method=taken.auth.method,
            resource=flow.resource,
            scopes=flow.scopes,
        )
        record = oauth_records.first(answer, source, at_ms)
        return Redeemed(await self._keep(asked, taken, record), record)

    async def _taken(self, asked: Asked, macs: tuple[bytes, ...]) -> Taken:
        found = await self._tools.desk.change(
            asked.author, lambda unit: self._take(unit, asked, macs)
        )
        if isinstance(found, str):
            raise _forbidden()
        return found

    def _take(self, unit: Unit, asked: Asked, macs: tuple[bytes, ...]) -> Taken | str:
        """The redeemed sign-in, or why not; a refusal is recorded in the same transaction."""
        flow = unit.tx.one(oauth_flows.by_macs(macs))
        if flow is None:
            return _refusal(unit, asked, None, "state_unknown")
        member = unit.tx.one(members.by_id(flow.agent_id, flow.member_id))
        service = unit.tx.one(services.by_key(flow.agent_id, asked.service))
        if member is None or not asked.is_of(member):
            return _refusal(unit, asked, flow, "other_member")
        if service is None or service.id != flow.service_id:
            return _refusal(unit, asked, flow, "other_service")
        now = unit.desk.clock.now_ms()
        if unit.tx.run(oauth_flows.take(flow, asked.web_session_id, now)) != 1:
            return _refusal(unit, asked, flow, _why(flow, asked, now))
        if member.state not in MAY_CONNECT or service.state is not ServiceState.ENABLED:
            return _refusal(unit, asked, flow, "not_permitted")
        return self._opened(unit, asked, flow, member)

    def _opened(self, unit: Unit, asked: Asked, flow: OAuthFlow, member: Member) -> Taken | str:
        """The sign-in with everything its code is redeemed with."""
        whole = unit.tx.one(oauth_flows.whole(flow))
        agent = unit.tx.one(agents.by_key_or_id(flow.agent_id))
        try:
            target = self._tools.target(asked.service)
            if whole is None or agent is None or target.url != flow.resource:
                return _refusal(unit, asked, flow, "service_moved")
            at = FlowAt(whole, asked.service, target.to)
            secret = self._tools.box.secret_of(at)
        except (Conflict, DecryptFailed, msgspec.DecodeError):
            return _refusal(unit, asked, flow, "service_moved")
        auth = self._auth(unit, asked, flow, secret)
        if auth is None:
            return _refusal(unit, asked, flow, "app_changed")
        return Taken(at, secret, auth, member, agent.name)

    def _auth(
        self, unit: Unit, asked: Asked, flow: OAuthFlow, secret: FlowSecret
    ) -> ClientAuth | None:
        """The client that began the sign-in, if it is still the service's."""
        method = AuthMethod(secret.auth_method)
        if method is AuthMethod.NONE:
            return ClientAuth(secret.client_id, None, method)
        row = unit.tx.one(app_credentials.of_service(flow.agent_id, flow.service_id))
        try:
            client = self._tools.clients.opened(row, asked.service)
        except DecryptFailed:
            return None
        return auth_of(client, flow.issuer, secret.client_id, method)

    async def _exchange(self, asked: Asked, taken: Taken, code: str) -> TokenAnswer:
        flow = taken.at.flow
        form = token.code_request(
            taken.auth,
            code=Secret(code.encode("ascii")),
            verifier=Secret(taken.secret.verifier.encode("ascii")),
            redirect_uri=flow.redirect_uri,
            resource=flow.resource,
        )
        try:
            raw = await self._tools.http.post_form(flow.token_endpoint, form)
        except Upstream:
            await self._note(asked, taken, "exchange_unreachable")
            raise
        answer = token.parse(raw.status, raw.headers, raw.body)
        if isinstance(answer, TokenError):
            await self._note(asked, taken, f"exchange_{callback.word(answer.code or '')}")
            raise self._failed(taken, answer)
        return answer

    def _failed(self, taken: Taken, error: TokenError) -> Invalid | Unreachable:
        if error.code in _CONFIGURATION:
            alarm = {"alarm": "oauth_app_refused", "service": taken.at.service}
            self._tools.desk.events.publish(Topic.STATUS, dict(alarm), taken.at.flow.agent_id)
        if error.meaning is Meaning.IN_DOUBT:
            message = "The provider gave no usable answer. Nothing was connected. Try later."
            return Unreachable(message)
        return Invalid(callback.sentence(error.code or ""))

    async def _keep(self, asked: Asked, taken: Taken, record: TokenRecord) -> Taken:
        """Seals the tokens: to the member's key if there is one now, else in the server layer."""
        plain = oauth_records.sealable(record)

        def work(unit: Unit) -> Taken:
            flow = replace(taken.at.flow, scopes=record.scope)
            key = unit.tx.one(keys.active_of(flow.agent_id, flow.member_id))
            sealed = self._tools.box.kept(taken.at, plain, key)
            if unit.tx.run(oauth_flows.keep_tokens(flow, sealed)) != 1:
                raise _forbidden()
            return replace(taken, at=replace(taken.at, flow=replace(flow, tokens_ct=sealed)))

        try:
            return await self._tools.desk.change(asked.author, work)
        except SealPublicForged as error:
            await self._give_up(taken, plain)
            raise forged(self._tools.desk, taken.at.flow.agent_id) from error

    async def _give_up(self, taken: Taken, plain: Secret) -> None:
        flow, revoker = taken.at.flow, self._tools.revoker
        later = await self._tools.desk.db.write(
            lambda tx: revoker.of_record(
                tx, flow.agent_id, flow.service_id, taken.at.service, plain
            )
        )
        later()

    async def _refuse(self, asked: Asked, taken: Taken | None, reason: str) -> NoReturn:
        await self._note(asked, taken, reason)
        raise _forbidden()

    async def _note(self, asked: Asked, taken: Taken | None, reason: str) -> None:
        flow = None if taken is None else taken.at.flow
        await self._tools.desk.change(
            asked.author, lambda unit: _refusal(unit, asked, flow, reason)
        )


def _refusal(unit: Unit, asked: Asked, flow: OAuthFlow | None, reason: str) -> str:
    """Records why a callback was refused; the row names who asked and whose sign-in it was."""
    unit.audit(
        "oauth.refused",
        asked.service[:256],
        after={"reason": reason},
        agent_id=None if flow is None else flow.agent_id,
        member_id=None if flow is None else flow.member_id,
        service=None if flow is None else asked.service,
        reason_code=reason,
    )
    return reason


def _why(flow: OAuthFlow, asked: Asked, now_ms: int) -> str:
    if flow.web_session_id != asked.web_session_id:
        return "other_browser"
    if flow.used_at is not None:
        return "state_used"
    return "state_late" if flow.expires_at <= now_ms else "state_unknown"


def _forbidden() -> Forbidden:
    return Forbidden(
        "This sign-in was begun elsewhere, is used up, or is more than ten minutes old. Nothing "
        "was connected. Start again from the page of the service."
    )

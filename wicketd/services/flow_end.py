"""Ends sign-ins: confirmed into a connection, declined, over their time, or their key changed.

Counterpart: `flow_redeem`. Invariant: unconfirmed tokens never open a call, and what is not kept is
revoked at the provider as far as it can be opened.
Source: security spec, 4 (table of states) and 6.4 (6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from wicketd.domain.actor import SYSTEM, Author
from wicketd.domain.catalogue import Service, ServiceState
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import Conflict, Gone, NotFound
from wicketd.domain.ids import AgentId, MemberId, OAuthFlowId, Revision, WebSessionId
from wicketd.domain.members import Member
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.domain.ports import Query
from wicketd.services import oauth_records
from wicketd.services.breaking import forged
from wicketd.services.desk import Unit
from wicketd.services.events import Topic
from wicketd.services.flow_box import FlowAt
from wicketd.services.flow_redeem import MAY_CONNECT, Redeemed
from wicketd.services.flow_tools import FlowTools
from wicketd.services.tokens import TokenRecord
from wicketd.services.transitions import Held, enter_connection
from wicketd.storage import connections, keys, members, oauth_flows, services
from wicketd.vault import sealing
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.member_key import NewKey, ParsedKey
from wicketd.vault.sealing import SealPublicForged

HELD_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Kept:
    """Tokens in memory until they are confirmed: a declined deposit can be revoked no other way."""

    record: TokenRecord
    expires_at: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A sign-in that waits for its confirmation, with everything it is about."""

    at: FlowAt
    member: Member
    service: Service


class FlowEnd:
    """The ends of sign-ins. Is the `FlowDeposits` of `resealing`."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools
        self._held: dict[OAuthFlowId, _Kept] = {}

    def hold(self, redeemed: Redeemed) -> None:
        """Remembers the tokens of a callback for as long as they may be declined."""
        flow = redeemed.taken.at.flow
        self._held[flow.id] = _Kept(redeemed.record, flow.expires_at)
        while len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]

    async def confirm(
        self, author: Author, flow_id: str, web_session_id: WebSessionId
    ) -> Connection:
        """Makes the tokens the member's connection; they take the place of older ones.

        Raises:
            ClockBackwards: the host's clock was set back.
            NotFound: there is no such sign-in in this browser.
            Gone: it was ended, or its ten minutes are over.
            Conflict: key, service or membership changed since; the tokens are given up.
            Unhealthy: the member's stored public key half is not the one made at key issue.
        """
        await self._tools.desk.guard.check()
        return await self._settled(author, oauth_flows.of_session(flow_id, web_session_id))

    async def confirm_at_once(self, author: Author, flow: OAuthFlow) -> Connection:
        """The same for an admin, who sees account and scopes in the answer."""
        return await self._settled(author, oauth_flows.whole(flow))

    async def discard(self, author: Author, flow_id: str, web_session_id: WebSessionId) -> None:
        """Declines the tokens: they are revoked and the row is deleted.

        Raises:
            NotFound: there is no such sign-in in this browser.
        """
        query = oauth_flows.of_session(flow_id, web_session_id)

        def work(unit: Unit) -> None:
            flow = unit.tx.one(query)
            if flow is None:
                raise _unknown()
            self._end(unit, flow, "declined")

        await self._tools.desk.change(author, work)
        self._held.pop(OAuthFlowId(flow_id), None)
        await self._tools.desk.wal.truncate()

    async def sweep(self) -> int:
        """Deletes sign-ins whose time is over, revokes what they hold, and gives their number."""
        now = self._tools.desk.clock.now_ms()

        def work(unit: Unit) -> list[OAuthFlow]:
            over = unit.tx.all(oauth_flows.over(now))
            for flow in over:
                self._end(unit, flow, "not_confirmed")
            return over

        over = await self._tools.desk.change(SYSTEM, work)
        for flow in over:
            self._held.pop(flow.id, None)
        for flow_id in [key for key, kept in self._held.items() if kept.expires_at <= now]:
            del self._held[flow_id]
        if over:
            await self._tools.desk.wal.truncate()
        return len(over)

    def reseal(self, unit: Unit, member: Member, old: ParsedKey, new: NewKey) -> None:
        """Deposits unconfirmed tokens anew, to the new key; what does not open is deleted."""
        public = sealing.SealPublic(sealing.seal_public(new.secret, new.key_id, member.agent_id))
        for flow in unit.tx.all(oauth_flows.with_tokens_of_member(member.agent_id, member.id)):
            at = self._at(unit, flow)
            if at is None or not self._tools.box.is_deposit(at):
                continue  # the server layer is deposited at confirmation
            try:
                record = self._tools.box.opened(at, old.key_id, old.secret)
            except DecryptFailed:
                unit.tx.run(oauth_flows.delete(flow))
                continue
            sealed = self._tools.box.redeposited(at, record, new.key_id, public)
            unit.tx.run(oauth_flows.keep_tokens(flow, sealed))

    def drop(self, unit: Unit, agent_id: AgentId, member_id: MemberId) -> None:
        """Deletes deposits whose key ended: nobody can open them any more."""
        for flow in unit.tx.all(oauth_flows.with_tokens_of_member(agent_id, member_id)):
            at = self._at(unit, flow)
            if at is None or self._tools.box.is_deposit(at):
                self._end(unit, flow, "key_ended")

    async def _settled(self, author: Author, query: Query[OAuthFlow]) -> Connection:
        try:
            found = await self._tools.desk.change(author, lambda unit: self._settle(unit, query))
        except SealPublicForged as error:
            raise forged(self._tools.desk) from error
        if isinstance(found, str):
            message = f"{_CHANGED[found]} Nothing was connected. Start again."
            raise Conflict(message)
        desk = self._tools.desk
        desk.rows.forget(found.member_id)
        desk.events.publish(Topic.CONNECTIONS, {"member": found.member_id}, found.agent_id)
        await desk.wal.truncate()
        return found

    def _settle(self, unit: Unit, query: Query[OAuthFlow]) -> Connection | str:
        """The connection, or why the tokens were given up instead."""
        flow = unit.tx.one(query)
        if flow is None:
            raise _unknown()
        flow = unit.tx.one(oauth_flows.whole(flow)) or flow
        if flow.tokens_ct is None or flow.expires_at <= unit.desk.clock.now_ms():
            message = "This sign-in is over. Start again from the page of the service."
            raise Gone(message)
        waiting = self._waiting(unit, flow)
        if isinstance(waiting, str):
            self._end(unit, flow, waiting)
            return waiting
        try:
            connection = self._filled(unit, waiting)
        except DecryptFailed:
            self._end(unit, flow, "key_changed")
            return "key_changed"
        unit.tx.run(oauth_flows.delete(flow))
        unit.then(lambda: self._forget(flow))
        return connection

    def _waiting(self, unit: Unit, flow: OAuthFlow) -> _Waiting | str:
        member = unit.tx.one(members.by_id(flow.agent_id, flow.member_id))
        if member is None or member.state not in MAY_CONNECT:
            return "not_permitted"
        for service in unit.tx.all(services.of_agent(flow.agent_id)):
            if service.id == flow.service_id and service.state is ServiceState.ENABLED:
                at = self._at(unit, flow)
                return "service_moved" if at is None else _Waiting(at, member, service)
        return "service_moved"

    def _filled(self, unit: Unit, waiting: _Waiting) -> Connection:
        """Writes the connection: a deposit with an active key, pending without one."""
        flow, box = waiting.at.flow, self._tools.box
        key = unit.tx.one(keys.active_of(flow.agent_id, flow.member_id))
        row = unit.tx.one(
            connections.of_member_service(flow.agent_id, flow.member_id, flow.service_id)
        )
        held = Held(self._described(unit, waiting, row), waiting.service.key)
        if box.is_deposit(waiting.at):
            if key is None:
                raise DecryptFailed
            holds, trigger = box.settled(waiting.at, held.connection, key), "deposit"
        else:
            now = unit.desk.clock.now_ms()
            holds, trigger = self._tools.tokens.kept(held, box.opened(waiting.at), key, now)
        return enter_connection(unit, row, held, trigger, holds)

    def _described(self, unit: Unit, waiting: _Waiting, row: Connection | None) -> Connection:
        """The row with the facts that it shows of its new tokens."""
        flow, now = waiting.at.flow, unit.desk.clock.now_ms()
        base = row if row is not None else _blank(waiting, now)
        fresh = replace(
            base,
            destination=waiting.at.to,
            account_label=None,
            issuer=flow.issuer,
            scopes=flow.scopes or None,
            access_expires_at=None,
            refreshable=False,
            refresh_due=False,
            missing_scopes=None,
        )
        record = self._record(waiting.at)
        return fresh if record is None else oauth_records.described(fresh, record)

    def _record(self, at: FlowAt) -> TokenRecord | None:
        """The tokens in the clear, from memory or from the server layer, if they can be had."""
        kept = self._held.get(at.flow.id)
        if kept is not None:
            return kept.record
        if self._tools.box.is_deposit(at):
            return None
        plain = self._tools.box.opened(at)
        return msgspec.json.decode(plain.reveal(), type=TokenRecord)

    def _end(self, unit: Unit, flow: OAuthFlow, reason: str) -> None:
        """Deletes a row; what it holds is revoked after the commit if it can be opened."""
        whole = unit.tx.one(oauth_flows.whole(flow)) or flow
        unit.tx.run(oauth_flows.delete(whole))
        if whole.tokens_ct is None:
            return
        service = _service_key(unit, flow)
        unit.audit(
            "oauth.refused",
            service or flow.service_id,
            after={"reason": reason},
            agent_id=flow.agent_id,
            member_id=flow.member_id,
            service=service or None,
            reason_code=reason,
        )
        unit.then(self._revocation(unit, whole, service))
        unit.then(lambda: self._forget(whole))

    def _revocation(self, unit: Unit, flow: OAuthFlow, service: str) -> Callable[[], None]:
        at = self._at(unit, flow)
        try:
            record = None if at is None else self._record(at)
        except DecryptFailed:
            record = None
        if record is None:
            return lambda: None
        plain = oauth_records.sealable(record)
        return self._tools.revoker.of_record(
            unit.tx, flow.agent_id, flow.service_id, service, plain
        )

    def _at(self, unit: Unit, flow: OAuthFlow) -> FlowAt | None:
        """The row with the connector in force; None if that has no sign-in any more."""
        try:
            key = _service_key(unit, flow)
            return FlowAt(flow, key, self._tools.target(key).to)
        except Conflict:
            return None

    def _forget(self, flow: OAuthFlow) -> None:
        self._held.pop(flow.id, None)


_CHANGED: Final[Mapping[str, str]] = {
    "not_permitted": "Your membership or the service ended meanwhile.",
    "service_moved": "The service was changed or switched off meanwhile.",
    "key_changed": "Your key or the service changed meanwhile.",
}


def _blank(waiting: _Waiting, now_ms: int) -> Connection:
    flow = waiting.at.flow
    return Connection(
        id=flow.connection_id,
        agent_id=flow.agent_id,
        member_id=flow.member_id,
        service_id=flow.service_id,
        state=ConnectionState.PENDING,
        destination=waiting.at.to,
        issuer=flow.issuer,
        created_at=now_ms,
        updated_at=now_ms,
        rev=Revision(1),
    )


def _service_key(unit: Unit, flow: OAuthFlow) -> str:
    """The key of the sign-in's service; empty once that is removed."""
    found = unit.tx.all(services.of_agent(flow.agent_id))
    return next((service.key for service in found if service.id == flow.service_id), "")


def _unknown() -> NotFound:
    return NotFound("There is no such sign-in in this browser. Start again from the service.")

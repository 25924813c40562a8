"""Invitations as their owner sees them: shown by their token, accepted by a signed-in address.

Counterpart: `invites`, where an admin makes them. A token never signs anybody in.
Source: product specification, sections 3 and 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.domain.accounts import INVITE_EDGES, Invite, InviteState, Visitor
from wicketd.domain.agents import Agent, AgentStatus
from wicketd.domain.errors import Conflict, Forbidden, Gone
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import Member
from wicketd.services import find, invite_tokens
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.factor_rules import FactorRules
from wicketd.services.invite_tokens import InviteTokens, ParsedToken
from wicketd.services.transitions import move_member
from wicketd.storage import invites
from wicketd.vault.secret import Secret

_NOTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class ShownInvite:
    """What an invitation's page shows before anybody signed in."""

    agent_name: str
    email: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class OpenInvite:
    """An invitation that waits for this visitor; `token` accepts it."""

    invite: Invite
    agent_name: str
    token: Secret


class Joining:
    """The use cases of whoever was invited."""

    def __init__(self, desk: Desk, tokens: InviteTokens, factors: FactorRules) -> None:
        self._desk = desk
        self._tokens = tokens
        self._factors = factors
        self._noted: set[tuple[str, str]] = set()

    async def show(self, token: str) -> ShownInvite:
        """The open invitation of a token; looking changes nothing.

        Raises:
            NotFound: no invitation has this token.
            Gone: it was accepted or revoked, its time is over, or the agent is deleted.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        parsed = invite_tokens.parse(token)
        db = self._desk.db
        invite = await db.one(invites.by_id(parsed.invite_id))
        owner = None if invite is None else await find.read_agent(db, invite.agent_id)
        found, agent = self._checked(invite, owner, parsed, now)
        return ShownInvite(agent.name, found.email, found.expires_at)

    async def note_other(self, visitor: Visitor, token: str) -> None:
        """Records that somebody looks at the invitation of another address: once a session.

        Raises:
            NotFound: no invitation has this token.
            Gone: it is not open any more.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        parsed = invite_tokens.parse(token)
        seen = (visitor.session.id, parsed.invite_id)
        if seen in self._noted:
            return
        if len(self._noted) >= _NOTED_MAX:
            self._noted.clear()

        def work(unit: Unit) -> None:
            row = unit.tx.one(invites.by_id(parsed.invite_id))
            owner = None if row is None else find.agent(unit.tx, row.agent_id)
            invite, _ = self._checked(row, owner, parsed, now)
            if invite.email != visitor.account.email:
                _note_mismatch(unit, invite)

        await self._desk.change(visitor, work)
        self._noted.add(seen)

    async def accept(self, visitor: Visitor, token: str) -> Member:
        """Accepts as the invited address; the member waits for its approval.

        Raises:
            NotFound: no invitation has this token.
            Gone: it was accepted or revoked, its time is over, or the agent is deleted.
            Forbidden: it invites another address.
            SecondFactorNeeded: the visitor has to prove or enrol a second factor first.
            ClockBackwards: the host's clock was set back.
        """
        now = await self._desk.guard.check()
        self._factors.admit(visitor)
        parsed = invite_tokens.parse(token)

        def work(unit: Unit) -> Member | Invite:
            row = unit.tx.one(invites.by_id(parsed.invite_id))
            owner = None if row is None else find.agent(unit.tx, row.agent_id)
            invite, agent = self._checked(row, owner, parsed, now)
            if invite.email != visitor.account.email:
                _note_mismatch(unit, invite)
                return invite
            return _accepted(unit, agent, invite, now)

        outcome = await self._desk.change(visitor, work)
        if isinstance(outcome, Invite):
            raise Forbidden(
                "This invitation is for another address. Sign in as that address, "
                "or ask your administrator to invite this one."
            )
        self._desk.forget_member(outcome.id)
        self._publish(outcome)
        return outcome

    async def open_for(self, visitor: Visitor) -> Sequence[OpenInvite]:
        """The open invitations of the visitor's address, each with the token that accepts it."""
        now = self._desk.clock.now_ms()
        found: list[OpenInvite] = []
        for invite in await self._desk.db.all(invites.open_of_account(visitor.account.id)):
            owner = await find.read_agent(self._desk.db, invite.agent_id)
            is_open = invite.state(now) is InviteState.OPEN
            if is_open and owner.status is not AgentStatus.DELETED:
                found.append(OpenInvite(invite, owner.name, self._tokens.of(invite)))
        return found

    def _checked(
        self, invite: Invite | None, owner: Agent | None, parsed: ParsedToken, now: int
    ) -> tuple[Invite, Agent]:
        """The open invitation that a token is really of, with its agent."""
        if invite is None or owner is None or not self._tokens.are_of(parsed, invite):
            raise invite_tokens.missing()
        if invite.state(now) is not InviteState.OPEN or owner.status is AgentStatus.DELETED:
            raise Gone(
                "This invitation was used, taken back or is over. "
                "Ask your administrator for a new one."
            )
        return invite, owner

    def _publish(self, member: Member) -> None:
        data: JsonObject = {"member": member.id, "state": member.state.value, "rev": member.rev}
        self._desk.events.publish(Topic.MEMBERS, data, member.agent_id)


def _accepted(unit: Unit, agent: Agent, invite: Invite, now: int) -> Member:
    edge = take(INVITE_EDGES, invite.state(now), "accept", "invitation")
    if not unit.tx.run(invites.accept(invite.id, now)):
        raise Conflict("This invitation was accepted in the meantime. Go to your agents.")
    unit.audit(
        edge.audit,
        invite.email,
        after={"invite": invite.id},
        agent_id=agent.id,
        member_id=invite.member_id,
    )
    return move_member(unit, find.member(unit.tx, agent, invite.member_id), "accept")


def _note_mismatch(unit: Unit, invite: Invite) -> None:
    unit.audit(
        "invite.mismatch",
        invite.email,
        after={"invite": invite.id},
        agent_id=invite.agent_id,
        member_id=invite.member_id,
    )

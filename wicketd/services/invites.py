"""Invitations as an admin makes them: an address gets an account, a member and 7 days.

Life cycle: `domain.accounts.INVITE_EDGES`. Counterparts: `joining`, where its owner accepts;
`invite_tokens`. With mail off the link that is given out is a sign-in link.
Source: product specification, sections 3 and 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NotRequired, TypedDict, Unpack

from wicketd.domain import email as addresses
from wicketd.domain.accounts import (
    INVITE_EDGES,
    Account,
    AccountStatus,
    Invite,
)
from wicketd.domain.actor import SYSTEM, Actor
from wicketd.domain.agents import Agent
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.ids import AccountId, InviteId, MemberId, Revision
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import take
from wicketd.domain.members import EDGES as MEMBER_EDGES
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.ports import Mail, Statement, Tx
from wicketd.services import find, letters, rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.invite_tokens import InviteTokens
from wicketd.services.links import SigninLinks
from wicketd.services.post import PostOffice
from wicketd.services.transitions import close_invite, move_member, put_labels
from wicketd.storage import accounts, invites, members
from wicketd.vault.secret import Secret

INVITE_MS: Final = 7 * 24 * 3_600_000


class InviteFields(TypedDict):
    """What an admin says about a new member, not yet checked. `send`: mail the link."""

    email: str
    role: NotRequired[Role]
    groups: NotRequired[Sequence[str]]
    tags: NotRequired[Sequence[str]]
    send: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation. `url`: shown this once; with mail off it is a sign-in link."""

    invite: Invite
    url: Secret
    url_expires_at: int


@dataclass(frozen=True, slots=True)
class Stationery:
    """What invitations are made with. `url`: the portal's, without a slash at its end."""

    tokens: InviteTokens
    links: SigninLinks
    post: PostOffice
    url: str


class Invites:
    """The use cases of invitations."""

    def __init__(self, desk: Desk, tools: Stationery) -> None:
        self._desk = desk
        self._tools = tools

    async def list(self, agent: str) -> Sequence[Invite]:
        """Every invitation to the agent, oldest first.

        Raises:
            NotFound: there is no such agent.
        """
        owner = await find.read_agent(self._desk.db, agent)
        return await self._desk.db.all(invites.of_agent(owner.id))

    async def create(self, actor: Actor, agent: str, **fields: Unpack[InviteFields]) -> Invited:
        """Invites an address for 7 days: makes its account if it has none, and the member.

        Raises:
            NotFound: there is no such agent.
            Invalid: a value breaks its rule.
            Conflict: the agent is deleted, the account blocked, the address a member already, or
                the link is to be sent and mail is off.
            ClockBackwards: the host's clock was set back.
        """
        address = addresses.normalise(fields["email"])
        groups = rules.labels(fields.get("groups", ()), "group")
        tags = rules.labels(fields.get("tags", ()), "tag")
        is_to_send = fields.get("send", False)
        self._refuse_sending(is_to_send=is_to_send)
        await find.read_live_agent(self._desk.db, agent)
        now = await self._desk.guard.check()

        def work(unit: Unit) -> tuple[Invited, Agent]:
            owner = find.live_agent(unit.tx, agent)
            account = self._account(unit.tx, address, now)
            if unit.tx.one(members.by_id(owner.id, address)) is not None:
                raise _already(owner, address)
            member = self._new_member(unit, owner, account, fields.get("role", Role.MEMBER), now)
            unit.tx.run(members.insert(member))
            put_labels(unit, _labelled(member, groups, tags))
            return self._open(unit, account, member, now), owner

        invited, owner = await self._desk.change(actor, work)
        self._tell(invited.invite, MemberState.INVITED)
        if is_to_send:
            self._post(invited, owner)
        return invited

    async def resend(self, actor: Actor, agent: str, invite: str, *, send: bool = False) -> Invited:
        """Makes a new invitation of a member that is still invited; the old one is dead.

        Raises:
            NotFound: there is no such agent or invitation.
            Conflict: it was accepted or revoked, the account is blocked, or mail is off.
            ClockBackwards: the host's clock was set back.
        """
        self._refuse_sending(is_to_send=send)
        await find.read_live_agent(self._desk.db, agent)
        now = await self._desk.guard.check()

        def work(unit: Unit) -> tuple[Invited, Agent]:
            owner = find.live_agent(unit.tx, agent)
            old = _invite(unit.tx, owner, invite)
            member = find.member(unit.tx, owner, old.member_id)
            if member.state is not MemberState.INVITED or member.account_id is None:
                message = (
                    f"{old.email} is {member.state.value}. Only who is invited can be asked again."
                )
                raise Conflict(message)
            account = self._account(unit.tx, old.email, now)
            live = unit.tx.one(invites.open_of_member(member.id))
            if live is not None:
                close_invite(unit, live)
            return self._open(unit, account, member, now), owner

        invited, owner = await self._desk.change(actor, work)
        self._tell(invited.invite, MemberState.INVITED)
        if send:
            self._post(invited, owner)
        return invited

    async def revoke(self, actor: Actor, agent: str, invite: str) -> Invite:
        """Takes an open invitation back: its links are dead, the member is removed.

        Raises:
            NotFound: there is no such agent or invitation.
            Conflict: it is not open any more.
        """

        def work(unit: Unit) -> Invite:
            owner = find.agent(unit.tx, agent)
            old = _invite(unit.tx, owner, invite)
            take(INVITE_EDGES, old.state(self._desk.clock.now_ms()), "revoke", "invitation")
            close_invite(unit, old)
            member = find.member(unit.tx, owner, old.member_id)
            account = unit.tx.one(accounts.by_email(old.email))
            if account is not None:
                self._tools.links.void_open(unit, account, "invite_revoked", old.id)
            move_member(unit, member, "remove")
            return old

        revoked = await self._desk.change(actor, work)
        self._desk.forget_member(revoked.member_id)
        self._tell(revoked, MemberState.REMOVED)
        return revoked

    async def sweep(self) -> int:
        """Closes invitations whose time is over; their members stay invited. Gives how many."""
        now = self._desk.clock.now_ms()
        if not await self._desk.db.all(invites.over(now)):
            return 0

        def work(unit: Unit) -> Sequence[Invite]:
            over = unit.tx.all(invites.over(now))
            for invite in over:
                close_invite(unit, invite)
            return over

        closed = await self._desk.change(SYSTEM, work)
        for invite in closed:
            self._tell(invite, MemberState.INVITED)
        return len(closed)

    def _account(self, tx: Tx, address: str, now: int) -> Account:
        """The active account of an address; a new, unverified one if it has none."""
        known = tx.one(accounts.by_email(address))
        if known is None:
            known = Account(
                id=AccountId(self._desk.ids.uuid7()),
                email=address,
                verified_at=None,
                status=AccountStatus.ACTIVE,
                totp_confirmed_at=None,
                mfa_locked_until=None,
                created_at=now,
                last_signin_at=None,
                rev=Revision(1),
            )
            tx.run(accounts.insert(known))
        if known.status is AccountStatus.BLOCKED:
            message = f"The account {address} is blocked. Unblock it first."
            raise Conflict(message, hint=f"wicket account unblock {address}")
        return known

    def _new_member(
        self, unit: Unit, owner: Agent, account: Account, role: Role, now: int
    ) -> Member:
        edge = take(MEMBER_EDGES, None, "invite", "member")
        return Member(
            id=MemberId(self._desk.ids.uuid7()),
            agent_id=owner.id,
            account_id=account.id,
            email=account.email,
            local_name=None,
            role=role,
            state=MemberState(edge.target),
            state_at=now,
            state_by=unit.author.label(),
            groups=(),
            tags=(),
            created_at=now,
            rev=Revision(1),
        )

    def _open(self, unit: Unit, account: Account, member: Member, now: int) -> Invited:
        edge = take(INVITE_EDGES, None, "invite", "invitation")
        invite = Invite(
            id=InviteId(self._desk.ids.uuid7()),
            agent_id=member.agent_id,
            member_id=member.id,
            email=account.email,
            role=member.role,
            kid=self._tools.tokens.kid,
            created_by=unit.author.label(),
            created_at=now,
            expires_at=now + INVITE_MS,
            accepted_at=None,
            revoked_at=None,
            sent_at=None,
        )
        unit.tx.run(invites.insert(invite))
        facts: JsonObject = {
            "invite": invite.id,
            "role": invite.role.value,
            "expiresAt": invite.expires_at,
        }
        unit.audit(
            edge.audit,
            invite.email,
            after=facts,
            agent_id=invite.agent_id,
            member_id=invite.member_id,
        )
        if self._tools.post.is_off:
            link, url = self._tools.links.create(unit, account, now, invite.id)
            return Invited(invite, url, link.expires_at)
        token = self._tools.tokens.of(invite).reveal().decode()
        url = Secret(f"{self._tools.url}/join/{token}".encode())
        return Invited(invite, url, invite.expires_at)

    def _refuse_sending(self, *, is_to_send: bool) -> None:
        if is_to_send and self._tools.post.is_off:
            raise Conflict(
                'No mail is sent here (portal.mail = "off"). Invite without sending, '
                "and pass the link on yourself."
            )

    def _post(self, invited: Invited, owner: Agent) -> None:
        invite, portal = invited.invite, self._tools.url

        def letter() -> Mail:
            url = invited.url.reveal().decode()
            return letters.invitation(invite.email, owner.name, url, portal)

        def sent() -> Statement:
            return invites.mark_sent(invite.id, self._desk.clock.now_ms())

        self._tools.post.post(letter, sent)

    def _tell(self, invite: Invite, state: MemberState) -> None:
        data: JsonObject = {"member": invite.member_id, "state": state.value, "invite": invite.id}
        self._desk.events.publish(Topic.MEMBERS, data, invite.agent_id)


def _invite(tx: Tx, owner: Agent, ref: str) -> Invite:
    """The agent's invitation with this id."""
    missing = NotFound(
        f"The agent {owner.key} has no invitation {ref[:80]!r}. List its invitations.",
        hint=f"wicket invite list {owner.key}",
    )
    invite = find.require(tx, invites.by_id(InviteId(ref)), missing)
    if invite.agent_id != owner.id:
        raise missing
    return invite


def _labelled(member: Member, groups: tuple[str, ...], tags: tuple[str, ...]) -> Member:
    return replace(member, groups=groups, tags=tags)


def _already(owner: Agent, address: str) -> Conflict:
    return Conflict(
        f"{address} is a member of {owner.key} already. Look at its state; "
        "who is still invited is asked again with resend.",
        hint=f"wicket invite list {owner.key}",
    )

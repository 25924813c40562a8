"""Screen 5: who belongs to the agent; those who wait for a decision come first."""

from collections.abc import Sequence
from typing import Final

import msgspec
from rich.text import Text
from typing_extensions import override

from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.form import Field, FormDialog, words_of
from wicket_tui.screens.listing import ListScreen
from wicket_tui.screens.reveal import RevealDialog
from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.rows import Column
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints
from wicketd.api.types import accounts, invites, members

_ORDER: Final = ("pending", "invited", "approved", "rejected", "removed")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A member with what is open for it."""

    member: members.Member
    invite: str | None = None
    """The id of an open invitation."""
    is_blocked: bool = False
    """Its account may not sign in and its keys are refused, on every agent."""


class MembersScreen(ListScreen[Person]):
    """Members of the chosen agent."""

    NAME = "members"
    TOPICS = frozenset({"members", "connections", "agents"})
    COLUMNS = (
        Column("Member", 0),
        Column("State", 11),
        Column("Role", 7),
        Column("Key", 9),
        Column("Conn", 5),
        Column("Groups", 16, from_width=76),
        Column("Tags", 16, from_width=100),
    )
    EMPTY = (
        "Nobody is invited yet",
        (
            "Press i to invite an address. The link is shown once, for you to pass on.\n"
            "A member without a mailbox is added with: wicket member add AGENT NAME --local"
        ),
    )

    @override
    async def fetch(self, agent: str) -> list[Person]:
        found = await self.session.every(endpoints.MEMBER_LIST, members.MemberList(agent=agent))
        invited: dict[str, str] = {}
        if any(one.state == "invited" for one in found):
            asked = invites.InviteList(agent=agent)
            for invite in await self.session.every(endpoints.INVITE_LIST, asked):
                if invite.state == "open":
                    invited[invite.member_id] = invite.id
        asked_blocked = accounts.AccountList(status="blocked")
        blocked = {
            one.email for one in await self.session.every(endpoints.ACCOUNT_LIST, asked_blocked)
        }
        people = [
            Person(member=one, invite=invited.get(one.id), is_blocked=one.email in blocked)
            for one in found
            if one.state != "removed"
        ]
        return sorted(
            people, key=lambda one: (_ORDER.index(one.member.state), one.member.principal)
        )

    @override
    def key(self, item: Person) -> str:
        return item.member.id

    @override
    def cells(self, item: Person) -> Sequence[Text]:
        member = item.member
        return (
            self.strong(member.principal),
            self.state(member.state),
            plain(member.role),
            self.quiet(member.key.key_id if member.key else None),
            self.quiet(len(member.connections)),
            self.quiet(member.groups),
            self.quiet(member.tags),
        )

    @override
    def summary(self, items: Sequence[Person]) -> str:
        pending = sum(one.member.state == "pending" for one in items)
        return f"{len(items)}" + (f" · {pending} pending: a approves" if pending else "")

    @override
    def detail(self, item: Person) -> tuple[str, Sequence[Pair]]:
        member = item.member
        key = member.key
        waits = {
            "accept": "opening the invitation",
            "approve": "you: press a",
            "key": "its own key",
        }
        facts: list[Pair] = [
            (
                "state",
                self.state(member.state)
                .append(" ")
                .append_text(self.ago(member.state_at))
                .append_text(self.quiet(f" by {member.state_by}")),
            ),
            ("waits for", plain(waits.get(member.next_step, member.next_step))),
            ("role", plain(member.role)),
            ("groups", plain(member.groups)),
            ("tags", plain(member.tags)),
            ("2nd factor", plain(member.totp)),
            ("key", plain(f"{key.key_id}, used {key.last_used_day or 'never'}" if key else None)),
        ]
        if item.is_blocked:
            facts.insert(1, ("account", self.state("blocked")))
        facts += [(one.service or "service", self.state(one.state)) for one in member.connections]
        return member.principal, facts

    @override
    def chosen(self) -> dict[str, str]:
        item = self.item
        if item is None:
            return {}
        member = item.member
        return {
            "member": member.principal,
            "state": member.state,
            "key": member.key.key_id if member.key else "",
            "invite": item.invite or "",
            "account": member.email or "",
            "block": "unblock" if item.is_blocked else "block",
            "Block": "Unblock" if item.is_blocked else "Block",
            "block_effect": "sign-in and keys work again where the member is approved."
            if item.is_blocked
            else "sign-in and keys are refused on every agent. b asks to undo it.",
        }

    @override
    def shown_twin(self) -> str:
        return "member show {agent} {member}" if self.item else "member list {agent}"

    def do_member_show(self) -> None:
        """Moves to the details."""
        self.query_one("#facts").focus()

    def do_member_approve(self) -> None:
        """Admits the pending member under the cursor."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def approve() -> str:
            request = members.MemberApprove(agent=agent, member=item.member.id)
            await self.session.call(endpoints.MEMBER_APPROVE, request)
            return f"{item.member.principal} is approved and may make a key."

        self.write(approve)

    def do_member_reject(self, given: Confirmed) -> None:
        """Refuses the pending member for good."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def reject() -> str:
            request = members.MemberReject(
                agent=agent, member=item.member.id, reason=given.reason or None
            )
            await self.session.call(endpoints.MEMBER_REJECT, request)
            return f"{item.member.principal} is rejected."

        self.write(reject)

    def do_member_remove(self, _given: Confirmed) -> None:
        """Removes the member whose name was typed."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def remove() -> str:
            request = members.MemberRef(agent=agent, member=item.member.id)
            await self.session.call(endpoints.MEMBER_REMOVE, request)
            return f"{item.member.principal} is removed."

        self.write(remove)

    def do_member_edit(self) -> None:
        """Asks for role, groups and tags; what is given replaces what was."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return
        member = item.member
        fields = (
            Field("role", "Role", member.role, choices=("member", "owner")),
            Field("groups", "Groups", " ".join(member.groups), hint="words, by spaces"),
            Field("tags", "Tags", " ".join(member.tags), hint="words, by spaces"),
        )

        async def change(values: dict[str, str]) -> str:
            request = members.MemberUpdate(
                agent=agent,
                member=member.id,
                role="owner" if values["role"] == "owner" else "member",
                groups=words_of(values["groups"]),
                tags=words_of(values["tags"]),
            )
            await self.session.call(endpoints.MEMBER_UPDATE, request, match=member.rev)
            return f"{member.principal} is changed."

        title = f"Edit {member.principal}"
        self.wicket.open(FormDialog(title, fields, submit="Save", sentence=change))

    def do_key_revoke(self, given: Confirmed) -> None:
        """Ends the key of the member under the cursor."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return

        async def revoke() -> str:
            request = members.KeyRevoke(
                agent=agent, member=item.member.id, reason=given.reason or "revoked in the app"
            )
            ended = await self.session.call(endpoints.KEY_REVOKE, request)
            return f"The key {ended.key_id} of {item.member.principal} ended."

        self.write(revoke)

    def do_invite_create(self) -> None:
        """Asks whom to invite, then shows the link, once."""
        agent = self.agent
        if agent is None:
            return
        fields = (
            Field("email", "E-mail", hint="ann@example.org"),
            Field("role", "Role", "member", choices=("member", "owner")),
            Field("groups", "Groups", hint="words, by spaces"),
            Field("tags", "Tags", hint="words, by spaces"),
        )

        made: list[invites.InviteCreated] = []

        async def invite(values: dict[str, str]) -> str:
            request = invites.InviteCreate(
                agent=agent,
                email=values["email"],
                role="owner" if values["role"] == "owner" else "member",
                groups=words_of(values["groups"]),
                tags=words_of(values["tags"]),
            )
            made.append(await self.session.call(endpoints.INVITE_CREATE, request))
            return ""

        def reveal(_: str | None) -> None:
            for one in made:
                self._reveal(one.invite.email, one.url, one.url_expires_at)

        title = f"Invite to {agent}"
        self.wicket.open(FormDialog(title, fields, submit="Invite", sentence=invite), reveal)

    def do_invite_resend(self) -> None:
        """Makes a new link for who is still invited."""
        item, agent = self.item, self.agent
        if item is None or agent is None or item.invite is None:
            return
        request = invites.InviteResend(agent=agent, invite=item.invite)

        async def resend() -> str:
            made = await self.session.call(endpoints.INVITE_RESEND, request)
            self.app.call_later(self._reveal, made.invite.email, made.url, made.url_expires_at)
            return "The old link is dead."

        self.write(resend)

    def do_account_link(self) -> None:
        """Makes a single-use sign-in link and shows it, once."""
        email = self.chosen().get("account", "")

        async def link() -> None:
            made = await self.session.call(
                endpoints.ACCOUNT_LINK, accounts.AccountRef(account=email)
            )
            self.app.call_later(self._reveal, email, made.url, made.expires_at)

        self.write(link)

    def do_account_sign_out(self, _given: Confirmed) -> None:
        """Ends every web session of the account."""
        email = self.chosen().get("account", "")

        async def sign_out() -> str:
            request = accounts.AccountRef(account=email)
            ended = await self.session.call(endpoints.ACCOUNT_SIGN_OUT, request)
            return f"{ended.sessions} web sessions of {email} ended."

        self.write(sign_out)

    def do_account_mfa_reset(self, _given: Confirmed) -> None:
        """Forgets the second factor of the account."""
        email = self.chosen().get("account", "")

        async def reset() -> str:
            request = accounts.AccountRef(account=email)
            await self.session.call(endpoints.ACCOUNT_MFA_RESET, request)
            return f"The second factor of {email} is forgotten; the next sign-in sets a new one."

        self.write(reset)

    def do_account_status(self, _given: Confirmed) -> None:
        """Blocks the account, or unblocks a blocked one."""
        item = self.item
        if item is None or item.member.email is None:
            return
        email, off = item.member.email, item.is_blocked
        request = accounts.AccountStatusSet(account=email, status="active" if off else "blocked")

        async def turn() -> str:
            await self.session.call(endpoints.ACCOUNT_STATUS, request)
            return f"{email} is {'unblocked' if off else 'blocked: keys are refused too'}."

        self.write(turn)

    def _reveal(self, email: str, url: str, expires_at: str) -> None:
        explained = (
            f"For {email} alone: whoever opens it is that address. It works once, until "
            f"{expires_at}. It is not kept: closed, it cannot be shown again."
        )
        self.wicket.open(RevealDialog("The link, shown this once", url, explained))

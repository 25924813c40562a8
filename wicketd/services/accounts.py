"""Accounts as an admin sees them: block, sign out, reset the second factor, give a link.

What ends access works always, whatever state the account is in. Blocking holds for the portal and
for `/mcp` from the next request on: callers are forgotten and running calls end.
Source: product specification, sections 3, 8 and 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wicketd.domain import email as addresses
from wicketd.domain.accounts import Account, AccountStatus, SigninLink, WebSession
from wicketd.domain.actor import Actor
from wicketd.domain.errors import Conflict, Invalid, NotFound
from wicketd.domain.ids import Revision, WebSessionId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, MemberState
from wicketd.domain.ports import Database, Tx
from wicketd.services import find
from wicketd.services.desk import Desk, Unit
from wicketd.services.events import Topic
from wicketd.services.links import SigninLinks
from wicketd.services.web_sessions import IDLE_MS
from wicketd.storage import accounts, second_factors, web_sessions
from wicketd.vault.secret import Secret

_ENDED = frozenset({MemberState.REJECTED, MemberState.REMOVED})


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with its living sessions and its memberships that have not ended."""

    account: Account
    sessions: Sequence[WebSession]
    members: Sequence[Member]


class Accounts:
    """The use cases of accounts. `is_mail_off`: links are given out."""

    def __init__(self, desk: Desk, links: SigninLinks, *, is_mail_off: bool) -> None:
        self._desk = desk
        self._links = links
        self._is_mail_off = is_mail_off

    async def list(self) -> Sequence[Account]:
        """Every account, by address."""
        return await self._desk.db.all(accounts.all())

    async def show(self, ref: str) -> AccountView:
        """One account, by id or address.

        Raises:
            NotFound: there is none.
        """
        db = self._desk.db
        account = await read(db, ref)
        now = self._desk.clock.now_ms()
        sessions = await db.all(web_sessions.live_of(account.id, now, now - IDLE_MS))
        members = await db.all(accounts.memberships(account.id))
        living = [member for member in members if member.state not in _ENDED]
        return AccountView(account, sessions, living)

    async def block(self, actor: Actor, ref: str) -> Account:
        """Blocks an account: sessions end, links are void, its members' keys are refused.

        Raises:
            NotFound: there is no such account.
            Conflict: it is blocked already.
        """

        def work(unit: Unit) -> tuple[Account, Sequence[Member]]:
            after = block_in(unit, self._links, find_in(unit.tx, ref))
            return after, unit.tx.all(accounts.memberships(after.id))

        after, members = await self._desk.change(actor, work)
        for member in members:
            self._desk.forget_member(member.id)
            self._desk.calls.end_member(member.id)
        self._tell(after, members)
        return after

    async def unblock(self, actor: Actor, ref: str) -> Account:
        """Takes a block back: the account signs in anew, its members' keys work again.

        Raises:
            NotFound: there is no such account.
            Conflict: it is not blocked.
        """

        def work(unit: Unit) -> tuple[Account, Sequence[Member]]:
            after = _switch(unit, find_in(unit.tx, ref), AccountStatus.ACTIVE)
            return after, unit.tx.all(accounts.memberships(after.id))

        after, members = await self._desk.change(actor, work)
        for member in members:
            self._desk.forget_member(member.id)
        self._tell(after, members)
        return after

    async def reset_mfa(self, actor: Actor, ref: str) -> Account:
        """Forgets authenticator and backup codes and ends every session.

        Raises:
            NotFound: there is no such account.
        """

        def work(unit: Unit) -> Account:
            before = find_in(unit.tx, ref)
            for statement in second_factors.clear(before.id):
                unit.tx.run(statement)
            ended = unit.tx.run(web_sessions.revoke_all(before.id, unit.desk.clock.now_ms()))
            unit.audit(
                "account.mfa_reset",
                before.email,
                before={"totp": before.has_totp},
                after={"totp": False, "sessionsEnded": ended},
            )
            return find_in(unit.tx, before.id)

        return await self._desk.change(actor, work)

    async def sign_out(self, actor: Actor, ref: str, session_id: str | None = None) -> int:
        """Ends one session of an account, or all; gives how many.

        Raises:
            NotFound: there is no such account, or it has no such session.
        """

        def work(unit: Unit) -> int:
            account, now = find_in(unit.tx, ref), unit.desk.clock.now_ms()
            if session_id is None:
                ended = unit.tx.run(web_sessions.revoke_all(account.id, now))
            else:
                one = WebSessionId(session_id)
                ended = unit.tx.run(web_sessions.revoke(account.id, one, now))
                if not ended:
                    raise NotFound(
                        "The account has no such session that still lives. List its sessions.",
                        hint=f"wicket account show {account.email}",
                    )
            unit.audit("account.signed_out", account.email, after={"sessions": ended})
            return ended

        return await self._desk.change(actor, work)

    async def link(self, actor: Actor, ref: str) -> tuple[SigninLink, Secret]:
        """A single-use sign-in link, 24 hours; the older one is void. The URL is shown once.

        Raises:
            NotFound: there is no such account.
            Conflict: mail is on, or the account is blocked.
            ClockBackwards: the host's clock was set back.
        """
        if not self._is_mail_off:
            raise Conflict(
                "Codes are mailed here, so nobody needs a link. "
                'Links exist with portal.mail = "off" only.'
            )
        await read(self._desk.db, ref)
        now = await self._desk.guard.check()

        def work(unit: Unit) -> tuple[SigninLink, Secret]:
            account = find_in(unit.tx, ref)
            if account.status is AccountStatus.BLOCKED:
                message = f"The account {account.email} is blocked. Unblock it first."
                raise Conflict(message, hint=f"wicket account unblock {account.email}")
            return self._links.create(unit, account, now)

        return await self._desk.change(actor, work)

    def _tell(self, account: Account, members: Sequence[Member]) -> None:
        for member in members:
            data = {"member": member.id, "account": account.status.value}
            self._desk.events.publish(Topic.MEMBERS, data, member.agent_id)


def block_in(unit: Unit, links: SigninLinks, before: Account, reason: str | None = None) -> Account:
    """Blocks an account in the caller's transaction: sessions end, open links are void.

    Raises:
        Conflict: it is blocked already.
    """
    after = _switch(unit, before, AccountStatus.BLOCKED, reason)
    links.void_open(unit, after, "account_blocked")
    unit.tx.run(web_sessions.revoke_all(after.id, unit.desk.clock.now_ms()))
    return after


def _switch(
    unit: Unit, before: Account, status: AccountStatus, reason: str | None = None
) -> Account:
    if before.status is status:
        raise Conflict(f"The account {before.email} is {status.value} already.")
    unit.tx.run(accounts.set_status(before.id, status, before.rev))
    kind = "account.blocked" if status is AccountStatus.BLOCKED else "account.unblocked"
    facts: JsonObject = {"status": status.value}
    if reason is not None:
        facts["reason"] = reason
    unit.audit(kind, before.email, before={"status": before.status.value}, after=facts)
    return replace(before, status=status, rev=Revision(before.rev + 1))


def find_in(tx: Tx, ref: str) -> Account:
    """The account with this id or address.

    Raises:
        NotFound: there is none.
    """
    return find.require(tx, accounts.by_ref(_spelled(ref)), _no_account(ref))


async def read(db: Database, ref: str) -> Account:
    """Like `find_in`, outside of a transaction.

    Raises:
        NotFound: there is none.
    """
    account = await db.one(accounts.by_ref(_spelled(ref)))
    if account is None:
        raise _no_account(ref)
    return account


def _spelled(ref: str) -> str:
    """An address in its one spelling; anything else as it is."""
    try:
        return addresses.normalise(ref)
    except Invalid:
        return ref


def _no_account(ref: str) -> NotFound:
    return NotFound(
        f"There is no account {ref[:80]!r}. List the accounts to see their addresses.",
        hint="wicket account list",
    )

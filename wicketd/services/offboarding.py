"""A person leaves: the account is blocked and every membership ends, in one transaction.

Source: product specification, section 9 (`POST /v1/accounts/{account}/offboard`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wicketd.domain.accounts import Account, AccountStatus
from wicketd.domain.actor import Actor
from wicketd.domain.members import Member
from wicketd.services import accounts as standing
from wicketd.services import rules
from wicketd.services.desk import Desk, Unit
from wicketd.services.links import SigninLinks
from wicketd.services.removal import Removal, Taken, gone
from wicketd.storage import members


@dataclass(frozen=True, slots=True)
class Offboarded:
    """The account as it is now, and the memberships that this request ended."""

    account: Account
    members: Sequence[Member]


class Offboarding:
    """The use case over all agents. It always works: an owner, or who is blocked, goes too."""

    def __init__(self, desk: Desk, links: SigninLinks, removal: Removal) -> None:
        self._desk = desk
        self._links = links
        self._removal = removal

    async def offboard(self, actor: Actor, ref: str, reason: str | None = None) -> Offboarded:
        """Blocks the account, ends sessions, links, keys, credentials and every membership.

        Said again it changes nothing and gives no members.

        Raises:
            NotFound: there is no such account.
            Invalid: the reason breaks its rule.
            RevisionMoved: an agent's set changed beside it; nothing is written.
        """
        why = rules.note(reason)
        account = await standing.read(self._desk.db, ref)
        leaving = await self._desk.db.all(members.memberships(account.id))
        async with self._removal.hold(member.agent_id for member in leaving):
            plans = await self._removal.plan(actor, leaving)

            def work(unit: Unit) -> tuple[Account, Sequence[Taken]]:
                after = standing.find_in(unit.tx, account.id)
                if after.status is not AccountStatus.BLOCKED:
                    after = standing.block_in(unit, self._links, after, why)
                # Read again: a membership that began since the plan ends too, without a plan.
                now = unit.tx.all(members.memberships(account.id))
                return after, [self._removal.take(unit, one, plans, why) for one in now]

            after, taken = await self._desk.change(actor, work)
            self._removal.settle(taken)
        ended = [one.member for one in taken]
        await gone(self._desk, ended)
        return Offboarded(after, ended)

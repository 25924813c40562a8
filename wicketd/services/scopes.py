"""The scope of a policy record: the whole agent, or one member of an untrusted one."""

from wicketd.domain.agents import Agent, Trust
from wicketd.domain.errors import Invalid
from wicketd.domain.ids import MemberId
from wicketd.domain.ports import Database
from wicketd.services import find


async def member(db: Database, owner: Agent, ref: str | None) -> MemberId | None:
    """The member that a record is to belong to, None for the agent.

    Raises:
        NotFound: there is no such member.
        Invalid: the agent is trusted, so its records hold for all.
    """
    if ref is None:
        return None
    if owner.trust is Trust.TRUSTED:
        message = (
            f"{owner.key} is trusted, so its policies hold for all members. "
            "Name the member in the text instead."
        )
        raise Invalid(message)
    return (await find.read_member(db, owner, ref)).id

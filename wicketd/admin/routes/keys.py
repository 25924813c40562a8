"""Member keys: list, issue for local members, revoke."""

from typing import Final

from wicketd.admin import mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import members as wire
from wicketd.api.types.listing import Page


async def list_(uses: UseCases, ask: Ask[wire.KeyList]) -> Page[wire.MemberKey]:
    """Every key of the agent, newest first."""
    found = await uses.keys.list(ask.request.agent)
    return page(found, ask.request, key=lambda key: key.id, view=mapping.member_key)


async def issue(uses: UseCases, ask: Ask[wire.MemberRef]) -> wire.KeyIssued:
    """A new key: the one answer that holds it."""
    key, text = await uses.keys.issue(ask.actor, ask.request.agent, ask.request.member)
    return wire.KeyIssued(key=mapping.member_key(key), text=text)


async def revoke(uses: UseCases, ask: Ask[wire.KeyRevoke]) -> wire.MemberKey:
    """A member's active key ends."""
    asked = ask.request
    ended = await uses.keys.revoke(ask.actor, asked.agent, asked.member, asked.reason)
    return mapping.member_key(ended)


async def revoke_by_id(uses: UseCases, ask: Ask[wire.KeyRevokeById]) -> wire.MemberKey:
    """A key of which only the id is known ends."""
    ended = await uses.keys.revoke_by_id(ask.actor, ask.request.key_id, ask.request.reason)
    return mapping.member_key(ended)


HANDLERS: Final[Handlers] = {
    "key.list": list_,
    "key.issue": issue,
    "key.revoke": revoke,
    "key.revoke_by_id": revoke_by_id,
}

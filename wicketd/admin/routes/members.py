"""Members: list, show, add local ones, change, approve, reject, remove."""

from collections.abc import Mapping
from typing import Final

from wicketd.admin import mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import members as wire
from wicketd.api.types.listing import Nothing, Page
from wicketd.domain.ids import AccountId
from wicketd.domain.members import KeyState, Member, MemberKey, MemberState
from wicketd.services.transitions import Held


async def list_(uses: UseCases, ask: Ask[wire.MemberList]) -> Page[wire.Member]:
    """Members that pass the filter, with key and connections."""
    asked = ask.request
    state = None if asked.state is None else MemberState(asked.state)
    found = [
        member
        for member in await uses.members.list(asked.agent, state)
        if asked.q is None or asked.q.lower() in member.principal.lower()
    ]
    view = await _Belongings.read(uses, asked.agent)
    return page(found, asked, key=lambda member: member.id, view=view.of)


async def show(uses: UseCases, ask: Ask[wire.MemberRef]) -> wire.Member:
    """One member, with key and connections."""
    member = await uses.members.get(ask.request.agent, ask.request.member)
    return (await _Belongings.read(uses, ask.request.agent)).of(member)


async def add(uses: UseCases, ask: Ask[wire.MemberAdd]) -> wire.Member:
    """A new local member."""
    asked = ask.request
    made = await uses.members.add_local(ask.actor, asked.agent, **mapping.member_fields(asked))
    return mapping.member(made, None)


async def update(uses: UseCases, ask: Ask[wire.MemberUpdate]) -> wire.Member:
    """Changed fields of a member."""
    asked = ask.request
    changed = await uses.members.update(
        ask.actor,
        asked.agent,
        asked.member,
        expected=ask.expected,
        **mapping.member_changes(asked),
    )
    return (await _Belongings.read(uses, asked.agent)).of(changed)


async def approve(uses: UseCases, ask: Ask[wire.MemberApprove]) -> wire.Member:
    """A pending member is admitted."""
    asked = ask.request
    changed = await uses.members.approve(
        ask.actor, asked.agent, asked.member, seed_baselines=asked.seed_baselines
    )
    return (await _Belongings.read(uses, asked.agent)).of(changed)


async def reject(uses: UseCases, ask: Ask[wire.MemberReject]) -> wire.Member:
    """A pending member is refused for good."""
    asked = ask.request
    changed = await uses.members.reject(ask.actor, asked.agent, asked.member, asked.reason)
    return (await _Belongings.read(uses, asked.agent)).of(changed)


async def remove(uses: UseCases, ask: Ask[wire.MemberRef]) -> Nothing:
    """A member is removed for good."""
    await uses.members.remove(ask.actor, ask.request.agent, ask.request.member)
    return Nothing()


class _Belongings:
    """Keys, connections and second factors of an agent's members, read once for a whole list."""

    def __init__(
        self,
        keys: Mapping[str, MemberKey],
        connections: Mapping[str, list[Held]],
        enrolled: Mapping[AccountId, bool],
    ) -> None:
        self._keys = keys
        self._connections = connections
        self._enrolled = enrolled

    @classmethod
    async def read(cls, uses: UseCases, agent: str) -> "_Belongings":
        keys = {
            str(key.member_id): key
            for key in await uses.keys.list(agent)
            if key.state is KeyState.ACTIVE
        }
        connections: dict[str, list[Held]] = {}
        for held in await uses.connections.list(agent):
            connections.setdefault(held.connection.member_id, []).append(held)
        enrolled = {one.id: one.has_totp for one in await uses.accounts.list()}
        return cls(keys, connections, enrolled)

    def of(self, member: Member) -> wire.Member:
        held = self._connections.get(member.id, [])
        views = [
            mapping.connection(one.connection, service=one.service, member=member.principal)
            for one in held
        ]
        totp = None if member.account_id is None else self._enrolled.get(member.account_id)
        return mapping.member(member, self._keys.get(member.id), views, totp=totp)


HANDLERS: Final[Handlers] = {
    "member.list": list_,
    "member.show": show,
    "member.add": add,
    "member.update": update,
    "member.approve": approve,
    "member.reject": reject,
    "member.remove": remove,
}

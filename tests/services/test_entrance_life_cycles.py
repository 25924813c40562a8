"""Invitations and sign-in links walked against their tables: each edge taken, all else refused."""

import itertools
from collections.abc import Awaitable, Callable
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.test_life_cycles import WALK, Act, Life, step
from tests.support.entering import BROWSER, IP, House, house_of, token_of
from tests.support.state import ADMIN, State
from wicketd.domain.accounts import INVITE_EDGES, LINK_EDGES, LinkState
from wicketd.domain.errors import Conflict, Gone
from wicketd.domain.lifecycle import Edge
from wicketd.storage import signin

COUNTER = itertools.count()


@pytest.fixture
async def house(state: State) -> House:
    return house_of(state)


@pytest.fixture
async def home(state: State) -> House:
    return house_of(state, mail=False)


def as_conflict(act: Callable[[], Awaitable[object]]) -> Act:
    """The portal says "gone" where an admin is told of a conflict: both are refusals."""

    async def run() -> object:
        try:
            return await act()
        except Gone as error:
            raise Conflict(str(error)) from error

    return run


def swept(house: House, seconds: int, sweep: Callable[[], Awaitable[int]]) -> Act:
    """Lets the time run out; a sweep that finds nothing is a refusal."""

    async def run() -> object:
        house.state.clock.pass_s(seconds)
        if not await sweep():
            raise Conflict("Nothing was over.")
        return None

    return run


async def swept_out(house: House) -> None:
    """What an earlier walk left open is over and closed."""
    house.state.clock.pass_s(8 * 24 * 3600)
    await house.enter.invites.sweep()
    await house.enter.links.sweep()


async def invite_life(house: House) -> Life:
    """An invitation that does not exist yet, of an address of its own."""
    email = f"n{next(COUNTER)}@example.org"
    await swept_out(house)
    if not await house.state.agents.list():
        await house.state.agent()
    made: list[tuple[str, str]] = []

    async def now() -> StrEnum | None:
        if not made:
            return None
        rows = await house.enter.invites.list("demo")
        found = next(row for row in rows if row.id == made[0][0])
        return found.state(house.state.clock.now_ms())

    async def invite() -> object:
        invited = await house.enter.invites.create(ADMIN, "demo", email=email)
        made.append((invited.invite.id, token_of(invited.url)))
        return invited

    async def accept() -> object:
        if not made:
            raise Conflict("There is nothing to accept.")
        visitor = (await house.by_code(email)).visitor
        house.state.clock.pass_s(1)
        return await house.enter.joining.accept(visitor, made[0][1])

    async def revoke() -> object:
        return await house.enter.invites.revoke(ADMIN, "demo", made[0][0] if made else "x")

    week = swept(house, 7 * 24 * 3600, house.enter.invites.sweep)
    return Life(
        now,
        {"invite": invite, "accept": as_conflict(accept), "revoke": revoke, "expire": week},
    )


async def link_life(house: House) -> Life:
    """A sign-in link that does not exist yet, of an account of its own."""
    email = f"n{next(COUNTER)}@example.org"
    await swept_out(house)
    if not await house.state.agents.list():
        await house.state.agent()
    await house.enter.invites.create(ADMIN, "demo", email=email)
    await house.enter.accounts.block(ADMIN, email)
    await house.enter.accounts.unblock(ADMIN, email)
    tokens: list[str] = []

    async def now() -> StrEnum | None:
        if not tokens:
            return None
        macs = house.enter.links.macs(tokens[0])
        link = await house.state.db.one(signin.link_by_macs(macs))
        assert link is not None
        if link.void_at is None and link.used_at is None:
            return LinkState.OPEN
        return link.state(house.state.clock.now_ms())

    async def create() -> object:
        _, url = await house.enter.accounts.link(ADMIN, email)
        tokens.append(token_of(url))
        return url

    async def use() -> object:
        token = tokens[0] if tokens else "x"
        return await house.enter.sign_in.redeem_link(token, IP, BROWSER)

    day = swept(house, 24 * 3600, house.enter.links.sweep)
    return Life(now, {"create": create, "use": as_conflict(use), "void": day})


@WALK
@given(walk=st.lists(st.sampled_from(["revoke", "expire"]), max_size=4), accepts=st.booleans())
async def test_invitations_walk_their_table(house: House, walk: list[str], accepts: bool) -> None:
    life = await invite_life(house)
    await step(house.state, INVITE_EDGES, life, "invite")
    if accepts:
        await step(house.state, INVITE_EDGES, life, "accept")
    for trigger in walk:
        await step(house.state, INVITE_EDGES, life, trigger)


@WALK
@given(walk=st.lists(st.sampled_from(["use", "void"]), max_size=5))
async def test_links_walk_their_table(home: House, walk: list[str]) -> None:
    life = await link_life(home)
    await step(home.state, LINK_EDGES, life, "create")
    for trigger in walk:
        await step(home.state, LINK_EDGES, life, trigger)


@pytest.mark.parametrize("edge", INVITE_EDGES, ids=lambda edge: edge.trigger)
async def test_every_edge_of_invitations_is_taken(house: House, edge: Edge) -> None:
    life = await invite_life(house)
    if edge.source is not None:
        await step(house.state, INVITE_EDGES, life, "invite")
    assert await step(house.state, INVITE_EDGES, life, edge.trigger) == edge


@pytest.mark.parametrize("edge", LINK_EDGES, ids=lambda edge: edge.trigger)
async def test_every_edge_of_links_is_taken(home: House, edge: Edge) -> None:
    life = await link_life(home)
    if edge.source is not None:
        await step(home.state, LINK_EDGES, life, "create")
    assert await step(home.state, LINK_EDGES, life, edge.trigger) == edge
